//! Nudges of the rules, of staff and of recommendations: one budget for all, the client's own hours and channels, every
//! decision on record, and a draw that anybody can repeat.

use chrono::{DateTime, TimeDelta, Utc};
use common::Event;
use db::Row;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{Answer, event_of};

use crate::harness::{Harness, calm, scores};

/// What stands first of a ranking for a client, good for a week.
fn recommended(h: &Harness, id: i64, user_id: &str) -> Value {
    let now = h.clock.fixed().unwrap();
    json!({
        "recommendation_id": id, "user_id": user_id, "family": "coping_exercise", "rank": 1, "probability": 0.25,
        "policy_version": "linucb_v1", "created_at": now, "expires_at": now + TimeDelta::days(7),
    })
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

fn event(body: Value) -> Event {
    event_of("reco.recommendation.created", body)
}

impl Harness {
    async fn staff_nudge(&self, user_id: &str, body: &Value) -> Answer {
        let path = format!("/v1/users/{user_id}/nudges");
        self.call("counselor").post(&path, body).await
    }

    /// A client of moderate risk: two nudges a day, twelve hours between two.
    async fn moderate_client(&mut self, user_id: &str) {
        self.client(user_id, &["counselor"]).await;
        let sql = format!(
            "update social.user_risk_profiles set current_risk_label = 'MODERATE_RISK' where user_id = '{user_id}'"
        );
        self.database.superuser().await.run(&sql).await;
    }

    async fn check_in(&self, user_id: &str) -> Answer {
        let body = json!({"nudge_type": "check_in", "nudge_message": "How did Tuesday go?"});
        let made = self.staff_nudge(user_id, &body).await;
        assert_eq!(made.code(), 201, "{}", made.json);
        made
    }

    async fn recommend(&self, body: Value) {
        let applied = self.app.consumer().apply_events(&[event(body)]).await.unwrap();
        assert_eq!(applied, 1);
    }

    /// A source's nudge for a moderate risk.
    async fn wants(&mut self, source: &str, user_id: &str) {
        match source {
            "rule" => drop(self.writes(user_id, &scores(0.4, 0.1)).await),
            "staff" => drop(self.check_in(user_id).await),
            _ => self.recommend(recommended(self, 7, user_id)).await,
        }
    }

    async fn prefers(&self, user_id: &str, hours: &Value, channels: &Value) {
        let sql = format!(
            "insert into core.user_preferences (user_id, custom_hours, communication_preferences)
             values ('{user_id}', nullif('{hours}', 'null')::jsonb, '{channels}')
             on conflict (user_id) do update set custom_hours = excluded.custom_hours,
                communication_preferences = excluded.communication_preferences"
        );
        self.database.superuser().await.run(&sql).await;
    }

    async fn lives_in(&self, user_id: &str, zone: &str) {
        let sql = format!("update core.users set timezone = '{zone}' where user_id = '{user_id}'");
        self.database.superuser().await.run(&sql).await;
    }

    fn at(&self, time: &str) {
        let time: DateTime<Utc> = time.parse().unwrap();
        self.clock.advance(time - self.clock.fixed().unwrap());
    }

    async fn release(&self) {
        self.app.round("release").await.unwrap();
    }

    /// Source, state and reason of every nudge, in the order in which they were made.
    async fn nudges(&self) -> Vec<String> {
        let sql = "select source || ' ' || status || coalesce(' ' || withheld_reason, '') as nudge
            from social.nudges order by nudge_id";
        self.database
            .query(sql)
            .await
            .iter()
            .map(|row| row.get("nudge"))
            .collect()
    }

    async fn actions(&self) -> Vec<Row> {
        self.database
            .query("select * from social.actions order by action_id")
            .await
    }
}

#[tokio::test]
async fn a_nudge_of_any_source_is_in_the_way_of_the_next_of_any_other() {
    let sources = ["rule", "staff", "reco"];
    for first in sources {
        for second in sources.into_iter().filter(|second| *second != first) {
            let mut h = Harness::new().await;
            h.moderate_client("client-a").await;
            h.wants(first, "client-a").await;
            h.clock.advance(TimeDelta::hours(1));
            h.wants(second, "client-a").await;
            let last = h.actions().await.pop().unwrap();
            let found: (&str, &str, &str) = (
                last.get("source"),
                last.get("action_type"),
                last.get("withheld_reason"),
            );
            assert_eq!(found, (second, "none", "spacing"), "{first} before {second}");
            let decided = h.events("social.action.decided").await.pop().unwrap();
            assert_eq!(
                (
                    &decided["source"],
                    &decided["chosen"],
                    &decided["withheld_reason"]
                ),
                (&json!(second), &json!("none"), &json!("spacing"))
            );
            h.release().await;
            assert_eq!(
                h.events("social.nudge.sent").await.len(),
                1,
                "{first} before {second}"
            );
        }
    }
}

#[tokio::test]
async fn a_nudge_of_staff_that_is_withheld_says_why_and_the_client_does_not_see_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.check_in("client-a").await;
    let second = h.check_in("client-a").await;
    assert_eq!(
        (second.at("/status"), second.at("/withheld_reason")),
        (&json!("withheld"), &json!("daily_limit"))
    );
    h.release().await;
    let place = format!("/v1/nudges/{}", second.at("/nudge_id"));
    assert_eq!(h.call("client-a").get(&place).await.code(), 404);
    assert_eq!(h.call("counselor").get(&place).await.code(), 200);
    let seen = h.call("client-a").get("/v1/users/client-a/nudges").await;
    assert_eq!(seen.items().len(), 1);
    // Not sent, and so nothing to answer.
    let answer = json!({"user_response": "later"});
    let answered = h
        .call("client-a")
        .post(&format!("{place}/responded"), &answer)
        .await;
    assert_eq!(answered.code(), 409);
    assert_eq!(h.events("social.nudge.created").await.len(), 1);
}

#[tokio::test]
async fn of_many_nudges_at_once_one_is_sent() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let body = json!({"nudge_type": "check_in", "nudge_message": "text"});
    let calls: Vec<_> = (0..12).map(|_| h.call("counselor")).collect();
    let posts = calls
        .iter()
        .map(|call| call.post("/v1/users/client-a/nudges", &body));
    let answers = futures::future::join_all(posts).await;
    let pending = answers
        .iter()
        .filter(|answer| answer.at("/status") == &json!("pending"));
    assert_eq!(pending.count(), 1);
    assert!(answers.iter().all(|answer| answer.code() == 201));
}

#[tokio::test]
async fn the_same_key_is_one_nudge_and_another_nudge_under_it_is_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    let body = json!({"nudge_type": "check_in", "nudge_message": "text", "dedup_key": "tuesday"});
    let made = h.staff_nudge("client-a", &body).await;
    assert_eq!(made.code(), 201);
    let again = h.staff_nudge("client-a", &body).await;
    assert_eq!((again.code(), again.at("/nudge_id")), (200, made.at("/nudge_id")));
    let other = with(body.clone(), "nudge_message", "another");
    let refused = h.staff_nudge("client-a", &other).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/differs"))
    );
    assert_eq!(h.staff_nudge("client-b", &body).await.code(), 201);
    assert_eq!(h.nudges().await, ["staff pending", "staff pending"]);
    assert_eq!(h.actions().await.len(), 2, "what stands is no new decision");
}

#[tokio::test]
async fn a_recommendation_is_offered_once_with_the_probability_it_came_with() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let first = recommended(&h, 7, "client-a");
    // Delivered again under its own id, and told of again under another; the second of the ranking is not offered.
    let events = [
        event(first.clone()),
        event(first.clone()),
        event(with(recommended(&h, 8, "client-a"), "rank", 2)),
    ];
    h.app.consumer().apply_events(&events).await.unwrap();
    h.recommend(first).await;
    let nudges = h.call("counselor").get("/v1/users/client-a/nudges").await;
    assert_eq!(nudges.items().len(), 1);
    assert_eq!(nudges.at("/items/0/nudge_type"), &json!("coping_exercise"));
    assert_eq!(nudges.at("/items/0/source"), &json!("reco"));
    assert_eq!(nudges.at("/items/0/recommendation_id"), &json!(7));
    let decided = h.events("social.action.decided").await;
    assert_eq!(decided.len(), 1);
    assert_eq!(
        (
            &decided[0]["chosen"],
            &decided[0]["probability"],
            &decided[0]["source"]
        ),
        (&json!("coping_exercise"), &json!(0.25), &json!("reco"))
    );
    h.release().await;
    let id = nudges.at("/items/0/nudge_id");
    let answer = json!({"user_response": "accepted"});
    h.call("client-a")
        .post(&format!("/v1/nudges/{id}/responded"), &answer)
        .await;
    let responded = h.events("social.nudge.responded").await;
    assert_eq!(responded[0]["recommendation_id"], json!(7), "reco learns from it");
}

#[tokio::test]
async fn a_recommendation_of_a_kind_without_a_text_is_told_of_in_general_words() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.recommend(with(recommended(&h, 7, "client-a"), "family", "cold_shower"))
        .await;
    let nudges = h.call("counselor").get("/v1/users/client-a/nudges").await;
    assert_eq!(nudges.at("/items/0/nudge_type"), &json!("recommendation"));
    assert_eq!(
        nudges.at("/items/0/nudge_message"),
        &json!("There is something new for you to try. Have a look?")
    );
}

#[tokio::test]
async fn a_recommendation_that_is_none_changes_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let good = recommended(&h, 7, "client-a");
    for bad in [
        with(good.clone(), "family", "Call your ex"),
        with(good.clone(), "probability", 0.0),
        with(good.clone(), "probability", 1.5),
    ] {
        assert!(h.app.consumer().apply_events(&[event(bad)]).await.is_err());
    }
    h.recommend(with(good, "user_id", "nobody")).await;
    assert!(h.nudges().await.is_empty());
    assert!(h.actions().await.is_empty());
}

#[tokio::test]
async fn in_a_crisis_nothing_is_offered_that_was_drawn() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    h.clock.advance(TimeDelta::hours(2));
    h.recommend(recommended(&h, 7, "client-a")).await;
    assert_eq!(h.nudges().await, ["rule pending", "reco withheld crisis"]);
    let last = h.actions().await.pop().unwrap();
    assert_eq!(last.get::<_, &str>("withheld_reason"), "crisis");
    assert_eq!(last.get::<_, Option<f64>>("probability"), None);
}

#[tokio::test]
async fn nothing_is_drawn_for_a_crisis_and_the_database_refuses_it_from_every_writer() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for _ in 0..12 {
        h.writes("client-a", &scores(0.9, 0.1)).await;
        h.clock.advance(TimeDelta::hours(1));
    }
    for row in h.actions().await {
        let drawn = (
            row.get::<_, Option<f64>>("probability"),
            row.get::<_, Option<i64>>("seed"),
        );
        assert_eq!(drawn, (None, None), "{}", row.get::<_, &str>("action_type"));
    }
    for (kind, label) in [("nudge", "HIGH_RISK"), ("escalation", "MODERATE_RISK")] {
        let sql = format!(
            "insert into social.actions (user_id, action_type, risk_level, ai_reasoning, confidence_score,
                policy_version, probability)
             values ('client-a', '{kind}', '{label}', 'because', 1, 'fusion_v2', 0.5)"
        );
        let tx = h.database.pools("social").begin_worker().await.unwrap();
        let refused = tx.execute(&sql, &[]).await.unwrap_err();
        assert_eq!(refused.constraint(), Some("ck_actions_crisis"), "{kind} {label}");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_drawn_while_a_critical_episode_is_open_whatever_the_label() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.4, 0.1)).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let danger = json!({"risk_level": "high"});
    h.call("pipeline")
        .post(&format!("/v1/messages/{message}/safety-event"), &danger)
        .await;
    h.clock.advance(TimeDelta::hours(23));
    h.writes("client-a", &scores(0.4, 0.1)).await;
    let last = h.actions().await.pop().unwrap();
    assert_eq!(last.get::<_, &str>("action_type"), "nudge");
    assert_eq!(
        last.get::<_, Value>("action_data")["chosen"],
        json!("counselor_encouragement")
    );
    assert_eq!(last.get::<_, Option<f64>>("probability"), None);
    assert_eq!(last.get::<_, Value>("eligible").as_array().unwrap().len(), 2);
}

/// Days of a few clients whose risk stays moderate; what was decided on them, by client.
async fn days(clients: usize) -> Vec<Row> {
    let mut h = Harness::new().await;
    for client in 0..clients {
        h.client(&format!("client-{client}"), &["counselor"]).await;
    }
    for _ in 0..5 {
        for client in 0..clients {
            h.writes(&format!("client-{client}"), &scores(0.4, 0.1)).await;
        }
        h.release().await;
        h.clock.advance(TimeDelta::hours(24));
    }
    let sql = "select user_id, timestamp, policy_version, eligible, action_data ->> 'chosen' as chosen, probability, seed
        from social.actions order by timestamp, user_id, action_id";
    h.database.query(sql).await
}

#[tokio::test]
async fn every_draw_can_be_repeated_from_its_record_and_the_same_days_draw_the_same() {
    let rows = days(4).await;
    let mut drawn = Vec::new();
    for row in &rows {
        let (Some(probability), Some(seed)) = (
            row.get::<_, Option<f64>>("probability"),
            row.get::<_, Option<i64>>("seed"),
        ) else {
            continue;
        };
        // Independently of the service: the seed from what the row says, the choice from the seed.
        let at: DateTime<Utc> = row.get("timestamp");
        let state = format!(
            "{}|{}|{}",
            row.get::<_, &str>("policy_version"),
            row.get::<_, &str>("user_id"),
            at.timestamp_micros()
        );
        let digest: [u8; 32] = Sha256::digest(state.as_bytes()).into();
        let again = i64::from_be_bytes(digest[..8].try_into().unwrap()) & i64::MAX;
        assert_eq!(again, seed, "{state}");
        let eligible: Value = row.get("eligible");
        let eligible = eligible.as_array().unwrap();
        let place = usize::try_from(seed).unwrap() % eligible.len();
        assert_eq!(eligible[place], json!(row.get::<_, &str>("chosen")));
        assert_eq!(probability, 1.0 / eligible.len() as f64);
        drawn.push(row.get::<_, &str>("chosen").to_owned());
    }
    assert_eq!(drawn.len(), 16, "four days of four clients after the first");
    assert!(
        ["counselor_encouragement", "coping_exercise"]
            .iter()
            .all(|arm| drawn.iter().any(|drawn| drawn == arm))
    );
    let told = |rows: &[Row]| -> Vec<(String, Option<String>, Option<f64>)> {
        rows.iter()
            .map(|row| (row.get("user_id"), row.get("chosen"), row.get("probability")))
            .collect()
    };
    assert_eq!(told(&rows), told(&days(4).await));
}

#[tokio::test]
async fn the_clients_own_hours_hold_in_place_of_the_usual_ones() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    // A Monday, noon.
    let evenings = json!({"start": "19:00", "end": "01:00", "days": {"monday": false}});
    h.prefers("client-a", &evenings, &json!({})).await;
    let made = h.check_in("client-a").await;
    assert_eq!(
        (made.at("/status"), made.at("/send_after")),
        (&json!("held"), &json!("2026-06-16T19:00:00Z"))
    );
    h.at("2026-06-17T00:30:00Z");
    h.release().await;
    assert_eq!(
        h.nudges().await,
        ["staff sent"],
        "half past midnight is still Tuesday's"
    );
}

#[tokio::test]
async fn a_client_who_is_reached_in_no_hours_gets_none() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let off: Value = days.iter().map(|day| ((*day).to_owned(), json!(false))).collect();
    h.prefers(
        "client-a",
        &json!({"start": "09:00", "end": "17:00", "days": off}),
        &json!({}),
    )
    .await;
    h.check_in("client-a").await;
    assert_eq!(h.nudges().await, ["staff withheld quiet_hours"]);
}

#[tokio::test]
async fn the_night_ends_at_eight_local_time_also_when_the_clocks_have_changed() {
    for (evening, before, morning) in [
        (
            "2026-10-24T21:00:00Z",
            "2026-10-25T06:59:59Z",
            "2026-10-25T07:00:00Z",
        ),
        (
            "2027-03-27T22:00:00Z",
            "2027-03-28T05:59:59Z",
            "2027-03-28T06:00:00Z",
        ),
    ] {
        let mut h = Harness::new().await;
        h.client("client-a", &["counselor"]).await;
        h.lives_in("client-a", "Europe/Berlin").await;
        h.at(evening);
        let made = h.check_in("client-a").await;
        assert_eq!(made.at("/send_after"), &json!(morning));
        for (time, expected) in [(before, "staff held"), (morning, "staff sent")] {
            h.at(time);
            h.release().await;
            assert_eq!(h.nudges().await, [expected], "{time}");
        }
    }
}

#[tokio::test]
async fn a_client_who_wants_no_nudges_gets_none_of_any_source() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.prefers("client-a", &Value::Null, &json!({"in_app": false}))
        .await;
    h.wants("staff", "client-a").await;
    h.wants("reco", "client-a").await;
    h.wants("rule", "client-a").await;
    assert_eq!(
        h.nudges().await,
        ["staff withheld channels", "reco withheld channels"]
    );
    let reasons: Vec<Option<String>> = h
        .actions()
        .await
        .iter()
        .map(|row| row.get("withheld_reason"))
        .collect();
    assert_eq!(reasons, vec![Some("channels".to_owned()); 3]);
    // A crisis is answered all the same, by people.
    let crisis = h.writes("client-a", &scores(0.9, 0.1)).await;
    assert!(crisis.at("/escalation_id").is_i64());
}

#[tokio::test]
async fn a_client_who_chose_push_is_called_by_the_app() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.prefers("client-a", &Value::Null, &json!({"in_app": false, "push": true}))
        .await;
    let made = h.check_in("client-a").await;
    assert_eq!(made.at("/channel"), &json!("push"));
    h.release().await;
    assert_eq!(h.events("social.nudge.sent").await[0]["channel"], json!("push"));
}

#[tokio::test]
async fn a_client_who_declines_while_a_nudge_waits_does_not_get_it_and_that_is_a_decision() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.check_in("client-a").await;
    h.prefers("client-a", &Value::Null, &json!({"in_app": false}))
        .await;
    h.release().await;
    assert_eq!(h.nudges().await, ["staff withheld channels"]);
    assert!(h.events("social.nudge.sent").await.is_empty());
    let decided = h.events("social.action.decided").await;
    assert_eq!(
        (
            decided.len(),
            &decided[1]["withheld_reason"],
            &decided[1]["source"]
        ),
        (2, &json!("channels"), &json!("staff"))
    );
}

#[tokio::test]
async fn a_client_who_moves_while_a_nudge_waits_is_not_woken_by_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.clock.advance(TimeDelta::hours(11));
    h.check_in("client-a").await;
    h.lives_in("client-a", "America/New_York").await;
    h.at("2026-06-16T08:00:00Z");
    h.release().await;
    assert_eq!(h.nudges().await, ["staff held"]);
    h.at("2026-06-16T12:00:00Z");
    h.release().await;
    assert_eq!(h.nudges().await, ["staff sent"]);
}

#[tokio::test]
async fn a_nudge_that_was_overlooked_until_the_night_waits_for_the_morning() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.check_in("client-a").await;
    h.at("2026-06-15T23:00:00Z");
    h.release().await;
    assert_eq!(h.nudges().await, ["staff held"]);
    h.at("2026-06-16T08:00:00Z");
    h.release().await;
    assert_eq!(h.nudges().await, ["staff sent"]);
}

#[tokio::test]
async fn nudges_that_were_overlooked_do_not_come_together() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.4, 0.1)).await;
    h.at("2026-06-16T08:30:00Z");
    h.check_in("client-a").await;
    // Nothing was sent in between: both are due, a moderate risk has twelve hours between two.
    h.release().await;
    assert_eq!(h.nudges().await, ["rule sent", "staff held"]);
    h.at("2026-06-16T20:30:00Z");
    h.release().await;
    assert_eq!(h.nudges().await, ["rule sent", "staff sent"]);
}

#[tokio::test]
async fn what_a_counselor_has_planned_is_not_in_the_way_of_a_crisis() {
    let mut h = Harness::new().await;
    h.moderate_client("client-a").await;
    let later =
        json!({"nudge_type": "check_in", "nudge_message": "text", "send_after": "2026-06-15T12:30:00Z"});
    h.staff_nudge("client-a", &later).await;
    let crisis = h.writes("client-a", &scores(0.9, 0.1)).await;
    assert_eq!(crisis.at("/actions/0/chosen"), &json!("crisis_resources"));
    h.release().await;
    h.at("2026-06-15T12:30:00Z");
    h.release().await;
    assert_eq!(
        h.nudges().await,
        ["staff held", "rule sent"],
        "the planned one waits in turn"
    );
}

#[tokio::test]
async fn every_state_of_a_nudge_is_reached() {
    let mut h = Harness::new().await;
    for client in ["client-a", "client-b", "client-c"] {
        h.client(client, &["counselor"]).await;
    }
    let seen = h.check_in("client-a").await;
    assert_eq!(seen.at("/status"), &json!("pending"));
    assert_eq!(h.check_in("client-a").await.at("/status"), &json!("withheld"));
    h.release().await;
    let place = format!("/v1/nudges/{}", seen.at("/nudge_id"));
    let client = h.call("client-a");
    assert_eq!(client.get(&place).await.at("/status"), &json!("sent"));
    let viewed = client.post(&format!("{place}/viewed"), &json!({})).await;
    assert_eq!(viewed.at("/status"), &json!("viewed"));
    let answer = json!({"user_response": "accepted"});
    let responded = client.post(&format!("{place}/responded"), &answer).await;
    assert_eq!(responded.at("/status"), &json!("responded"));
    h.clock.advance(TimeDelta::hours(11));
    let held = h.check_in("client-b").await;
    assert_eq!(held.at("/status"), &json!("held"));
    h.writes("client-c", &calm()).await;
    h.clock.advance(TimeDelta::days(8));
    h.release().await;
    assert_eq!(
        h.nudges().await,
        [
            "staff responded",
            "staff withheld daily_limit",
            "staff expired",
            "rule expired"
        ]
    );
}
