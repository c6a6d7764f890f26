//! Reading profiles: the caseload most urgent first, page by page.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Harness, calm, scores};

async fn caseload() -> Harness {
    let mut h = Harness::new().await;
    for (client, risk, isolation) in [
        ("client-low", 0.1, 0.1),
        ("client-high", 0.9, 0.1),
        ("client-mid", 0.4, 0.1),
        ("client-alone", 0.1, 0.95),
    ] {
        h.client(client, &["counselor"]).await;
        h.writes(client, &scores(risk, isolation)).await;
    }
    h.client("client-silent", &["counselor"]).await;
    h
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["user_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_caseload_is_listed_most_urgent_first_with_reasons_and_open_escalations() {
    let h = caseload().await;
    let list = h.call("counselor").get("/v1/risk-profiles").await;
    let items = list.items();
    assert_eq!(
        ids(&items),
        [
            "client-high",
            "client-mid",
            "client-alone",
            "client-silent",
            "client-low"
        ]
    );
    assert_eq!(items[0]["reasons"][0]["code"], json!("max_risk_score"));
    assert_eq!(items[0]["open_escalations"][0]["status"], json!("notified"));
    assert_eq!(items[0]["last_contact"], Value::Null);
    assert_eq!(items[0]["display_name"], json!("client-high"));
    assert_eq!(items[3]["current_risk_label"], json!("UNKNOWN"));
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap() {
    let h = caseload().await;
    let counselor = h.call("counselor");
    let mut seen = Vec::new();
    let mut path = "/v1/risk-profiles?limit=2".to_owned();
    loop {
        let page = counselor.get(&path).await;
        seen.extend(ids(&page.items()).into_iter().map(str::to_owned));
        let Some(cursor) = page.at("/next_cursor").as_str() else {
            break;
        };
        path = format!("/v1/risk-profiles?limit=2&cursor={cursor}");
    }
    assert_eq!(
        seen,
        [
            "client-high",
            "client-mid",
            "client-alone",
            "client-silent",
            "client-low"
        ]
    );
}

#[tokio::test]
async fn a_list_is_filtered_by_label_and_trend_and_refuses_what_it_does_not_know() {
    let h = caseload().await;
    let counselor = h.call("counselor");
    let mid = counselor.get("/v1/risk-profiles?label=MODERATE_RISK").await;
    assert_eq!(ids(&mid.items()), ["client-mid"]);
    assert!(
        counselor
            .get("/v1/risk-profiles?trend=declining")
            .await
            .items()
            .is_empty()
    );
    for query in [
        "label=SEVERE",
        "limit=-1",
        "limit=1e9",
        "limit=0",
        "cursor=forged",
        "colour=red",
        "limit=1&limit=2",
    ] {
        assert_eq!(
            counselor.get(&format!("/v1/risk-profiles?{query}")).await.code(),
            422,
            "{query}"
        );
    }
    let cursor = counselor
        .get("/v1/risk-profiles?limit=1")
        .await
        .at("/next_cursor")
        .as_str()
        .unwrap()
        .to_owned();
    let stolen = h
        .call("counselor_other")
        .get(&format!("/v1/risk-profiles?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(stolen.code(), 422, "a cursor belongs to its caller");
}

#[tokio::test]
async fn a_cursor_is_refused_under_another_filter_than_its_own_and_hides_nobody() {
    let mut h = caseload().await;
    for client in ["client-low-2", "client-low-3"] {
        h.client(client, &["counselor"]).await;
        h.writes(client, &calm()).await;
    }
    let counselor = h.call("counselor");
    let first = counselor
        .get("/v1/risk-profiles?label=LOW_RISK&trend=stable&limit=1")
        .await;
    let cursor = first.at("/next_cursor").as_str().unwrap();
    for filter in [
        "",
        "label=HIGH_RISK",
        "label=LOW_RISK",
        "label=HIGH_RISK&trend=stable",
    ] {
        let answer = counselor
            .get(&format!("/v1/risk-profiles?{filter}&limit=1&cursor={cursor}"))
            .await;
        assert_eq!(
            (answer.code(), answer.at("/errors/0/pointer")),
            (422, &json!("?cursor")),
            "{filter}"
        );
    }
    // The order of the parameters and the size of the page are no filters.
    let path = format!("/v1/risk-profiles?limit=5&cursor={cursor}&trend=stable&label=LOW_RISK");
    assert_eq!(counselor.get(&path).await.items().len(), 2);
}

#[tokio::test]
async fn the_summary_counts_labels_and_what_changed_since_yesterday() {
    let mut h = caseload().await;
    h.clock.advance(TimeDelta::hours(25));
    h.writes("client-low", &scores(0.9, 0.1)).await;
    let summary = h.call("counselor").get("/v1/caseload/summary").await;
    assert_eq!(
        summary.json,
        json!({
            "labels": {"HIGH_RISK": 2, "MODERATE_RISK": 1, "ISOLATION_ONLY": 1, "UNKNOWN": 1, "LOW_RISK": 0},
            "changes_since_yesterday":
                {"HIGH_RISK": 1, "MODERATE_RISK": 0, "ISOLATION_ONLY": 0, "UNKNOWN": 0, "LOW_RISK": -1},
            "open_escalations": 2,
        })
    );
}

#[tokio::test]
async fn a_profile_shows_when_it_was_computed_and_its_history_every_change() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &calm()).await;
    h.clock.advance(TimeDelta::hours(1));
    h.writes("client-a", &scores(0.9, 0.1)).await;
    let profile = h.call("counselor").get("/v1/users/client-a/risk-profile").await;
    assert_eq!(profile.at("/computed_at"), &json!("2026-06-15T13:00:00Z"));
    assert_eq!(profile.at("/risk_label_since"), &json!("2026-06-15T13:00:00Z"));
    assert_eq!(profile.at("/policy_version"), &json!("fusion_v2"));
    let history = h
        .call("counselor")
        .get("/v1/users/client-a/risk-profile/history")
        .await;
    let labels: Vec<Value> = history
        .items()
        .iter()
        .map(|c| json!([c["from_label"], c["to_label"]]))
        .collect();
    assert_eq!(
        labels,
        [json!(["LOW_RISK", "HIGH_RISK"]), json!(["UNKNOWN", "LOW_RISK"])]
    );
    assert_eq!(
        h.call("counselor")
            .get("/v1/users/nobody/risk-profile")
            .await
            .code(),
        404
    );
    assert_eq!(
        h.call("counselor")
            .get("/v1/users/no%20id/risk-profile")
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn a_label_goes_back_by_time_alone() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    h.clock.advance(TimeDelta::days(7) - TimeDelta::microseconds(1));
    while h.app.round("sweep").await.unwrap() > 0 {}
    let label = async || {
        h.call("counselor")
            .get("/v1/users/client-a/risk-profile")
            .await
            .at("/current_risk_label")
            .clone()
    };
    assert_eq!(label().await, json!("HIGH_RISK"));
    h.clock.advance(TimeDelta::microseconds(1));
    while h.app.round("sweep").await.unwrap() > 0 {}
    assert_eq!(label().await, json!("LOW_RISK"));
    h.clock.advance(TimeDelta::days(23));
    while h.app.round("sweep").await.unwrap() > 0 {}
    assert_eq!(label().await, json!("UNKNOWN"));
}

#[tokio::test]
async fn sweeps_at_once_share_the_work() {
    let mut h = Harness::new().await;
    for n in 0..10 {
        h.client(&format!("client-{n}"), &[]).await;
    }
    h.database
        .superuser()
        .await
        .run("update social.user_risk_profiles set next_recompute_at = computed_at")
        .await;
    let (one, other) = tokio::join!(h.app.round("sweep"), h.app.round("sweep"));
    assert_eq!(one.unwrap() + other.unwrap(), 10);
}
