//! Versions of models and their stages.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, MODEL, model};

/// A service where the features are declared.
async fn with_features() -> Harness {
    let h = Harness::new().await;
    h.declare().await;
    h
}

/// Version and stage of every version.
async fn stages(h: &Harness) -> Vec<String> {
    let sql = "select version || ' ' || stage as line from risk.model_versions order by model_name, version";
    let rows = h.database.query(sql).await;
    rows.iter().map(|row| row.get("line")).collect()
}

async fn put_into(h: &Harness, version: &str, stage: &str) -> u16 {
    let path = format!("/v1/models/{MODEL}/{version}/stage");
    let answer = h.call("admin").post(&path, &json!({"stage": stage})).await;
    answer.code()
}

#[tokio::test]
async fn a_version_begins_as_a_shadow_and_is_registered_once() {
    let h = with_features().await;
    let mut body = model("1.0.2");
    body["reference_from"] = json!("2026-01-01T00:00:00Z");
    body["reference_until"] = json!("2026-02-01T00:00:00Z");
    body["metadata"] = json!({"trained_on": 12_000, "auroc": 0.81});
    let made = h.call("pipeline").post("/v1/models", &body).await;
    assert_eq!(made.code(), 201, "{}", made.json);
    assert_eq!(made.at("/stage"), "shadow");
    assert_eq!(made.at("/registered_by"), "pipeline:program-pipeline");
    assert_eq!(
        made.at("/thresholds"),
        &json!({"moderate": 0.3, "high": 0.5, "very_high": 0.8})
    );
    let again = h.call("admin").post("/v1/models", &body).await;
    assert_eq!((again.code(), &again.json), (200, &made.json));
    for name in ["pipeline", "admin", "supervisor"] {
        let path = format!("/v1/models/{MODEL}/1.0.2");
        assert_eq!(h.call(name).get(&path).await.json, made.json, "{name}");
        assert_eq!(
            h.call(name).get("/v1/models").await.at("/items/0"),
            &made.json,
            "{name}"
        );
    }
    for (field, value) in [
        (
            "thresholds",
            json!({"moderate": 0.3, "high": 0.5, "very_high": 0.81}),
        ),
        ("reference_until", json!("2026-03-01T00:00:00Z")),
        ("metadata", json!({"auroc": 0.81})),
        ("description", json!("another")),
    ] {
        let mut other = body.clone();
        other[field] = value;
        let refused = h.call("pipeline").post("/v1/models", &other).await;
        assert_eq!(refused.code(), 409, "{field}");
        assert_eq!(refused.at("/type"), "/problems/differs");
    }
}

#[tokio::test]
async fn a_version_reads_declared_features_by_rising_thresholds() {
    let h = with_features().await;
    let refused = async |change: Value| {
        let mut body = model("1");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let answer = h.call("pipeline").post("/v1/models", &body).await;
        assert_eq!(answer.code(), 422, "{change}");
        answer.at("/errors/0/pointer").as_str().unwrap().to_owned()
    };
    let thresholds = |moderate: f64, high: f64, very_high: f64| json!({"thresholds": {"moderate": moderate, "high": high, "very_high": very_high}});
    assert_eq!(
        refused(json!({"feature_set_version": "other"})).await,
        "/feature_set_version"
    );
    assert_eq!(refused(thresholds(0.0, 0.5, 0.8)).await, "/thresholds/moderate");
    assert_eq!(refused(thresholds(0.3, 0.3, 0.8)).await, "/thresholds/high");
    assert_eq!(refused(thresholds(0.3, 0.5, 1.01)).await, "/thresholds/very_high");
    assert_eq!(
        refused(json!({"reference_from": "2026-01-01T00:00:00Z"})).await,
        "/reference_until"
    );
    assert_eq!(
        refused(json!({
            "reference_from": "2026-01-02T00:00:00Z", "reference_until": "2026-01-02T00:00:00Z",
        }))
        .await,
        "/reference_until"
    );
    assert_eq!(refused(json!({"stage": "live"})).await, "/stage");
    assert!(stages(&h).await.is_empty());
}

#[tokio::test]
async fn of_a_model_one_version_is_live_and_the_one_that_was_is_a_shadow_again() {
    let h = with_features().await;
    h.register("1", "live").await;
    h.register("2", "live").await;
    assert_eq!(stages(&h).await, ["1 shadow", "2 live"]);
    // Another model's live version is its own.
    let mut other = model("1");
    other["model_name"] = json!("zeal");
    assert_eq!(h.call("pipeline").post("/v1/models", &other).await.code(), 201);
    let path = "/v1/models/zeal/1/stage";
    assert_eq!(
        h.call("admin").post(path, &json!({"stage": "live"})).await.code(),
        200
    );
    assert_eq!(stages(&h).await, ["1 shadow", "2 live", "1 live"]);
}

#[tokio::test]
async fn every_change_of_a_stage_is_in_the_audit_also_of_the_version_that_was_live() {
    let h = with_features().await;
    h.register("1.0", "live").await;
    h.register("2.0", "live").await;
    let sql = "select object_id || ' ' || reason as line from core.audit_events
        where object_type = 'models' and reason is not null and actor_kind = 'staff'";
    let mut rows: Vec<String> = h
        .database
        .query(sql)
        .await
        .iter()
        .map(|row| row.get("line"))
        .collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            "relapse-7d/1.0 live",
            "relapse-7d/1.0 shadow",
            "relapse-7d/2.0 live",
        ]
    );
}

#[tokio::test]
async fn what_is_retired_stays_so_and_the_same_stage_again_changes_nothing() {
    let h = with_features().await;
    h.register("1", "live").await;
    let before = h.call("admin").get(&format!("/v1/models/{MODEL}/1")).await.json;
    h.clock.advance(chrono::TimeDelta::hours(1));
    assert_eq!(put_into(&h, "1", "live").await, 200);
    let after = h.call("admin").get(&format!("/v1/models/{MODEL}/1")).await.json;
    assert_eq!(after, before);
    assert_eq!(put_into(&h, "1", "retired").await, 200);
    assert_eq!(put_into(&h, "1", "retired").await, 200);
    for stage in ["shadow", "live"] {
        assert_eq!(put_into(&h, "1", stage).await, 409, "{stage}");
    }
    assert_eq!(put_into(&h, "1", "paused").await, 422);
    assert_eq!(put_into(&h, "2", "live").await, 404);
    assert_eq!(stages(&h).await, ["1 retired"]);
}

#[tokio::test]
async fn of_versions_that_become_live_at_once_one_is() {
    let h = with_features().await;
    let versions = ["1", "2", "3", "4", "5", "6", "7", "8"];
    for version in versions {
        h.register(version, "shadow").await;
    }
    let codes = join_all(versions.map(|version| put_into(&h, version, "live"))).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
    let live = stages(&h)
        .await
        .iter()
        .filter(|line| line.ends_with("live"))
        .count();
    assert_eq!(live, 1);
}

#[tokio::test]
async fn only_an_admin_moves_a_version() {
    let h = with_features().await;
    h.register("1", "shadow").await;
    let path = format!("/v1/models/{MODEL}/1/stage");
    for name in ["pipeline", "supervisor", "counselor", "oncall"] {
        let answer = h.call(name).post(&path, &json!({"stage": "live"})).await;
        assert_eq!(answer.code(), 403, "{name}");
    }
    assert_eq!(stages(&h).await, ["1 shadow"]);
}

#[tokio::test]
async fn models_are_listed_in_pages() {
    let h = with_features().await;
    for version in ["1", "2", "3"] {
        h.register(version, "shadow").await;
    }
    let first = h.call("supervisor").get("/v1/models?limit=2").await;
    let cursor = first.at("/next_cursor").as_str().unwrap().to_owned();
    let second = h
        .call("supervisor")
        .get(&format!("/v1/models?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(first.at("/items/1/version"), "2");
    assert_eq!(second.at("/items/0/version"), "3");
    assert_eq!(second.at("/next_cursor"), &Value::Null);
}
