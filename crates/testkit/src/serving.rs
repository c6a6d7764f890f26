//! What every service answers, keeps and may not read, whatever else it does.

use db::{Db, Error};
use serde::Serialize;

use crate::{Follower, TestDb};

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

/// Plants answers, published events and receipts whose term is over, and beside each one whose term is not: only the
/// latter are called `kept`.
pub async fn plant_what_ends(database: &TestDb, schema: &str) {
    let sql = format!(
        "insert into {schema}.idempotency_keys (principal, key, request_hash, created_at)
         values ('over', 'k', '', now() - interval '24 hours 1 minute'), ('kept', 'k', '', now() - interval '23 hours');
         insert into {schema}.outbox (event_id, event_type, data, created_at, published_at)
         select gen_random_uuid(), e.event_type, '{{}}', now() - interval '40 days', now() - e.age
         from (values ('kept', null), ('over', interval '7 days 1 minute'), ('kept', interval '6 days')) as e (event_type, age);
         insert into {schema}.inbox (consumer, event_id, received_at)
         values ('over', gen_random_uuid(), now() - interval '30 days 1 minute'),
             ('kept', gen_random_uuid(), now() - interval '29 days')"
    );
    database.superuser().await.run(&sql).await;
}

/// Panics unless of [`plant_what_ends`] everything whose term is not over is there, and nothing else.
///
/// # Panics
/// With what is there.
pub async fn keeps_what_has_not_ended(database: &TestDb, schema: &str) {
    let sql = format!(
        "select array(
             select 'answer ' || principal from {schema}.idempotency_keys where principal in ('over', 'kept')
             union all select 'event ' || event_type from {schema}.outbox where event_type in ('over', 'kept')
             union all select 'receipt ' || consumer from {schema}.inbox where consumer in ('over', 'kept')
             order by 1) as there"
    );
    let there: Vec<String> = database
        .query(&sql)
        .await
        .iter()
        .flat_map(|row| row.get::<_, Vec<String>>("there"))
        .collect();
    assert_eq!(
        there,
        ["answer kept", "event kept", "event kept", "receipt kept"],
        "{schema}"
    );
}
