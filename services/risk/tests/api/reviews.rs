//! What counselors think of predictions.

use chrono::TimeDelta;
use serde_json::json;

use crate::harness::{Harness, noon};
use crate::planted::Planted;

const MODEL: (&str, &str) = ("relapse", "1");

/// A prediction about a client of the counselor, and one about somebody else's; their ids.
async fn predicted() -> (Harness, Vec<i64>) {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    h.plant_version(MODEL, "live").await;
    let said = ["client-a", "client-b"].map(|user_id| Planted {
        user_id,
        by: MODEL,
        predicted_at: noon() - TimeDelta::days(1),
        horizon_days: 7,
        probability: 0.6,
        stage: "live",
    });
    let ids = h.plant(&said).await;
    (h, ids)
}

#[tokio::test]
async fn reviews_stand_beside_each_other_and_change_neither_prediction_nor_level() {
    let (h, ids) = predicted().await;
    let path = format!("/v1/predictions/{}/review", ids[0]);
    let accepted = h
        .call("counselor")
        .post(&path, &json!({"decision": "accept"}))
        .await;
    assert_eq!(accepted.code(), 201, "{}", accepted.json);
    h.clock.advance(TimeDelta::minutes(1));
    let body = json!({"decision": "override", "override_level": "LOW", "reason": "She called, and is with her sister."});
    let overridden = h.call("counselor").post(&path, &body).await;
    assert_eq!(overridden.code(), 201, "{}", overridden.json);
    assert_eq!(overridden.at("/staff_id"), &json!("staff-counselor"));
    let list = h
        .call("counselor")
        .get(&format!("/v1/predictions/{}/reviews?limit=1", ids[0]))
        .await;
    assert_eq!(list.at("/items/0"), &overridden.json);
    let cursor = list.at("/next_cursor").as_str().unwrap();
    let next = h
        .call("counselor")
        .get(&format!(
            "/v1/predictions/{}/reviews?limit=1&cursor={cursor}",
            ids[0]
        ))
        .await;
    assert_eq!(next.at("/items/0"), &accepted.json);
    let unchanged = "select count(*) from risk.model_predictions where risk_level = 'HIGH' and label is null";
    assert_eq!(h.database.count(unchanged).await, 2);
    assert!(h.events("risk.level.changed").await.is_empty());
}

#[tokio::test]
async fn an_override_says_which_level_and_why_and_an_acceptance_no_level() {
    let (h, ids) = predicted().await;
    let path = format!("/v1/predictions/{}/review", ids[0]);
    for (body, pointers) in [
        (
            json!({"decision": "override"}),
            json!(["/override_level", "/reason"]),
        ),
        (
            json!({"decision": "override", "override_level": "LOW"}),
            json!(["/reason"]),
        ),
        (
            json!({"decision": "accept", "override_level": "LOW"}),
            json!(["/override_level"]),
        ),
        (
            json!({"decision": "maybe", "override_level": "NONE", "reason": ""}),
            json!(["/decision", "/override_level", "/reason"]),
        ),
        (json!({"decision": "accept", "status": "x"}), json!(["/status"])),
    ] {
        let refused = h.call("counselor").post(&path, &body).await;
        assert_eq!(refused.code(), 422, "{body}");
        let faults = refused.at("/errors").as_array().unwrap().clone();
        let found: Vec<_> = faults.iter().map(|fault| fault["pointer"].clone()).collect();
        assert_eq!(json!(found), pointers, "{}", refused.json);
    }
    assert_eq!(
        h.database
            .count("select count(*) from risk.prediction_reviews")
            .await,
        0
    );
}

#[tokio::test]
async fn predictions_of_others_are_neither_reviewed_nor_told_of() {
    let (h, ids) = predicted().await;
    let body = json!({"decision": "accept"});
    for (who, id, code) in [
        ("counselor", ids[1], 404),
        ("counselor", 999_999, 404),
        ("supervisor", ids[0], 404),
        ("pipeline", ids[0], 403),
        ("client-a", ids[0], 403),
        ("oncall", ids[0], 403),
    ] {
        let caller = h.call(who);
        let posted = caller.post(&format!("/v1/predictions/{id}/review"), &body).await;
        assert_eq!(posted.code(), code, "{who} {id}");
        let read = caller.get(&format!("/v1/predictions/{id}/reviews")).await;
        assert_eq!(read.code(), code, "{who} {id}");
    }
}

#[tokio::test]
async fn who_sees_a_client_for_a_crisis_alone_reviews_nothing() {
    let (h, ids) = predicted().await;
    let access = "insert into core.temporary_access (staff_id, client_id, cause, reference, until)
        values ('staff-counselor', 'client-b', 'escalation', 1, now() + interval '1 hour')";
    h.database.superuser().await.run(access).await;
    let caller = h.call("counselor");
    let path = format!("/v1/predictions/{}/review", ids[1]);
    let posted = caller.post(&path, &json!({"decision": "accept"})).await;
    assert_eq!(posted.code(), 404);
    assert_eq!(caller.get(&format!("{path}s")).await.code(), 404);
}

#[tokio::test]
async fn a_review_sent_again_under_its_key_is_one() {
    let (h, ids) = predicted().await;
    let path = format!("/v1/predictions/{}/review", ids[0]);
    let caller = h.call("counselor").with_header("Idempotency-Key", "once");
    let body = json!({"decision": "accept"});
    let first = caller.post(&path, &body).await;
    let again = caller.post(&path, &body).await;
    assert_eq!((first.code(), again.code()), (201, 201));
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(
        h.database
            .count("select count(*) from risk.prediction_reviews")
            .await,
        1
    );
}
