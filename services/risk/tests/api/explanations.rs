//! Why a model says what it says.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Harness, prediction};

/// A prediction of an hour ago, explained so.
fn explained(h: &Harness, probability: f64, explanations: Value) -> Value {
    let mut body = prediction("client-a", "1", probability, h.ago(TimeDelta::hours(1)));
    body["explanations"] = explanations;
    body
}

/// SHAP values of the harness's three features.
fn shap(link: &str, base: f64, [messages, sleep, alone]: [f64; 3]) -> Value {
    json!({"method": "shap", "link": link, "base_value": base, "contributions": [
        {"feature": "messages_7d", "value": 12, "contribution": messages},
        {"feature": "sleep_hours", "contribution": sleep},
        {"feature": "lives_alone", "value": true, "contribution": alone},
    ]})
}

async fn refused(h: &Harness, body: &Value) -> Vec<String> {
    let answer = h.predict(body).await;
    assert_eq!(answer.code(), 422, "{}", answer.json);
    let errors = answer.at("/errors").as_array().unwrap();
    let told = |error: &Value| {
        let [pointer, detail] = ["pointer", "detail"].map(|name| error[name].as_str().unwrap());
        format!("{pointer} {detail}")
    };
    errors.iter().map(told).collect()
}

#[tokio::test]
async fn reasons_are_read_ranked_with_value_change_and_words() {
    let mut h = Harness::with_model().await;
    h.client("client-b", &["counselor"]).await;
    // Before: of this client one of the day before, and of another one since.
    let mut before = prediction("client-a", "1", 0.2, h.ago(TimeDelta::hours(25)));
    before["features"] = json!({"messages_7d": 30, "sleep_hours": null, "lives_alone": false});
    assert_eq!(h.predict(&before).await.code(), 201);
    assert_eq!(
        h.predict(&prediction("client-b", "1", 0.2, h.ago(TimeDelta::hours(2))))
            .await
            .code(),
        201
    );
    let body = explained(
        &h,
        0.6,
        json!([
            shap("identity", 0.25, [0.3, -0.05, 0.1]),
            {"method": "lime", "contributions": [{"feature": "messages_7d", "contribution": -0.2}]},
        ]),
    );
    let made = h.predict(&body).await;
    assert_eq!(made.code(), 201, "{}", made.json);
    let path = format!("/v1/predictions/{}", made.at("/prediction_id"));
    let found = h.call("counselor").get(&path).await;
    assert_eq!(found.at("/captured_at"), "2026-06-15T11:00:00Z");
    assert_eq!(found.at("/before_at"), "2026-06-14T11:00:00Z");
    assert_eq!(found.at("/feature_set_version"), "engagement-1");
    assert_eq!(
        found.at("/explanations"),
        &json!([
            {"method": "lime", "base_value": null, "link": null, "contributions": [
                {"rank": 1, "feature": "messages_7d", "contribution": -0.2, "value": 12, "value_before": 30, "change": -18.0,
                 "text": "They stay in touch."},
            ]},
            {"method": "shap", "base_value": 0.25, "link": "identity", "contributions": [
                {"rank": 1, "feature": "messages_7d", "contribution": 0.3, "value": 12, "value_before": 30, "change": -18.0,
                 "text": "They write less than before."},
                {"rank": 2, "feature": "lives_alone", "contribution": 0.1, "value": true, "value_before": false,
                 "change": null, "text": null},
                {"rank": 3, "feature": "sleep_hours", "contribution": -0.05, "value": 6.5, "value_before": null,
                 "change": null, "text": null},
            ]},
        ])
    );
}

#[tokio::test]
async fn the_first_snapshot_of_a_set_has_none_before() {
    let h = Harness::with_model().await;
    let made = h
        .predict(&explained(
            &h,
            0.6,
            json!([shap("identity", 0.25, [0.3, -0.05, 0.1])]),
        ))
        .await;
    let path = format!("/v1/predictions/{}", made.at("/prediction_id"));
    let found = h.call("counselor").get(&path).await;
    assert_eq!(found.at("/before_at"), &Value::Null);
    assert_eq!(
        found.at("/explanations/0/contributions/0/value_before"),
        &Value::Null
    );
    assert_eq!(found.at("/reviews"), &json!([]));
}

#[tokio::test]
async fn shap_values_add_up_to_the_prediction_in_their_link() {
    let h = Harness::with_model().await;
    let log_odds = (0.6_f64 / 0.4).ln();
    let off = shap("identity", 0.25, [0.3, -0.05, 0.102]);
    assert_eq!(
        refused(&h, &explained(&h, 0.6, json!([off]))).await,
        [
            "/explanations/0 base_value and contributions add up to 0.602000 in probability, which is off the prediction of \
          0.6 by +0.002000; at most 0.001 is allowed"
        ]
    );
    let mistaken = shap("logit", 0.25, [0.3, -0.05, 0.1]);
    let told = refused(&h, &explained(&h, 0.6, json!([mistaken]))).await;
    assert!(
        told[0].contains("0.600000 in log-odds") && told[0].contains("by +0.194535"),
        "{told:?}"
    );
    let good = shap("logit", log_odds - 0.4, [0.3, 0.0, 0.1009]);
    assert_eq!(h.predict(&explained(&h, 0.6, json!([good]))).await.code(), 201);
}

#[tokio::test]
async fn shap_is_refused_without_base_and_link_and_other_methods_are_not() {
    let h = Harness::with_model().await;
    let bare = |method: &str| json!({"method": method, "contributions": [{"feature": "sleep_hours", "contribution": 9}]});
    assert_eq!(
        refused(&h, &explained(&h, 0.6, json!([bare("shap")]))).await,
        [
            "/explanations/0/base_value is required for shap",
            "/explanations/0/link is required for shap"
        ]
    );
    let others = json!([bare("lime"), bare("permutation"), bare("other")]);
    assert_eq!(h.predict(&explained(&h, 0.6, others)).await.code(), 201);
}

#[tokio::test]
async fn a_reason_is_a_feature_of_the_set_with_the_value_of_the_snapshot() {
    let h = Harness::with_model().await;
    let explanation = json!({"method": "lime", "contributions": [
        {"feature": "messages_7d", "value": 13, "contribution": 0.1},
        {"feature": "shoe_size", "contribution": 0.1},
        {"feature": "sleep_hours", "value": null, "contribution": 0.1},
        {"feature": "lives_alone", "value": "yes", "contribution": 0.1},
    ]});
    assert_eq!(
        refused(&h, &explained(&h, 0.6, json!([explanation]))).await,
        [
            "/explanations/0/contributions/0/value is 13, and 12 in the snapshot",
            "/explanations/0/contributions/1/feature is no feature of engagement-1",
            "/explanations/0/contributions/2/value is null, and 6.5 in the snapshot",
            "/explanations/0/contributions/3/value must be true or false",
        ]
    );
}

#[tokio::test]
async fn a_feature_counts_once_in_a_method_and_a_method_once_in_a_prediction() {
    let h = Harness::with_model().await;
    let one = json!({"method": "lime", "contributions": [{"feature": "sleep_hours", "contribution": 0.1}]});
    let twice = json!({"method": "other", "contributions": [
        {"feature": "sleep_hours", "contribution": 0.1}, {"feature": "sleep_hours", "contribution": 0.1}]});
    assert_eq!(
        refused(&h, &explained(&h, 0.6, json!([one, one]))).await,
        ["/explanations holds two of one method"]
    );
    assert_eq!(
        refused(&h, &explained(&h, 0.6, json!([twice]))).await,
        ["/explanations/0/contributions names a feature twice"]
    );
    let many = json!([one, one, one, one, one]);
    assert_eq!(h.predict(&explained(&h, 0.6, many)).await.code(), 413);
    let infinite =
        json!({"method": "lime", "contributions": [{"feature": "sleep_hours", "contribution": 1e301}]});
    assert_eq!(
        refused(&h, &explained(&h, 0.6, json!([infinite]))).await,
        ["/explanations/0/contributions/0/contribution must be from -1e300 to 1e300"]
    );
}

#[tokio::test]
async fn the_same_explanation_again_is_the_same_and_another_is_refused() {
    let h = Harness::with_model().await;
    let lime = json!({"method": "lime", "contributions": [{"feature": "sleep_hours", "contribution": 0.1}]});
    let body = explained(&h, 0.6, json!([shap("identity", 0.25, [0.3, -0.05, 0.1]), lime]));
    assert_eq!(h.predict(&body).await.code(), 201);
    let mut turned = body.clone();
    turned["explanations"].as_array_mut().unwrap().reverse();
    assert_eq!(h.predict(&turned).await.code(), 200);
    for (pointer, value) in [
        ("/explanations/1/contributions/0/contribution", json!(0.11)),
        ("/explanations/1/contributions/0/feature", json!("lives_alone")),
        ("/explanations/0/base_value", json!(0.250_1)),
        ("/explanations/1/method", json!("other")),
    ] {
        let mut other = body.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        assert_eq!(h.predict(&other).await.code(), 409, "{pointer}");
    }
    let rows = h
        .database
        .count("select count(*) from risk.xai_explanations")
        .await;
    assert_eq!(rows, 4);
}
