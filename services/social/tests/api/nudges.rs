//! Nudges: within limits, out of quiet hours, seen and answered once.

use chrono::TimeDelta;
use serde_json::json;

use crate::harness::{Harness, calm, scores};

#[tokio::test]
async fn a_moderate_risk_gets_the_buddy_nudge_first_and_one_of_two_later() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let first = h.writes("client-a", &scores(0.4, 0.1)).await;
    assert_eq!(first.at("/actions/0/chosen"), &json!("buddy_connection"));
    h.clock.advance(TimeDelta::hours(1));
    let soon = h.writes("client-a", &scores(0.4, 0.1)).await;
    assert_eq!(
        soon.at("/actions"),
        &json!([]),
        "nothing is due within twelve hours"
    );
    h.clock.advance(TimeDelta::hours(22));
    let later = h.writes("client-a", &scores(0.4, 0.1)).await;
    let chosen = later.at("/actions/0/chosen").as_str().unwrap().to_owned();
    assert!(
        ["counselor_encouragement", "coping_exercise"].contains(&chosen.as_str()),
        "{chosen}"
    );
    let decided = h.events("social.action.decided").await;
    assert_eq!(decided[1]["probability"], json!(0.5));
    assert_eq!(
        decided[1]["eligible"],
        json!(["counselor_encouragement", "coping_exercise"])
    );
}

#[tokio::test]
async fn a_decision_to_do_nothing_is_recorded_with_its_reason() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for _ in 0..2 {
        h.writes("client-a", &scores(0.9, 0.1)).await;
    }
    let rows = h
        .database
        .query("select action_type, withheld_reason from social.actions where action_type = 'none'")
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>("withheld_reason"), "spacing");
}

#[tokio::test]
async fn a_nudge_of_the_night_is_held_until_morning_and_an_escalation_is_not() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.clock.advance(TimeDelta::hours(11));
    let night = h.writes("client-a", &scores(0.4, 0.1)).await;
    assert_eq!(night.at("/actions/0/chosen"), &json!("buddy_connection"));
    assert_eq!(h.app.round("release").await.unwrap(), 0);
    assert!(
        h.call("client-a")
            .get("/v1/users/client-a/nudges")
            .await
            .items()
            .is_empty(),
        "the client sees what was sent"
    );
    let held = h.call("counselor").get("/v1/users/client-a/nudges").await;
    assert_eq!(held.at("/items/0/status"), &json!("held"));
    assert_eq!(held.at("/items/0/send_after"), &json!("2026-06-16T08:00:00Z"));
    let crisis = h.writes("client-a", &scores(0.9, 0.1)).await;
    assert!(crisis.at("/escalation_id").is_i64());
    h.clock.advance(TimeDelta::hours(9));
    assert_eq!(h.app.round("release").await.unwrap(), 1);
    let sent = h.call("client-a").get("/v1/users/client-a/nudges").await;
    assert_eq!(sent.at("/items/0/status"), &json!("sent"));
    assert_eq!(h.events("social.nudge.sent").await.len(), 1);
}

#[tokio::test]
async fn a_nudge_that_came_too_late_expires_unsent() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.4, 0.1)).await;
    h.clock.advance(TimeDelta::hours(25));
    assert_eq!(h.app.round("release").await.unwrap(), 1);
    let late = h.call("counselor").get("/v1/users/client-a/nudges").await;
    assert_eq!(late.at("/items/0/status"), &json!("expired"));
    assert!(h.events("social.nudge.sent").await.is_empty());
}

#[tokio::test]
async fn a_sent_nudge_is_viewed_and_answered_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &calm()).await;
    let id = h.database.count("select min(nudge_id) from social.nudges").await;
    let client = h.call("client-a");
    let early = client.post(&format!("/v1/nudges/{id}/viewed"), &json!({})).await;
    assert_eq!(early.code(), 409);
    h.app.round("release").await.unwrap();
    let list = h.call("client-a").get("/v1/users/client-a/nudges").await;
    assert_eq!(
        list.at("/items/0/risk_level"),
        &serde_json::Value::Null,
        "a client is not shown the label"
    );
    for _ in 0..2 {
        let seen = client.post(&format!("/v1/nudges/{id}/viewed"), &json!({})).await;
        assert_eq!((seen.code(), seen.at("/status")), (200, &json!("viewed")));
    }
    let body = json!({"user_response": "accepted", "response_data": {"mood": "better"}});
    let answered = client.post(&format!("/v1/nudges/{id}/responded"), &body).await;
    assert_eq!(
        (answered.code(), answered.at("/user_response")),
        (200, &json!("accepted"))
    );
    assert_eq!(
        client
            .post(&format!("/v1/nudges/{id}/responded"), &body)
            .await
            .code(),
        409
    );
    assert_eq!(h.events("social.nudge.viewed").await.len(), 1);
    assert_eq!(
        h.events("social.nudge.responded").await[0]["user_response"],
        json!("accepted")
    );
}

#[tokio::test]
async fn a_counselor_writes_a_nudge_to_the_own_caseload_only() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let body = json!({"nudge_type": "check_in", "nudge_message": "How did Tuesday go?"});
    let made = h.call("counselor").post("/v1/users/client-a/nudges", &body).await;
    assert_eq!((made.code(), made.at("/source")), (201, &json!("staff")));
    assert_eq!(
        h.call("counselor_other")
            .post("/v1/users/client-a/nudges", &body)
            .await
            .code(),
        404
    );
    assert_eq!(
        h.call("client-a")
            .post("/v1/users/client-a/nudges", &body)
            .await
            .code(),
        403
    );
}

#[tokio::test]
async fn a_client_who_writes_nothing_is_asked_after_three_days() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.database
        .superuser()
        .await
        .run("update social.user_risk_profiles set next_recompute_at = computed_at")
        .await;
    assert_eq!(h.app.round("sweep").await.unwrap(), 1);
    assert_eq!(h.app.round("sweep").await.unwrap(), 0);
    h.clock.advance(TimeDelta::days(3));
    assert_eq!(h.app.round("sweep").await.unwrap(), 1);
    let nudges = h.call("counselor").get("/v1/users/client-a/nudges").await;
    assert_eq!(nudges.at("/items/0/nudge_type"), &json!("wellness_check"));
    assert_eq!(h.app.round("sweep").await.unwrap(), 0);
}

#[tokio::test]
async fn a_crisis_nudge_that_was_withheld_is_sent_when_the_spacing_is_over() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &calm()).await;
    let crisis = h.writes("client-a", &scores(0.9, 0.1)).await;
    assert_eq!(crisis.at("/actions/0/withheld_reason"), &json!("spacing"));
    h.clock.advance(TimeDelta::minutes(30));
    h.writes("client-a", &calm()).await;
    assert_eq!(h.app.round("sweep").await.unwrap(), 0);
    h.clock.advance(TimeDelta::minutes(30));
    assert_eq!(h.app.round("sweep").await.unwrap(), 1);
    let nudges = h.call("counselor").get("/v1/users/client-a/nudges").await;
    assert_eq!(nudges.at("/items/0/nudge_type"), &json!("crisis_resources"));
}

#[tokio::test]
async fn a_nudge_held_overnight_counts_from_the_morning_on() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.clock.advance(TimeDelta::hours(11));
    h.writes("client-a", &scores(0.4, 0.1)).await;
    h.clock.advance(TimeDelta::hours(13));
    let noon = h.writes("client-a", &scores(0.4, 0.1)).await;
    assert_eq!(noon.at("/actions/0/withheld_reason"), &json!("spacing"));
}
