//! What every service answers and may not read, whatever else it does.

use db::{Db, Error};
use serde::Serialize;

use crate::Follower;

/// What only core reads of a message and of a person.
const MESSAGES_AND_NAMES: [&str; 3] = [
    "select message_id from core.messages",
    "select message_text from core.messages",
    "select display_name from core.users",
];

/// Panics unless the started service is healthy, ready and serves this OpenAPI document, and then stops.
///
/// # Panics
/// With what it answered instead.
pub async fn is_healthy_ready_and_documented(service: Follower, document: &impl Serialize) {
    let http = &service.http;
    assert_eq!(http.get("/healthz").await.code(), 200);
    let ready = http.get("/readyz").await;
    assert_eq!(ready.code(), 200, "{}", ready.json);
    assert_eq!(ready.at("/checks/postgres"), "ok");
    let served = http.get("/openapi.json").await;
    assert_eq!(served.at("/info/title"), &format!("Recoverly {}", service.name));
    assert_eq!(served.json, serde_json::to_value(document).expect("JSON"));
    assert_eq!(http.get("/docs/").await.code(), 200);
    service.app.stop().await;
}

/// Panics unless a path that no route has is answered as a problem.
///
/// # Panics
/// With what it answered instead.
pub async fn answers_an_unknown_path_as_a_problem(service: &Follower) {
    let refused = service.http.get("/v1/nothing").await;
    assert_eq!(refused.code(), 404);
    assert_eq!(
        refused.headers.get("content-type").map(|value| value.as_bytes()),
        Some(&b"application/problem+json"[..])
    );
    assert_eq!(refused.at("/status"), 404);
}

/// Panics unless Postgres keeps messages and names from the service.
///
/// # Panics
/// With the query that was answered.
pub async fn may_read_no_message_and_no_name(service: &Follower) {
    may_read_none_of(&service.database.pools(service.name), &MESSAGES_AND_NAMES).await;
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
