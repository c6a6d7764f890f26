//! Up to a thousand predictions at once.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, prediction};

/// Predictions of the last hours of one client, one an hour.
fn items(h: &Harness, user_id: &str, count: i64) -> Vec<Value> {
    (1..=count)
        .map(|hours| prediction(user_id, "1", 0.4, h.ago(TimeDelta::hours(hours))))
        .collect()
}

async fn post(h: &Harness, query: &str, items: &[Value]) -> Answer {
    let path = format!("/v1/predictions:batch{query}");
    h.call("pipeline").post(&path, &json!({"items": items})).await
}

async fn stored(h: &Harness) -> i64 {
    h.database
        .count("select count(*) from risk.model_predictions")
        .await
}

/// One good item and one of every sort that is bad.
fn good_and_bad(h: &Harness) -> Vec<Value> {
    let mut items = items(h, "client-a", 8);
    items[1]["user_id"] = json!("absent");
    items[2]["probability"] = json!(2);
    items[3]["model_version"] = json!("none");
    items[4]["features"]["sleep_hours"] = json!(25);
    // Of the same snapshot as the first, and another probability.
    items[5] = prediction("client-a", "1", 0.5, h.ago(TimeDelta::hours(1)));
    items[6]["explanations"] =
        json!([{"method": "lime", "contributions": [{"feature": "x", "contribution": 1}]}]);
    items[7] = items[0].clone();
    items
}

#[tokio::test]
async fn a_thousand_predictions_are_stored_at_once_each_with_its_event() {
    let mut h = Harness::with_model().await;
    h.client("client-b", &["counselor"]).await;
    let mut all = items(&h, "client-a", 500);
    all.extend(items(&h, "client-b", 500));
    for item in &mut all {
        item["explanations"] = json!([{"method": "shap", "base_value": 0.3, "link": "identity", "contributions": [
            {"feature": "sleep_hours", "contribution": 0.1}, {"feature": "lives_alone", "contribution": 0.0}]}]);
    }
    let answer = post(&h, "", &all).await;
    assert_eq!(answer.code(), 200, "{}", answer.json);
    assert_eq!(answer.items().len(), 1_000);
    assert_eq!(answer.at("/items/999/user_id"), "client-b");
    assert_eq!(stored(&h).await, 1_000);
    let explained = h
        .database
        .count("select count(*) from risk.xai_explanations")
        .await;
    assert_eq!(explained, 2_000);
    let events = h.events("risk.prediction.recorded").await;
    let current: Vec<&Value> = events
        .iter()
        .filter(|event| event["is_current"] == true)
        .collect();
    assert_eq!((events.len(), current.len()), (1_000, 2));
    assert_eq!(h.events("risk.level.changed").await.len(), 2);
    let again = post(&h, "", &all).await;
    assert_eq!(again.json, answer.json, "a repeat answers the same rows");
    assert_eq!(h.events("risk.prediction.recorded").await.len(), 1_000);
}

#[tokio::test]
async fn one_bad_item_refuses_all_and_every_bad_one_is_named() {
    let h = Harness::with_model().await;
    let mut items = good_and_bad(&h);
    let refused = post(&h, "", &items).await;
    assert_eq!(refused.code(), 422);
    // What can be read is looked up once everything can be read.
    assert_eq!(refused.at("/errors/0/pointer"), "/items/2/probability");
    items[2]["probability"] = json!(0.2);
    let refused = post(&h, "", &items).await;
    assert_eq!(refused.code(), 422);
    let pointers: Vec<&str> = refused
        .at("/errors")
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/items/1/user_id",
            "/items/3/model_version",
            "/items/4/features/sleep_hours",
            "/items/5",
            "/items/6/explanations/0/contributions/0/feature",
        ]
    );
    assert_eq!(stored(&h).await, 0);
    let snapshots = h
        .database
        .count("select count(*) from risk.feature_snapshots")
        .await;
    assert_eq!(snapshots, 0);
    assert!(h.events("risk.prediction.recorded").await.is_empty());
}

#[tokio::test]
async fn partial_stores_the_good_ones_and_says_why_not_the_others() {
    let h = Harness::with_model().await;
    let answer = post(&h, "?partial=true", &good_and_bad(&h)).await;
    assert_eq!(answer.code(), 200, "{}", answer.json);
    let told: Vec<String> = answer
        .items()
        .iter()
        .map(|item| match item.get("problem") {
            Some(problem) => format!(
                "{} {}",
                problem["status"],
                problem["errors"][0]["pointer"].as_str().unwrap_or_default()
            ),
            None => "stands".to_owned(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "stands",
            "404 ",
            "422 /items/2/probability",
            "422 /items/3/model_version",
            "422 /items/4/features/sleep_hours",
            "409 ",
            "422 /items/6/explanations/0/contributions/0/feature",
            "stands",
        ]
    );
    assert_eq!(answer.at("/items/7"), answer.at("/items/0"));
    assert_eq!(stored(&h).await, 1);
    assert_eq!(h.events("risk.prediction.recorded").await.len(), 1);
}

#[tokio::test]
async fn versions_that_read_the_same_features_share_the_snapshot() {
    let h = Harness::with_model().await;
    h.register("2", "shadow").await;
    let at = h.ago(TimeDelta::hours(1));
    let pair = [
        prediction("client-a", "1", 0.4, at),
        prediction("client-a", "2", 0.9, at),
    ];
    let answer = post(&h, "", &pair).await;
    assert_eq!(answer.code(), 200, "{}", answer.json);
    assert_eq!(
        answer.at("/items/0/snapshot_id"),
        answer.at("/items/1/snapshot_id")
    );
    let mut other = pair[1].clone();
    other["features"]["messages_7d"] = json!(13);
    let refused = post(&h, "?partial=true", &[other]).await;
    assert_eq!(refused.at("/items/0/problem/status"), 409);
}

#[tokio::test]
async fn batches_that_cross_wait_for_each_other_and_store_each_prediction_once() {
    let mut h = Harness::with_model().await;
    for client in ["client-b", "client-c", "client-d"] {
        h.client(client, &["counselor"]).await;
    }
    let mut forwards = Vec::new();
    for client in ["client-a", "client-b", "client-c", "client-d"] {
        forwards.extend(items(&h, client, 10));
    }
    let backwards: Vec<Value> = forwards.iter().rev().cloned().collect();
    let posts = (0..12).map(|number| post(&h, "", if number % 2 == 0 { &forwards } else { &backwards }));
    let answers = join_all(posts).await;
    assert!(
        answers.iter().all(|answer| answer.code() == 200),
        "{:?}",
        answers[0].json
    );
    assert_eq!(stored(&h).await, 40);
    assert_eq!(h.events("risk.prediction.recorded").await.len(), 40);
}

#[tokio::test]
async fn a_batch_has_a_thousand_items_at_most_and_some() {
    let h = Harness::with_model().await;
    assert_eq!(post(&h, "", &items(&h, "client-a", 1_001)).await.code(), 413);
    assert_eq!(post(&h, "", &[]).await.code(), 422);
    let padded = json!({"items": items(&h, "client-a", 1), "x": "x".repeat(16 * 1024 * 1024)});
    let path = "/v1/predictions:batch";
    assert_eq!(h.call("pipeline").post(path, &padded).await.code(), 413);
    assert_eq!(stored(&h).await, 0);
}

#[tokio::test]
async fn a_batch_under_a_key_is_answered_again_byte_for_byte() {
    let h = Harness::with_model().await;
    let keyed = h.call("pipeline").with_header("idempotency-key", "k1");
    let body = json!({"items": items(&h, "client-a", 3)});
    let first = keyed.post("/v1/predictions:batch", &body).await;
    let again = keyed.post("/v1/predictions:batch", &body).await;
    assert_eq!((first.code(), &again.bytes), (200, &first.bytes));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(stored(&h).await, 3);
}

#[tokio::test]
async fn only_a_pipeline_posts_batches() {
    let h = Harness::with_model().await;
    for name in ["counselor", "admin", "app", "service"] {
        let answer = h
            .call(name)
            .post("/v1/predictions:batch", &json!({"items": 1}))
            .await;
        assert_eq!(answer.code(), 403, "{name}");
    }
}
