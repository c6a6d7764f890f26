//! Snapshots of features.

use chrono::TimeDelta;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{FEATURES, Harness, feature_set, features};

const PATH: &str = "/v1/users/client-a/feature-snapshots";

fn body() -> Value {
    json!({
        "feature_set_version": FEATURES, "captured_at": "2026-06-15T03:00:00Z", "source": "nightly", "features": features(),
    })
}

async fn with_features() -> Harness {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.declare().await;
    h
}

async fn capture(h: &Harness, body: &Value) -> Answer {
    h.call("pipeline").post(PATH, body).await
}

async fn stored(h: &Harness) -> i64 {
    h.database
        .count("select count(*) from risk.feature_snapshots")
        .await
}

/// Posts what must be refused; returns where it is at fault.
async fn refused(h: &Harness, body: &Value) -> Vec<String> {
    let answer = capture(h, body).await;
    assert_eq!(answer.code(), 422, "{}", answer.json);
    let errors = answer.at("/errors").as_array().unwrap();
    let told = |error: &Value| {
        let [pointer, detail] = ["pointer", "detail"].map(|name| error[name].as_str().unwrap());
        format!("{pointer} {detail}")
    };
    errors.iter().map(told).collect()
}

#[tokio::test]
async fn the_same_capture_again_is_the_same_row_and_another_is_refused() {
    let h = with_features().await;
    let first = capture(&h, &body()).await;
    assert_eq!(first.code(), 201, "{}", first.json);
    let mut again = body();
    // The order of names and how a number is written say nothing.
    again["features"] = json!({"lives_alone": true, "sleep_hours": 6.50, "messages_7d": 12});
    let repeat = capture(&h, &again).await;
    assert_eq!((repeat.code(), &repeat.json), (200, &first.json));
    again["features"]["sleep_hours"] = json!(6.6);
    let other = capture(&h, &again).await;
    assert_eq!(other.code(), 409);
    assert_eq!(other.at("/type"), "/problems/differs");
    again["source"] = json!("hourly");
    assert_eq!(capture(&h, &again).await.code(), 201);
    assert_eq!(stored(&h).await, 2);
}

#[tokio::test]
async fn fifty_at_once_store_one_snapshot() {
    let h = with_features().await;
    let body = body();
    let answers = join_all((0..50).map(|_| capture(&h, &body))).await;
    let mut codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    codes.sort_unstable();
    assert_eq!((codes[0], codes[48], codes[49]), (200, 200, 201));
    assert_eq!(stored(&h).await, 1);
}

#[tokio::test]
async fn everything_that_is_wrong_with_features_is_told_at_once() {
    let h = with_features().await;
    let mut bad = body();
    bad["features"] = json!({"messages_7d": 1.5, "sleep_hours": 24.5, "a/b~c": 1, "p": null});
    assert_eq!(
        refused(&h, &bad).await,
        [
            "/features/lives_alone is required",
            "/features/messages_7d must be a whole number, written without fraction or exponent",
            "/features/sleep_hours must be from 0 to 24",
            "/features/a~1b~0c is no feature of engagement-1",
            "/features/p is no feature of engagement-1",
        ]
    );
    let infinite = r#"{"feature_set_version": "engagement-1", "features": {"messages_7d": 1, "sleep_hours": 1e999, "lives_alone": true}}"#;
    let answer = h
        .call("pipeline")
        .send(Method::POST, PATH, Some(infinite.as_bytes().to_vec()))
        .await;
    assert_eq!(answer.code(), 422);
    assert_eq!(answer.at("/errors/0/pointer"), "/features/sleep_hours");
    assert_eq!(stored(&h).await, 0);
}

#[tokio::test]
async fn null_stands_only_where_it_is_declared() {
    let h = with_features().await;
    let mut given = body();
    given["features"]["sleep_hours"] = Value::Null;
    assert_eq!(capture(&h, &given).await.code(), 201);
    given["features"]["lives_alone"] = Value::Null;
    assert_eq!(
        refused(&h, &given).await,
        ["/features/lives_alone must not be null"]
    );
}

#[tokio::test]
async fn a_snapshot_is_of_a_declared_set_of_a_client_and_not_of_the_future() {
    let h = with_features().await;
    let mut given = body();
    given["feature_set_version"] = json!("other");
    assert_eq!(
        refused(&h, &given).await,
        ["/feature_set_version is no declared feature set; post it to /v1/feature-sets first"]
    );
    for time in [
        "1999-12-31T23:59:59Z",
        "2026-06-15T03:00:00",
        "2098-01-01T00:00:00Z",
    ] {
        let mut given = body();
        given["captured_at"] = json!(time);
        assert_eq!(refused(&h, &given).await.len(), 1, "{time}");
    }
    for nobody in ["absent", "staff-counselor"] {
        let path = format!("/v1/users/{nobody}/feature-snapshots");
        assert_eq!(
            h.call("pipeline").post(&path, &body()).await.code(),
            404,
            "{nobody}"
        );
    }
    for name in ["counselor", "admin", "app"] {
        assert_eq!(h.call(name).post(PATH, &body()).await.code(), 403, "{name}");
    }
}

#[tokio::test]
async fn a_late_capture_stands_in_its_place_among_the_newest_first() {
    let h = with_features().await;
    for hour in [3, 9, 6] {
        let mut given = body();
        given["captured_at"] = json!(format!("2026-06-15T0{hour}:00:00Z"));
        assert_eq!(capture(&h, &given).await.code(), 201);
    }
    let counselor = h.call("counselor");
    let first = counselor.get(&format!("{PATH}?limit=2")).await;
    let cursor = first.at("/next_cursor").as_str().unwrap().to_owned();
    let second = counselor.get(&format!("{PATH}?limit=2&cursor={cursor}")).await;
    let times: Vec<&Value> = [first.at("/items/0"), first.at("/items/1"), second.at("/items/0")]
        .map(|item| &item["captured_at"])
        .to_vec();
    assert_eq!(
        times,
        [
            "2026-06-15T09:00:00Z",
            "2026-06-15T06:00:00Z",
            "2026-06-15T03:00:00Z"
        ]
    );
    assert_eq!(first.at("/items/0/features"), &features());
    assert_eq!(h.call("counselor_other").get(PATH).await.code(), 404);
    assert_eq!(h.call("pipeline").get(PATH).await.code(), 403);
}

#[tokio::test]
async fn a_key_answers_a_snapshot_again_and_another_body_never() {
    let h = with_features().await;
    let keyed = h.call("pipeline").with_header("idempotency-key", "k1");
    let mut given = body();
    given.as_object_mut().unwrap().remove("captured_at");
    let first = keyed.post(PATH, &given).await;
    h.clock.advance(TimeDelta::minutes(1));
    let again = keyed.post(PATH, &given).await;
    assert_eq!((again.code(), &again.json), (201, &first.json));
    assert_eq!(first.at("/captured_at"), "2026-06-15T12:00:00Z");
    given["source"] = json!("other");
    assert_eq!(keyed.post(PATH, &given).await.code(), 422);
    assert_eq!(stored(&h).await, 1);
}

#[tokio::test]
async fn features_of_another_version_of_the_set_are_another_snapshot() {
    let h = with_features().await;
    let answer = h
        .call("admin")
        .post("/v1/feature-sets", &feature_set("engagement-2"))
        .await;
    assert_eq!(answer.code(), 201);
    assert_eq!(capture(&h, &body()).await.code(), 201);
    let mut other = body();
    other["feature_set_version"] = json!("engagement-2");
    assert_eq!(capture(&h, &other).await.code(), 201);
}
