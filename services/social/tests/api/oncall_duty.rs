//! A shift lets those on duty see the clients of open escalations and answer, and its end takes that back.

use chrono::TimeDelta;
use serde_json::json;

use crate::harness::{Harness, scores};

/// Opens an escalation about a client of the counselor; returns its path.
async fn crisis(h: &mut Harness) -> String {
    h.client("client-a", &["counselor"]).await;
    let answer = h.writes("client-a", &scores(0.9, 0.5)).await;
    format!("/v1/escalations/{}", answer.at("/escalation_id"))
}

async fn sees(h: &Harness, name: &str) -> bool {
    let profile = h.call(name).get("/v1/users/client-a/risk-profile").await;
    assert!([200, 404].contains(&profile.code()), "{}", profile.json);
    profile.code() == 200
}

#[tokio::test]
async fn a_shift_shows_the_clients_of_open_escalations_from_its_beginning_to_its_end() {
    let mut h = Harness::new().await;
    h.on_call_too(&["counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 1).await;
    h.shift(&schedule, "counselor_other", 1, 2).await;
    crisis(&mut h).await;
    h.app.round("duty").await.unwrap();
    assert!(sees(&h, "oncall").await);
    assert!(!sees(&h, "counselor_other").await, "the shift has not begun");
    h.clock.advance(TimeDelta::hours(1));
    assert!(h.app.round("duty").await.unwrap() > 0);
    assert_eq!(h.app.round("duty").await.unwrap(), 0);
    assert!(!sees(&h, "oncall").await, "the shift is over");
    assert!(sees(&h, "counselor_other").await);
    h.clock.advance(TimeDelta::hours(1));
    h.app.round("duty").await.unwrap();
    assert!(!sees(&h, "counselor_other").await);
    assert_eq!(
        h.database
            .count("select count(*) from core.temporary_access")
            .await,
        0
    );
}

#[tokio::test]
async fn an_escalation_tells_who_is_on_duty_and_then_who_comes_on_duty() {
    let mut h = Harness::new().await;
    h.on_call_too(&["counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 1).await;
    h.shift(&schedule, "counselor_other", 1, 2).await;
    crisis(&mut h).await;
    let told = "select count(*) from social.notification_deliveries where relation = 'oncall'";
    assert_eq!(h.database.count(told).await, 1);
    assert_eq!(h.app.round("advance").await.unwrap(), 0);
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.app.round("advance").await.unwrap(), 1);
    assert_eq!(h.database.count(told).await, 2);
}

#[tokio::test]
async fn a_change_of_shifts_changes_who_sees_the_client_at_once() {
    let mut h = Harness::new().await;
    h.on_call_too(&["counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 8).await;
    crisis(&mut h).await;
    let body = json!({"staff_id": "staff-counselor_other", "replaces_staff_id": "staff-oncall",
        "starts_at": h.in_hours(0), "ends_at": h.in_hours(4)});
    let supervisor = h.call("supervisor");
    let made = supervisor.post(&format!("{schedule}/overrides"), &body).await;
    assert_eq!(
        (sees(&h, "oncall").await, sees(&h, "counselor_other").await),
        (false, true)
    );
    supervisor
        .delete(&format!("{schedule}/overrides/{}", made.at("/override_id")))
        .await;
    assert_eq!(
        (sees(&h, "oncall").await, sees(&h, "counselor_other").await),
        (true, false)
    );
    assert_eq!(supervisor.delete(&schedule).await.code(), 204);
    assert_eq!(
        h.database
            .count("select count(*) from core.temporary_access where cause = 'shift'")
            .await,
        0
    );
}

#[tokio::test]
async fn the_end_of_an_escalation_ends_what_its_shift_showed() {
    let mut h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 8).await;
    let path = crisis(&mut h).await;
    h.app.round("duty").await.unwrap();
    assert!(sees(&h, "oncall").await);
    h.call("oncall")
        .post(&format!("{path}/resolve"), &json!({"outcome": "spoke"}))
        .await;
    h.app.round("duty").await.unwrap();
    assert!(!sees(&h, "oncall").await);
}

#[tokio::test]
async fn what_a_shift_shows_ends_with_it_also_where_the_job_does_not_run() {
    let mut h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 8).await;
    crisis(&mut h).await;
    h.app.round("duty").await.unwrap();
    let lasting = "select count(*) from core.temporary_access where cause = 'shift'
        and until between now() + interval '7 hours' and now() + interval '8 hours 1 minute'";
    assert_eq!(h.database.count(lasting).await, 1);
}

#[tokio::test]
async fn who_is_off_duty_does_not_acknowledge() {
    let mut h = Harness::new().await;
    h.on_call_too(&["counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 1).await;
    h.shift(&schedule, "counselor_other", 1, 2).await;
    let episode = crisis(&mut h).await;
    let path = format!("{episode}/acknowledge");
    let empty = json!({});
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(
        h.call("oncall").get(&episode).await.code(),
        200,
        "who still sees it is told why"
    );
    let late = h.call("oncall").post(&path, &empty).await;
    assert_eq!(
        (late.code(), late.at("/type")),
        (403, &json!("/problems/forbidden")),
        "before the job has run"
    );
    h.app.round("duty").await.unwrap();
    assert_eq!(h.call("oncall").post(&path, &empty).await.code(), 404, "after it");
    assert_eq!(h.call("oncall").get(&episode).await.code(), 404);
    assert_eq!(h.call("counselor_other").post(&path, &empty).await.code(), 200);
}

#[tokio::test]
async fn without_the_rule_in_the_database_who_is_off_duty_would_acknowledge() {
    let mut h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 1).await;
    let path = format!("{}/acknowledge", crisis(&mut h).await);
    h.database
        .superuser()
        .await
        .run("drop trigger check_duty on social.escalations")
        .await;
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.call("oncall").post(&path, &json!({})).await.code(), 200);
}

#[tokio::test]
async fn who_has_acknowledged_goes_on_after_the_shift() {
    let mut h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 1).await;
    let path = crisis(&mut h).await;
    h.clock.advance(TimeDelta::minutes(50));
    let oncall = h.call("oncall");
    assert_eq!(
        oncall
            .post(&format!("{path}/acknowledge"), &json!({}))
            .await
            .code(),
        200
    );
    h.clock.advance(TimeDelta::minutes(15));
    h.app.round("duty").await.unwrap();
    assert!(sees(&h, "oncall").await);
    assert_eq!(
        oncall
            .post(&format!("{path}/acknowledge"), &json!({}))
            .await
            .code(),
        200
    );
    let resolved = oncall
        .post(&format!("{path}/resolve"), &json!({"outcome": "spoke"}))
        .await;
    assert_eq!(resolved.code(), 200);
}

#[tokio::test]
async fn the_clients_own_counselor_answers_at_any_hour() {
    let mut h = Harness::new().await;
    h.on_call_too(&["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 1).await;
    let path = crisis(&mut h).await;
    h.app.round("duty").await.unwrap();
    assert_eq!(
        h.call("counselor")
            .post(&format!("{path}/acknowledge"), &json!({}))
            .await
            .code(),
        200
    );
}

#[tokio::test]
async fn a_schedule_without_shifts_takes_nobody_off_duty() {
    let mut h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    let path = crisis(&mut h).await;
    h.app.round("duty").await.unwrap();
    assert!(sees(&h, "oncall").await);
    h.on_call_too(&["counselor_other"]).await;
    h.shift(&schedule, "counselor_other", 0, 1).await;
    assert!(
        !sees(&h, "oncall").await,
        "now there is somebody whose shift it is"
    );
    assert_eq!(
        h.call("oncall")
            .post(&format!("{path}/acknowledge"), &json!({}))
            .await
            .code(),
        404
    );
}
