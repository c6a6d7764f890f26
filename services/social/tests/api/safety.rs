//! What cannot wait for a profile: a dangerous message, answers to the screener, and where help is.

use chrono::TimeDelta;
use db::Actor;
use serde_json::{Value, json};
use testkit::{Answer, event_of};

use crate::harness::{Harness, calm};

/// A check's worst finding.
fn danger() -> Value {
    json!({
        "risk_level": "high", "emotion_label": "despair", "emotion_score": 0.93, "policy_action": "reply_replaced",
        "rationale": "says goodbye", "degraded": true,
    })
}

/// Where the faults are.
fn pointers(refused: &Answer) -> Vec<&str> {
    let faults = refused.at("/errors").as_array().unwrap();
    faults
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect()
}

fn place(message_id: i64) -> String {
    format!("/v1/messages/{message_id}/safety-event")
}

impl Harness {
    async fn flag(&self, message_id: i64, finding: &Value) -> Answer {
        self.call("pipeline").post(&place(message_id), finding).await
    }

    /// A message of now by a client.
    async fn said(&mut self, user_id: &str) -> i64 {
        self.message(user_id, TimeDelta::zero()).await
    }

    async fn screened(&self, caller: &str, answers: &Value) -> Answer {
        let path = "/v1/users/client-a/screener-answers";
        self.call(caller).post(path, answers).await
    }
}

/// Answers of a time of the day before the harness's noon, all no.
fn no_to_all(time: &str) -> Value {
    json!({
        "answered_at": format!("2026-06-15T{time}Z"), "wish_to_be_dead": false, "suicidal_thoughts": false,
        "thoughts_of_method": false, "intent": false, "plan_with_intent": false, "behaviour": "never",
    })
}

fn with(mut answers: Value, item: &str, answer: impl Into<Value>) -> Value {
    answers[item] = answer.into();
    answers
}

#[tokio::test]
async fn a_dangerous_message_reaches_staff_at_once_though_the_profile_is_calm() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let scored = h.writes("client-a", &calm()).await;
    assert_eq!(scored.at("/profile/current_risk_label"), &json!("LOW_RISK"));
    let message = h.said("client-a").await;
    let flagged = h.flag(message, &danger()).await;
    assert_eq!(flagged.code(), 201, "{}", flagged.json);
    assert_eq!(flagged.at("/show_crisis_banner"), &json!(true));
    let escalation = flagged.at("/escalation_id").as_i64().unwrap();
    let seen = h
        .call("oncall")
        .get(&format!("/v1/escalations/{escalation}"))
        .await;
    assert_eq!(seen.at("/escalation_type"), &json!("safety"));
    assert_eq!(
        (seen.at("/urgency"), seen.at("/status")),
        (&json!("critical"), &json!("notified"))
    );
    assert_eq!(seen.at("/trigger_data/message_id"), &json!(message));
    let told = "select count(*) from social.notification_deliveries";
    assert_eq!(h.database.count(told).await, 2);
    let events = h.events("social.safety.flagged").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["escalation_id"], escalation);
    assert!(!events[0].to_string().contains("goodbye"), "{}", events[0]);
    let read = h.call("counselor").get(&place(message)).await;
    assert_eq!(read.at("/rationale"), &json!("says goodbye"));
    assert_eq!(read.at("/escalation_id"), &json!(escalation));
}

#[tokio::test]
async fn lower_levels_are_kept_and_page_nobody() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for (finding, banner) in [
        (json!({"risk_level": "low"}), false),
        (json!({"risk_level": "medium", "show_crisis_banner": true}), true),
    ] {
        let message = h.said("client-a").await;
        let kept = h.flag(message, &finding).await;
        assert_eq!(kept.code(), 201, "{}", kept.json);
        assert_eq!(kept.at("/show_crisis_banner"), &json!(banner));
        assert_eq!(kept.at("/escalation_id"), &Value::Null);
    }
    assert_eq!(
        h.database.count("select count(*) from social.escalations").await,
        0
    );
    assert!(h.events("social.safety.flagged").await.is_empty());
}

#[tokio::test]
async fn the_same_finding_again_pages_nobody_again_and_another_one_is_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let message = h.said("client-a").await;
    let (path, finding) = (place(message), danger());
    let calls: Vec<_> = (0..8).map(|_| h.call("pipeline")).collect();
    let answers = futures::future::join_all(calls.iter().map(|call| call.post(&path, &finding))).await;
    let made = answers.iter().filter(|answer| answer.code() == 201).count();
    let stood = answers.iter().filter(|answer| answer.code() == 200).count();
    assert_eq!((made, stood), (1, 7));
    let escalation = answers[0].at("/escalation_id");
    assert!(
        answers
            .iter()
            .all(|answer| answer.at("/escalation_id") == escalation)
    );
    let differs = h.flag(message, &json!({"risk_level": "low"})).await;
    assert_eq!(
        (differs.code(), differs.at("/type")),
        (409, &json!("/problems/differs"))
    );
    let seen = h
        .call("counselor")
        .get(&format!("/v1/escalations/{escalation}"))
        .await;
    assert_eq!(seen.at("/trigger_count"), &json!(1));
    assert_eq!(h.events("social.safety.flagged").await.len(), 1);
}

#[tokio::test]
async fn a_second_dangerous_message_joins_the_open_episode() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let mut episodes = Vec::new();
    for _ in 0..2 {
        let message = h.said("client-a").await;
        let flagged = h.flag(message, &danger()).await;
        episodes.push(flagged.at("/escalation_id").clone());
    }
    assert_eq!(episodes[0], episodes[1]);
    let told = "select count(*) from social.notification_deliveries";
    assert_eq!(h.database.count(told).await, 2, "nobody is told twice");
    assert_eq!(h.events("social.safety.flagged").await.len(), 2);
}

#[tokio::test]
async fn only_a_message_that_a_visible_client_wrote_is_assessed() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &[]).await;
    let reply = h
        .message_of("client-a", TimeDelta::zero(), "assistant", "assistant")
        .await;
    let refused = h.flag(reply, &danger()).await;
    assert_eq!(pointers(&refused), ["/message_id"]);
    assert_eq!(h.flag(999_999, &danger()).await.code(), 404);
    let of_another = h.said("client-b").await;
    let app = h.call("app").with_header("X-On-Behalf-Of", "client-a");
    assert_eq!(app.post(&place(of_another), &danger()).await.code(), 404);
    let own = h.said("client-a").await;
    assert_eq!(app.post(&place(own), &danger()).await.code(), 201);
    assert_eq!(h.call("app").post(&place(own), &danger()).await.code(), 400);
    assert_eq!(h.call("client-a").post(&place(own), &danger()).await.code(), 403);
    assert_eq!(h.call("counselor").get(&place(of_another)).await.code(), 404);
}

#[tokio::test]
async fn what_is_no_finding_is_refused_by_its_place() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let message = h.said("client-a").await;
    for (finding, pointer) in [
        (json!({}), "/risk_level"),
        (json!({"risk_level": "HIGH"}), "/risk_level"),
        (
            json!({"risk_level": "high", "show_crisis_banner": false}),
            "/show_crisis_banner",
        ),
        (
            json!({"risk_level": "low", "emotion_score": 1.5}),
            "/emotion_score",
        ),
        (
            json!({"risk_level": "low", "emotion_label": "x".repeat(51)}),
            "/emotion_label",
        ),
        (json!({"risk_level": "low", "rationale": "a\u{0}b"}), "/rationale"),
        (json!({"risk_level": "low", "user_id": "client-b"}), "/user_id"),
    ] {
        let refused = h.flag(message, &finding).await;
        assert!(matches!(refused.code(), 413 | 422), "{finding}");
        assert_eq!(pointers(&refused), [pointer], "{finding}");
    }
}

#[tokio::test]
async fn what_was_found_goes_with_its_message() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let (gone, stays) = (h.said("client-a").await, h.said("client-a").await);
    for message in [gone, stays] {
        h.flag(message, &danger()).await;
    }
    let deleted = event_of(
        "core.message.deleted",
        json!({"user_id": "client-a", "message_ids": [gone]}),
    );
    h.app.consumer().apply_events(&[deleted]).await.unwrap();
    let left = h
        .database
        .query("select message_id from social.safety_events")
        .await;
    let left: Vec<i64> = left.iter().map(|row| row.get("message_id")).collect();
    assert_eq!(left, [stays]);
}

/// Whoever erases a client goes from the profile to the rest: who held the rest already would wait for the profile, and they
/// for us.
#[tokio::test]
async fn what_hears_of_deleted_messages_touches_nothing_before_it_holds_the_profile() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let message = h.said("client-a").await;
    h.flag(message, &danger()).await;
    let db = h.database.pools("social");
    let erasing = db.begin_worker().await.unwrap();
    let profile = "select from social.user_risk_profiles where user_id = 'client-a' for update";
    erasing.query(profile, &[]).await.unwrap();
    let consumer = h.app.consumer();
    let deleted = event_of(
        "core.message.deleted",
        json!({"user_id": "client-a", "message_ids": [message]}),
    );
    let events = [deleted];
    let erases = async {
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while h.database.count(waits).await == 0 {}
        let found = "select from social.safety_events for update nowait";
        let found = erasing.query(found, &[]).await.unwrap().len();
        erasing.rollback().await.unwrap();
        found
    };
    let (heard, found) = tokio::join!(consumer.apply_events(&events), erases);
    assert_eq!((heard.unwrap(), found), (1, 1));
}

#[tokio::test]
async fn answers_to_the_screener_escalate_by_what_was_answered() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for (answers, urgency, pages) in [
        (no_to_all("08:00:00"), Value::Null, false),
        (
            with(no_to_all("08:01:00"), "wish_to_be_dead", true),
            json!("medium"),
            false,
        ),
        (
            with(no_to_all("08:02:00"), "thoughts_of_method", true),
            json!("high"),
            true,
        ),
        (
            with(no_to_all("08:03:00"), "behaviour", "past_three_months"),
            json!("critical"),
            true,
        ),
    ] {
        let answered = h.screened("client-a", &answers).await;
        assert_eq!(answered.code(), 201, "{}", answered.json);
        assert_eq!(answered.at("/urgency"), &urgency);
        assert_eq!(answered.at("/escalation_id").is_i64(), pages, "{answers}");
    }
    let open = h.call("counselor").get("/v1/escalations").await;
    assert_eq!(
        open.at("/items").as_array().unwrap().len(),
        1,
        "the second joins the first"
    );
    assert_eq!(open.at("/items/0/urgency"), &json!("critical"), "and raises it");
    let listed = h
        .call("counselor")
        .get("/v1/users/client-a/screener-answers?limit=2")
        .await;
    assert_eq!(listed.at("/items/0/behaviour"), &json!("past_three_months"));
    assert!(listed.at("/next_cursor").is_string());
}

#[tokio::test]
async fn the_same_answers_are_one_screener_and_others_of_the_same_time_are_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let answers = with(no_to_all("08:00:00"), "intent", true);
    let first = h.screened("client-a", &answers).await;
    let again = h.screened("counselor", &answers).await;
    assert_eq!((first.code(), again.code()), (201, 200));
    assert_eq!(first.at("/escalation_id"), again.at("/escalation_id"));
    let other = h.screened("client-a", &no_to_all("08:00:00")).await;
    assert_eq!(
        (other.code(), other.at("/type")),
        (409, &json!("/problems/differs"))
    );
    let incomplete = h
        .screened("client-a", &json!({"answered_at": "2026-06-15T08:00:00Z"}))
        .await;
    assert_eq!(pointers(&incomplete).len(), 6, "{}", incomplete.json);
    assert_eq!(h.screened("oncall", &answers).await.code(), 403);
}

#[tokio::test]
async fn the_database_takes_no_screener_that_says_too_little() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let db = h.database.pools("social");
    let tx = db.begin(&Actor::Client("client-a".to_owned())).await.unwrap();
    let refused = tx
        .execute(
            "insert into social.screener_answers (user_id, answered_at, wish_to_be_dead, suicidal_thoughts,
                thoughts_of_method, intent, plan_with_intent, behaviour, urgency)
             values ('client-a', now(), true, true, true, true, false, 'never', 'high')",
            &[],
        )
        .await;
    assert!(
        format!("{refused:?}").contains("ck_screener_answers_critical"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn whoever_is_in_danger_is_shown_where_help_is_in_their_region() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.database
        .superuser()
        .await
        .run("update core.users set locale = 'de-AT' where user_id = 'client-a'")
        .await;
    let mut made = Vec::new();
    for (region, name) in [
        (json!("DE"), "There"),
        (Value::Null, "Everywhere"),
        (json!("AT"), "Here"),
    ] {
        let mut resource = json!({"name": name, "hours": "at any hour", "phone": "142"});
        if region.is_string() {
            resource["region"] = region;
        }
        let kept = h.call("supervisor").post("/v1/crisis-resources", &resource).await;
        assert_eq!(kept.code(), 201, "{}", kept.json);
        made.push(kept.at("/resource_id").as_i64().unwrap());
    }
    let message = h.said("client-a").await;
    let shown = h.flag(message, &danger()).await;
    let names = |answer: &Answer, at: &str| -> Vec<String> {
        let items = answer.at(at).as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&shown, "/crisis_resources"), ["Here", "Everywhere"]);
    let calmer = h.said("client-a").await;
    let calmer = h.flag(calmer, &json!({"risk_level": "low"})).await;
    assert!(names(&calmer, "/crisis_resources").is_empty());
    let listed = h.call("client-a").get("/v1/crisis-resources?region=DE").await;
    assert_eq!(names(&listed, "/items"), ["There", "Everywhere"]);
    let gone = h
        .call("admin")
        .delete(&format!("/v1/crisis-resources/{}", made[0]))
        .await;
    assert_eq!(gone.code(), 204);
    let unknown = h
        .call("client-a")
        .get("/v1/crisis-resources?region=austria")
        .await;
    assert_eq!((unknown.code(), pointers(&unknown)), (422, vec!["?region"]));
    let all = h.call("client-a").get("/v1/crisis-resources").await;
    assert_eq!(names(&all, "/items"), ["Here", "Everywhere"]);
}

#[tokio::test]
async fn help_that_cannot_be_reached_is_not_kept() {
    let h = Harness::new().await;
    for (resource, pointer) in [
        (json!({"name": "Line", "hours": "at any hour"}), "/phone"),
        (
            json!({"name": "Line", "hours": "always", "url": "http://plain.example"}),
            "/url",
        ),
        (
            json!({"name": "Line", "hours": "always", "phone": "142", "region": "Austria"}),
            "/region",
        ),
        (json!({"name": " ", "hours": "always", "phone": "142"}), "/name"),
        (json!({"name": "Line", "hours": " ", "phone": "142"}), "/hours"),
    ] {
        let refused = h.call("supervisor").post("/v1/crisis-resources", &resource).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer]),
            "{resource}"
        );
    }
    for number in [
        " ",
        "x",
        "7",
        "ask at the desk",
        "+43 1 CALL",
        "\u{202e}142",
        "1\n42",
    ] {
        for field in ["phone", "text_to"] {
            let resource = json!({"name": "Line", "hours": "always", field: number});
            let refused = h.call("supervisor").post("/v1/crisis-resources", &resource).await;
            let pointer = format!("/{field}");
            assert_eq!(
                (refused.code(), pointers(&refused)),
                (422, vec![pointer.as_str()]),
                "{number:?}"
            );
        }
    }
    for number in ["15", "0800 111 0 111", "+43 (1) 406-95.95/1", "*31#142"] {
        let resource = json!({"name": "Line", "hours": "always", "phone": number});
        let kept = h.call("supervisor").post("/v1/crisis-resources", &resource).await;
        assert_eq!(kept.code(), 201, "{number}");
    }
    let resource = json!({"name": "Line", "hours": "always", "phone": "142"});
    assert_eq!(
        h.call("counselor")
            .post("/v1/crisis-resources", &resource)
            .await
            .code(),
        403
    );
    assert_eq!(
        h.call("supervisor")
            .put("/v1/crisis-resources/7", &resource)
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn the_database_lets_no_person_write_where_help_is() {
    let h = Harness::new().await;
    let db = h.database.pools("social");
    for sql in [
        "insert into social.crisis_resources (name, phone, hours) values ('Line', '142', 'always')",
        "update social.crisis_resources set phone = '143'",
        "delete from social.crisis_resources",
    ] {
        let tx = db
            .begin(&Actor::Staff("staff-supervisor".to_owned()))
            .await
            .unwrap();
        let refused = tx.execute(sql, &[]).await.expect_err(sql);
        assert!(
            matches!(&refused, db::Error::Refused { sqlstate, .. } if sqlstate == "42501"),
            "{refused}"
        );
    }
}
