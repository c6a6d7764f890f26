//! Posting predictions: what is stored, what is refused, what a repeat does.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Harness, calm, scores};

#[tokio::test]
async fn a_prediction_is_stored_with_its_profile_and_its_event_in_one_transaction() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let answer = h.writes("client-a", &scores(0.1, 0.2)).await;
    assert_eq!(answer.at("/risk_score"), &json!(0.1));
    assert_eq!(answer.at("/profile/current_risk_label"), &json!("LOW_RISK"));
    assert_eq!(answer.at("/escalation_id"), &Value::Null);
    let events = h.events("social.prediction.recorded").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["prediction_id"], *answer.at("/id"));
    assert!(events[0].get("message_text").is_none());
    assert_eq!(h.events("social.profile.changed").await.len(), 1);
}

#[tokio::test]
async fn a_repeat_finds_the_row_that_stands_and_other_content_is_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let first = h.predict(message, &calm()).await;
    let again = h.predict(message, &calm()).await;
    assert_eq!((first.code(), again.code()), (201, 200));
    assert_eq!(first.at("/id"), again.at("/id"));
    let other = h.predict(message, &scores(0.2, 0.1)).await;
    assert_eq!(
        (other.code(), other.at("/type")),
        (409, &json!("/problems/differs"))
    );
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        1
    );
    assert_eq!(h.events("social.prediction.recorded").await.len(), 1);
}

#[tokio::test]
async fn an_unknown_message_is_not_found_and_a_message_of_staff_is_not_scored() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    assert_eq!(h.predict(99, &calm()).await.code(), 404);
    let reply = h
        .message_of("client-a", TimeDelta::zero(), "counselor", "staff")
        .await;
    let answer = h.predict(reply, &calm()).await;
    assert_eq!(
        (answer.code(), answer.at("/errors/0/pointer")),
        (422, &json!("/message_id"))
    );
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        0
    );
}

#[tokio::test]
async fn what_is_no_probability_is_refused_with_every_fault_at_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let path = format!("/v1/messages/{message}/predictions");
    let bad = json!({
        "p_craving": -0.01, "p_relapse": 1.01, "p_negative_mood": null, "p_neutral": "0.5", "p_toxic": 0.1,
        "risk_score": 2, "model_version": "", "status": "sent", "timestamp": "2026-06-15T12:00:00",
    });
    let answer = h.call("pipeline").post(&path, &bad).await;
    assert_eq!(answer.code(), 422);
    let mut pointers: Vec<&str> = answer
        .at("/errors")
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/model_version",
            "/p_craving",
            "/p_isolation",
            "/p_negative_mood",
            "/p_neutral",
            "/p_relapse",
            "/risk_score",
            "/status",
            "/timestamp",
        ]
    );
    for literal in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let body = calm()
            .to_string()
            .replace("\"p_toxic\":0.0", &format!("\"p_toxic\":{literal}"));
        let answer = h
            .call("pipeline")
            .send(reqwest::Method::POST, &path, Some(body.into_bytes()))
            .await;
        assert_eq!(answer.code(), 422, "{literal}");
    }
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        0
    );
}

#[tokio::test]
async fn a_time_in_the_future_or_before_2000_is_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    for time in ["2199-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "yesterday"] {
        let mut body = calm();
        body["timestamp"] = json!(time);
        let answer = h.predict(message, &body).await;
        assert_eq!(
            (answer.code(), answer.at("/errors/0/pointer")),
            (422, &json!("/timestamp")),
            "{time}"
        );
    }
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_names_every_bad_index() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let good = h.message("client-a", TimeDelta::zero()).await;
    let item = |message_id: i64| {
        let mut item = calm();
        item["message_id"] = json!(message_id);
        item
    };
    let batch = json!({"items": [item(good), item(77), item(88)]});
    let answer = h.call("pipeline").post("/v1/predictions:batch", &batch).await;
    assert_eq!(answer.code(), 422);
    let pointers: Vec<&Value> = answer
        .at("/errors")
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["pointer"])
        .collect();
    assert_eq!(
        pointers,
        [&json!("/items/1/message_id"), &json!("/items/2/message_id")]
    );
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        0
    );
    assert_eq!(h.database.count("select count(*) from social.outbox").await, 0);

    let partial = h
        .call("pipeline")
        .post("/v1/predictions:batch?partial=true", &batch)
        .await;
    assert_eq!(partial.code(), 200);
    assert_eq!(partial.at("/items/0/message_id"), &json!(good));
    assert_eq!(partial.at("/items/1/problem/status"), &json!(404));
    assert_eq!(partial.at("/items/2/problem/status"), &json!(404));
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        1
    );
}

#[tokio::test]
async fn an_invalid_item_of_a_partial_batch_does_not_keep_its_neighbours_out() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let mut bad = calm();
    bad["message_id"] = json!(message);
    bad["p_toxic"] = json!(7);
    let mut good = calm();
    good["message_id"] = json!(message);
    let answer = h
        .call("pipeline")
        .post(
            "/v1/predictions:batch?partial=true",
            &json!({"items": [bad, good]}),
        )
        .await;
    assert_eq!(
        answer.at("/items/0/problem/errors/0/pointer"),
        &json!("/items/0/p_toxic")
    );
    assert_eq!(answer.at("/items/1/message_id"), &json!(message));
}

#[tokio::test]
async fn a_batch_over_the_limit_is_too_large() {
    let h = Harness::new().await;
    let items: Vec<Value> = (0..1_001)
        .map(|n| {
            let mut item = calm();
            item["message_id"] = json!(n + 1);
            item
        })
        .collect();
    let answer = h
        .call("pipeline")
        .post("/v1/predictions:batch", &json!({"items": items}))
        .await;
    assert_eq!(answer.code(), 413);
}

#[tokio::test]
async fn a_repeat_within_a_batch_is_one_prediction() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let mut item = calm();
    item["message_id"] = json!(message);
    let answer = h
        .call("pipeline")
        .post("/v1/predictions:batch", &json!({"items": [item, item]}))
        .await;
    assert_eq!(answer.code(), 200, "{}", answer.json);
    assert_eq!(answer.at("/items/0/id"), answer.at("/items/1/id"));
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        1
    );
}

#[tokio::test]
async fn a_retry_under_its_key_is_answered_byte_for_byte_and_another_body_is_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let path = format!("/v1/messages/{message}/predictions");
    let pipeline = h.call("pipeline").with_header("idempotency-key", "k1");
    let first = pipeline.post(&path, &calm()).await;
    let replay = pipeline.post(&path, &calm()).await;
    assert_eq!((first.code(), replay.code()), (201, 201));
    assert_eq!(first.bytes, replay.bytes);
    assert_eq!(pipeline.post(&path, &scores(0.3, 0.3)).await.code(), 422);
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        1
    );
}

#[tokio::test]
async fn parallel_repeats_of_one_prediction_have_one_effect() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let body = calm();
    let answers = futures::future::join_all((0..50).map(|_| h.predict(message, &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code() == 201).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer.code(), 200 | 201)));
    assert_eq!(
        h.database
            .count("select count(*) from social.message_predictions")
            .await,
        1
    );
    assert_eq!(h.events("social.prediction.recorded").await.len(), 1);
}

#[tokio::test]
async fn neighbours_of_a_refused_prediction_are_stored() {
    let mut h = Harness::new().await;
    let mut messages = Vec::new();
    for n in 0..20 {
        let user = format!("client-{n}");
        h.client(&user, &[]).await;
        messages.push(h.message(&user, TimeDelta::zero()).await);
    }
    messages.extend(1_000..1_020);
    let body = calm();
    let answers = futures::future::join_all(messages.iter().map(|id| h.predict(*id, &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code() == 201).count(), 20);
    assert_eq!(answers.iter().filter(|answer| answer.code() == 404).count(), 20);
}

#[tokio::test]
async fn of_several_versions_the_latest_counts_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let message = h.message("client-a", TimeDelta::hours(1)).await;
    let version = |name: &str, risk: f64, at: &str| {
        let mut body = scores(risk, 0.0);
        body["model_version"] = json!(name);
        body["timestamp"] = json!(at);
        body
    };
    h.predict(message, &version("m1", 0.4, "2026-06-15T11:10:00Z"))
        .await;
    let later = h
        .predict(message, &version("m2", 0.1, "2026-06-15T11:20:00Z"))
        .await;
    assert_eq!(later.at("/profile/short_avg_risk_score"), &json!(0.1));
    let late = h
        .predict(message, &version("m3", 0.9, "2026-06-15T11:00:00Z"))
        .await;
    assert_eq!(late.at("/profile/short_avg_risk_score"), &json!(0.1));
    let list = h.call("counselor").get("/v1/users/client-a/predictions").await;
    let counting: Vec<Value> = list
        .items()
        .into_iter()
        .filter(|p| p["counts"] == true)
        .map(|p| p["model_version"].clone())
        .collect();
    assert_eq!(counting, [json!("m2")]);
}

#[tokio::test]
async fn a_repeat_with_nanoseconds_is_the_same_again() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let mut body = calm();
    body["timestamp"] = json!("2026-06-15T11:00:00.123456789Z");
    assert_eq!(h.predict(message, &body).await.code(), 201);
    assert_eq!(h.predict(message, &body).await.code(), 200);
}

#[tokio::test]
async fn two_versions_of_a_message_whose_author_has_no_profile_yet_count_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let message = h.message("client-a", TimeDelta::zero()).await;
    let blocker = h.database.superuser().await;
    blocker.run("delete from social.user_risk_profiles; begin").await;
    // Somebody else is making the profile: both posts find none and wait for this transaction.
    blocker
        .run("insert into social.user_risk_profiles (user_id, policy_version) values ('client-a', 'fusion_v2')")
        .await;
    let version = |name: &str| {
        let mut body = calm();
        body["model_version"] = json!(name);
        body
    };
    let (first, second) = (version("m1"), version("m2"));
    let pipeline = h.call("pipeline");
    let keyed = |key: &str| pipeline.with_header("idempotency-key", key);
    let path = format!("/v1/messages/{message}/predictions");
    let (one, other) = (keyed("k1"), keyed("k2"));
    let posts = async { tokio::join!(one.post(&path, &first), other.post(&path, &second)) };
    let release = async {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        testkit::eventually("both posts wait", std::time::Duration::from_secs(5), async || {
            h.database.count(waiting).await >= 2
        })
        .await;
        blocker.run("commit").await;
    };
    let ((one, other), ()) = tokio::join!(posts, release);
    assert_eq!((one.code(), other.code()), (201, 201));
    let counting = "select count(*) from social.message_predictions where not superseded";
    assert_eq!(h.database.count(counting).await, 1);
}

#[tokio::test]
async fn of_two_contents_for_one_key_in_a_batch_the_first_is_stored_and_told_and_the_second_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    // Higher ids first: what is stored in the order of messages is still told in the order given.
    let (older, newer) = (
        h.message("client-a", TimeDelta::hours(2)).await,
        h.message("client-a", TimeDelta::hours(1)).await,
    );
    let item = |message_id: i64, risk: f64| {
        let mut item = scores(risk, 0.1);
        item["message_id"] = json!(message_id);
        item
    };
    let batch = json!({"items": [item(newer, 0.95), item(newer, 0.1), item(older, 0.2), item(newer, 0.95)]});
    let answer = h
        .call("pipeline")
        .post("/v1/predictions:batch?partial=true", &batch)
        .await;
    assert_eq!(answer.code(), 200, "{}", answer.json);
    assert_eq!(answer.at("/items/0/risk_score"), &json!(0.95));
    assert_eq!(answer.at("/items/1/problem/status"), &json!(409));
    assert_eq!(answer.at("/items/2/risk_score"), &json!(0.2));
    assert_eq!(answer.at("/items/3/id"), answer.at("/items/0/id"));
    let told: Vec<Value> = h
        .events("social.prediction.recorded")
        .await
        .iter()
        .map(|event| event["risk_score"].clone())
        .collect();
    assert_eq!(told, [json!(0.95), json!(0.2)]);
    assert_eq!(
        answer.at("/items/0/profile/current_risk_label"),
        &json!("HIGH_RISK")
    );
}
