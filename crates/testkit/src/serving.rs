//! What every service answers and may not read, whatever else it does.

use db::{Db, Error};
use serde_json::Value;

use crate::Client;

/// Panics unless the started service is healthy, ready and serves this OpenAPI document under this title.
///
/// # Panics
/// With what it answered instead.
pub async fn is_healthy_ready_and_documented(http: &Client, title: &str, document: &Value) {
    assert_eq!(http.get("/healthz").await.code(), 200);
    let ready = http.get("/readyz").await;
    assert_eq!(ready.code(), 200, "{}", ready.json);
    assert_eq!(ready.at("/checks/postgres"), "ok");
    let served = http.get("/openapi.json").await;
    assert_eq!(served.at("/info/title"), title);
    assert_eq!(served.json, *document);
    assert_eq!(http.get("/docs/").await.code(), 200);
}

/// Panics unless a path that no route has is answered as a problem.
///
/// # Panics
/// With what it answered instead.
pub async fn answers_an_unknown_path_as_a_problem(http: &Client) {
    let refused = http.get("/v1/nothing").await;
    assert_eq!(refused.code(), 404);
    assert_eq!(
        refused.headers.get("content-type").map(|value| value.as_bytes()),
        Some(&b"application/problem+json"[..])
    );
    assert_eq!(refused.at("/status"), 404);
}

/// Panics unless Postgres refuses each of these queries for want of a grant.
///
/// # Panics
/// With the query that was answered.
pub async fn may_read_none_of(pools: &Db, secrets: &[&str]) {
    for secret in secrets {
        let refused = pools.worker_query(secret, &[]).await.expect_err(secret);
        assert!(
            matches!(&refused, Error::Refused { sqlstate, .. } if sqlstate == "42501"),
            "{secret}: {refused}"
        );
    }
}
