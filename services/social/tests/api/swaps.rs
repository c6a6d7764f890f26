//! Swaps: staff offer their own duty, and whoever takes it stands in.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, scores};
use crate::oncall_calendar::read;

/// A harness with three who are on call, of whom `oncall` is on duty from an hour from now for eight; and the schedule.
async fn harness() -> (Harness, String) {
    let h = Harness::new().await;
    h.on_call_too(&["counselor", "counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 1, 9).await;
    (h, schedule)
}

impl Harness {
    /// Offers the own duty between these hours from now.
    async fn offers(
        &self,
        schedule: &str,
        (name, to): (&str, Option<&str>),
        (from, until): (i64, i64),
    ) -> Answer {
        let to = to.map(|name| format!("staff-{name}"));
        let body =
            json!({"offered_to": to, "starts_at": self.in_hours(from), "ends_at": self.in_hours(until)});
        self.call(name).post(&format!("{schedule}/swaps"), &body).await
    }

    /// As [`Self::offers`], where that is possible; the path of the offer.
    async fn offered(&self, schedule: &str, to: Option<&str>, span: (i64, i64)) -> String {
        let made = self.offers(schedule, ("oncall", to), span).await;
        assert_eq!(
            (made.code(), made.at("/status")),
            (201, &json!("open")),
            "{}",
            made.json
        );
        format!("/v1/shift-swaps/{}", made.at("/swap_id"))
    }

    async fn swap(&self, name: &str, offer: &str, what: &str) -> Answer {
        self.call(name).post(&format!("{offer}/{what}"), &json!({})).await
    }

    async fn on_duty_in(&self, schedule: &str, hours: i64) -> Value {
        let at = self.in_hours(hours).format("%Y-%m-%dT%H:%M:%SZ");
        let seen = self.call("admin").get(&format!("{schedule}/now?at={at}")).await;
        let people = seen.at("/on_duty").as_array().unwrap();
        people.iter().map(|one| one["staff_id"].clone()).collect()
    }
}

#[tokio::test]
async fn whoever_takes_an_offer_stands_in_for_that_part_by_an_override() {
    let (h, schedule) = harness().await;
    let offer = h.offered(&schedule, None, (3, 5)).await;
    assert_eq!(h.on_duty_in(&schedule, 3).await, json!(["staff-oncall"]));
    let taken = h.swap("counselor", &offer, "take").await;
    assert_eq!(
        (taken.code(), taken.at("/status"), taken.at("/taken_by")),
        (200, &json!("taken"), &json!("staff-counselor"))
    );
    for (hours, staff) in [
        (2, "staff-oncall"),
        (3, "staff-counselor"),
        (4, "staff-counselor"),
        (5, "staff-oncall"),
    ] {
        assert_eq!(h.on_duty_in(&schedule, hours).await, json!([staff]), "{hours}");
    }
    let overrides = h.call("oncall").get(&format!("{schedule}/overrides")).await;
    assert_eq!(overrides.items().len(), 1);
    assert_eq!(overrides.at("/items/0/created_by"), &json!("staff-counselor"));
    let listed = h.call("admin").get(&format!("{schedule}/swaps")).await;
    assert_eq!(listed.items(), [taken.json]);
}

#[tokio::test]
async fn an_offer_to_a_colleague_is_taken_or_declined_by_nobody_else() {
    let (h, schedule) = harness().await;
    let offer = h.offered(&schedule, Some("counselor"), (1, 9)).await;
    for what in ["take", "decline"] {
        let refused = h.swap("counselor_other", &offer, what).await;
        assert_eq!(refused.code(), 403, "{what}");
    }
    let declined = h.swap("counselor", &offer, "decline").await;
    assert_eq!(
        (declined.code(), declined.at("/status")),
        (200, &json!("declined"))
    );
    let late = h.swap("counselor", &offer, "take").await;
    assert_eq!(
        (late.code(), late.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    assert_eq!(h.on_duty_in(&schedule, 1).await, json!(["staff-oncall"]));
    let another = h.offered(&schedule, Some("counselor"), (1, 9)).await;
    assert_eq!(h.swap("counselor", &another, "take").await.code(), 200);
    let everybody = h.offers(&schedule, ("counselor", None), (1, 2)).await;
    assert_eq!(everybody.code(), 201, "who stands in offers that again");
    let path = format!("/v1/shift-swaps/{}", everybody.at("/swap_id"));
    assert_eq!(h.swap("oncall", &path, "decline").await.code(), 403);
}

#[tokio::test]
async fn an_offer_is_withdrawn_by_who_made_it_or_a_supervisor_and_taken_no_more() {
    let (h, schedule) = harness().await;
    for who in ["oncall", "supervisor"] {
        let offer = h.offered(&schedule, None, (1, 9)).await;
        assert_eq!(h.swap("counselor", &offer, "withdraw").await.code(), 403);
        let withdrawn = h.swap(who, &offer, "withdraw").await;
        assert_eq!(
            (withdrawn.code(), withdrawn.at("/status")),
            (200, &json!("withdrawn"))
        );
        for (name, what) in [("counselor", "take"), ("oncall", "withdraw")] {
            assert_eq!(h.swap(name, &offer, what).await.code(), 409, "{what}");
        }
    }
}

#[tokio::test]
async fn only_the_own_duty_is_offered_and_only_what_is_ahead() {
    let (h, schedule) = harness().await;
    h.shift(&schedule, "oncall", -1, 1).await;
    for (who, span, code) in [
        (("counselor", None), (1, 9), 409),
        (("oncall", None), (0, 2), 422),
        (("oncall", None), (1, 10), 409),
        (("oncall", Some("oncall")), (1, 9), 422),
        (("oncall", Some("supervisor")), (1, 9), 422),
        (("admin", None), (1, 9), 403),
        (("oncall", None), (1, 9), 201),
        (("oncall", None), (1, 9), 409),
        (("oncall", Some("counselor")), (1, 9), 201),
    ] {
        let made = h.offers(&schedule, who, span).await;
        assert_eq!(made.code(), code, "{who:?} {span:?} {}", made.json);
    }
    let nowhere = h
        .offers("/v1/oncall-schedules/999", ("oncall", None), (1, 9))
        .await;
    assert_eq!(nowhere.code(), 404);
    assert_eq!(
        h.swap("counselor", "/v1/shift-swaps/999", "take").await.code(),
        404
    );
}

#[tokio::test]
async fn an_offer_that_has_begun_or_is_no_longer_theirs_is_not_taken() {
    let (h, schedule) = harness().await;
    let begun = h.offered(&schedule, None, (1, 2)).await;
    let ahead = h.offered(&schedule, None, (4, 6)).await;
    let given =
        json!({"staff_id": "staff-counselor_other", "starts_at": h.in_hours(5), "ends_at": h.in_hours(6)});
    let made = h
        .call("oncall")
        .post(&format!("{schedule}/overrides"), &given)
        .await;
    assert_eq!(made.code(), 201, "{}", made.json);
    let lost = h.swap("counselor", &ahead, "take").await;
    assert_eq!(lost.code(), 409, "{}", lost.json);
    h.clock.advance(TimeDelta::hours(1));
    let late = h.swap("counselor", &begun, "take").await;
    assert_eq!(late.code(), 409, "{}", late.json);
    assert!(late.at("/detail").as_str().unwrap().contains("supervisor"));
    assert_eq!(
        h.database
            .count("select count(*) from social.oncall_overrides")
            .await,
        1
    );
}

#[tokio::test]
async fn who_is_on_duty_then_or_not_on_call_takes_no_offer() {
    let (h, schedule) = harness().await;
    h.shift(&schedule, "counselor", 8, 12).await;
    let offer = h.offered(&schedule, None, (4, 9)).await;
    for (name, code) in [("oncall", 409), ("counselor", 409), ("supervisor", 403)] {
        let refused = h.swap(name, &offer, "take").await;
        assert_eq!(refused.code(), code, "{name} {}", refused.json);
    }
    assert_eq!(h.swap("counselor_other", &offer, "take").await.code(), 200);
}

#[tokio::test]
async fn of_two_who_take_an_offer_at_once_one_wins_and_so_of_two_offers_of_the_same_hours() {
    let (h, schedule) = harness().await;
    h.on_call_too(&["supervisor"]).await;
    for from in 1..9 {
        let span = (from, from + 1);
        let one = h.offered(&schedule, Some("counselor"), span).await;
        let other = h.offered(&schedule, None, span).await;
        let takers = [
            ("counselor", &one),
            ("counselor_other", &other),
            ("supervisor", &other),
        ];
        let answers =
            futures::future::join_all(takers.iter().map(|(name, offer)| h.swap(name, offer, "take"))).await;
        let codes: Vec<u16> = answers.iter().map(Answer::code).collect();
        let won = codes.iter().filter(|code| **code == 200).count();
        let lost = codes.iter().filter(|code| **code == 409).count();
        assert_eq!((won, lost), (1, 2), "{codes:?}");
        let on_duty = h.on_duty_in(&schedule, from).await;
        let winner = answers.iter().find(|answer| answer.code() == 200).unwrap();
        assert_eq!(on_duty, json!([winner.at("/taken_by")]));
    }
}

#[tokio::test]
async fn a_swap_that_was_taken_gives_sight_and_stands_in_the_calendar() {
    let (mut h, schedule) = harness().await;
    let offer = h.offered(&schedule, None, (1, 9)).await;
    h.client("client-a", &[]).await;
    let raised = h.writes("client-a", &scores(0.9, 0.5)).await;
    assert!(raised.at("/escalation_id").is_i64(), "{}", raised.json);
    assert_eq!(h.swap("counselor_other", &offer, "take").await.code(), 200);
    h.clock.advance(TimeDelta::hours(1));
    h.app.round("duty").await.unwrap();
    for (name, code) in [("counselor_other", 200), ("oncall", 404)] {
        let seen = h.call(name).get("/v1/users/client-a/risk-profile").await;
        assert_eq!(seen.code(), code, "{name}");
    }
    let link = h
        .call("admin")
        .post(&format!("{schedule}/calendar-link"), &json!({}))
        .await;
    let lines = read(&h, link.at("/path").as_str().unwrap()).await;
    assert_eq!(
        lines[1],
        "2026-06-15T13:00:00Z | 2026-06-15T21:00:00Z | counselor_other"
    );
}

#[tokio::test]
async fn an_offer_and_its_taking_are_audited_and_done_once_under_a_key() {
    let (h, schedule) = harness().await;
    let offer = h.offered(&schedule, None, (1, 9)).await;
    let taker = h
        .call("counselor")
        .with_header("Idempotency-Key", "a-key-of-a-taker");
    for _ in 0..2 {
        let taken = taker.post(&format!("{offer}/take"), &json!({})).await;
        assert_eq!(taken.code(), 200, "{}", taken.json);
    }
    let overrides = "select count(*) from social.oncall_overrides";
    assert_eq!(h.database.count(overrides).await, 1);
    for (action, people) in [
        ("POST /v1/oncall-schedules/{schedule_id}/swaps", 1),
        ("POST /v1/shift-swaps/{swap_id}/take", 2),
    ] {
        let recorded = format!(
            "select count(*) from core.audit_events where action = '{action}' and cardinality(subject_refs) = {people}"
        );
        assert!(h.database.count(&recorded).await > 0, "{action}");
    }
}

#[tokio::test]
async fn the_database_lets_nobody_stand_in_by_an_offer_that_is_not_theirs_to_take() {
    let (h, schedule) = harness().await;
    let offer = h.offered(&schedule, Some("counselor"), (1, 9)).await;
    let id = offer.rsplit('/').next().unwrap();
    let pools = h.database.pools("social");
    let stand_in = "insert into social.oncall_overrides (schedule_id, staff_id, replaces_staff_id, starts_at, ends_at)
        select w.schedule_id, 'staff-counselor_other', w.offered_by, w.starts_at, w.ends_at from social.shift_swaps w";
    let take = format!(
        "update social.shift_swaps set status = 'taken', taken_by = 'staff-counselor_other' where swap_id = {id}"
    );
    let own = format!("update social.shift_swaps set status = 'withdrawn' where swap_id = {id}");
    for sql in [stand_in, &take, &own] {
        let tx = pools
            .begin(&db::Actor::Staff("staff-counselor_other".to_owned()))
            .await
            .unwrap();
        let refused = tx.execute(sql, &[]).await;
        assert!(
            matches!(refused, Err(db::Error::NotVisible)),
            "{sql}: {refused:?}"
        );
    }
    assert_eq!(h.swap("counselor", &offer, "take").await.code(), 200);
    let tx = pools.begin_worker().await.unwrap();
    let again = tx
        .execute(
            "update social.shift_swaps set status = 'open', taken_by = null",
            &[],
        )
        .await;
    assert_eq!(again.unwrap_err().constraint(), Some("ck_shift_swaps_move"));
}

#[tokio::test]
async fn the_database_makes_no_offer_another_one() {
    let (h, schedule) = harness().await;
    let offer = h.offered(&schedule, None, (1, 9)).await;
    let pools = h.database.pools("social");
    let refused = async |name: &str, set: &str| {
        let tx = pools
            .begin(&db::Actor::Staff(format!("staff-{name}")))
            .await
            .unwrap();
        let refused = tx
            .execute(&format!("update social.shift_swaps set {set}"), &[])
            .await;
        assert_eq!(
            refused.unwrap_err().constraint(),
            Some("ck_shift_swaps_move"),
            "{name}: {set}"
        );
    };
    let taken = |name: &str| format!("status = 'taken', taken_by = 'staff-{name}'");
    let of_another = format!("{}, offered_by = 'staff-supervisor'", taken("counselor"));
    refused("counselor", &of_another).await;
    refused(
        "counselor",
        &format!("{}, ends_at = ends_at + interval '1 day'", taken("counselor")),
    )
    .await;
    assert_eq!(h.swap("counselor", &offer, "take").await.code(), 200);
    refused("counselor_other", &taken("counselor_other")).await;
    refused("counselor", "starts_at = starts_at - interval '1 hour'").await;
}
