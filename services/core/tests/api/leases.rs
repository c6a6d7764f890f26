//! Pipelines take messages: each once, until it is scored or the lease runs out.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, column, message, pointers};

fn body(limit: i64, model_version: &str) -> Value {
    json!({"limit": limit, "model_version": model_version, "lease_seconds": 60})
}

impl Harness {
    async fn lease(&self, limit: i64, model_version: &str) -> Answer {
        self.call("pipeline")
            .post("/v1/messages:lease", &body(limit, model_version))
            .await
    }

    async fn leased(&self, limit: i64, model_version: &str) -> Vec<i64> {
        ids(&self.lease(limit, model_version).await)
    }

    /// Lets every lease run out.
    async fn time_passes(&self) {
        self.run("update core.message_scoring set lease_until = now() - interval '1 second'")
            .await;
    }

    async fn scan_from(&self, model_version: &str) -> i64 {
        self.database
            .count(&format!(
                "select scan_from from core.scoring_models where model_version = '{model_version}'"
            ))
            .await
    }
}

fn ids(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.code(), 200);
    column(answer, "message_id")
        .iter()
        .map(|id| id.as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_lease_hands_out_what_clients_wrote_oldest_first() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let first = h
        .call("client-a")
        .post("/v1/messages", &message("client-a", "one"))
        .await;
    h.call("counselor")
        .post("/v1/messages", &message("client-a", "an answer"))
        .await;
    h.call("client-a")
        .post("/v1/messages", &message("client-a", "two"))
        .await;
    h.run(
        "insert into core.messages (user_id, message_text, conversation_type, anonymized_at)
           values (null, 'nobody''s', 'buddy', now())",
    )
    .await;
    let taken = h.lease(10, "m1").await;
    assert_eq!(column(&taken, "message_text"), ["one", "two"]);
    assert_eq!(
        taken.at("/items/0"),
        &json!({
            "message_id": first.at("/message_id"), "user_id": "client-a", "message_text": "one",
            "timestamp": first.at("/timestamp"), "conversation_type": "buddy",
        })
    );
    assert!(taken.at("/lease_until").is_string());
    assert_eq!(h.leased(10, "m1").await, Vec::<i64>::new());
    assert_eq!(h.leased(1, "m2").await.len(), 1, "every model scores for itself");
    assert_eq!(h.leased(10, "m2").await.len(), 1);
}

#[tokio::test]
async fn no_message_is_leased_twice_by_eight_pipelines_at_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let written = h.messages("client-a", 4_100).await;
    let answers = join_all((0..8).map(|_| h.lease(500, "m1"))).await;
    let mut taken: Vec<i64> = answers.iter().flat_map(ids).collect();
    assert_eq!(taken.len(), 4_000);
    taken.extend(h.leased(500, "m1").await);
    taken.sort_unstable();
    assert_eq!(taken, written);
}

#[tokio::test]
async fn a_lease_that_ran_out_comes_back_once_and_before_new_messages() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let written = h.messages("client-a", 10).await;
    assert_eq!(h.leased(4, "m1").await, written[..4]);
    h.time_passes().await;
    assert_eq!(h.leased(6, "m1").await, written[..6]);
    let answers = join_all((0..4).map(|_| h.lease(2, "m1"))).await;
    let mut rest: Vec<i64> = answers.iter().flat_map(ids).collect();
    rest.sort_unstable();
    assert_eq!(rest, written[6..]);
    h.time_passes().await;
    let answers = join_all((0..4).map(|_| h.lease(5, "m1"))).await;
    let again: Vec<i64> = answers.iter().flat_map(ids).collect();
    assert_eq!(again.len(), 10);
    assert_eq!(
        again.into_iter().collect::<BTreeSet<_>>(),
        written.iter().copied().collect()
    );
}

#[tokio::test]
async fn a_scored_message_never_comes_back() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let written = h.messages("client-a", 4).await;
    assert_eq!(h.leased(2, "m1").await, written[..2]);
    // One that was leased and one that never was.
    h.scored(&[(written[0], "m1"), (written[2], "m1")]).await;
    h.time_passes().await;
    assert_eq!(h.leased(10, "m1").await, [written[1], written[3]]);
    h.scored(&[(written[1], "m1"), (written[3], "m1")]).await;
    h.time_passes().await;
    assert_eq!(h.leased(10, "m1").await, Vec::<i64>::new());
    assert_eq!(
        h.leased(10, "m2").await,
        written,
        "another model has scored none of them"
    );
}

#[tokio::test]
async fn the_search_begins_behind_old_messages_that_were_handed_out() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let written = h.messages("client-a", 6).await;
    h.leased(3, "m1").await;
    assert_eq!(
        h.scan_from("m1").await,
        0,
        "messages of the last ten minutes hold it back"
    );
    h.run("update core.messages set stored_at = now() - interval '11 minutes'")
        .await;
    h.leased(1, "m1").await;
    assert_eq!(h.scan_from("m1").await, written[4]);
    h.leased(10, "m1").await;
    assert_eq!(h.scan_from("m1").await, written[5] + 1);
}

#[tokio::test]
async fn a_message_that_commits_late_with_a_lower_id_is_not_skipped() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let late = h.database.pools("core").begin_worker().await.unwrap();
    let row = late
        .query_one(
            "insert into core.messages (user_id, message_text, timestamp, conversation_type)
             values ('client-a', 'late', '2026-01-01T00:00:00Z', 'buddy') returning message_id",
            &[],
        )
        .await
        .unwrap();
    let late_id: i64 = row.get("message_id");
    let early = h.messages("client-a", 2).await;
    assert!(late_id < early[0]);
    assert_eq!(h.leased(10, "m1").await, early);
    h.scored(&[(early[0], "m1"), (early[1], "m1")]).await;
    assert_eq!(h.leased(10, "m1").await, Vec::<i64>::new());
    late.commit().await.unwrap();
    assert_eq!(h.leased(10, "m1").await, [late_id]);
}

#[tokio::test]
async fn a_lease_is_for_pipelines_and_bounded() {
    let h = Harness::new().await;
    for (bad, pointer) in [
        (
            json!({"limit": 0, "model_version": "m1", "lease_seconds": 60}),
            "/limit",
        ),
        (
            json!({"limit": 1001, "model_version": "m1", "lease_seconds": 60}),
            "/limit",
        ),
        (
            json!({"limit": 1, "model_version": "", "lease_seconds": 60}),
            "/model_version",
        ),
        (
            json!({"limit": 1, "model_version": "m1", "lease_seconds": 9}),
            "/lease_seconds",
        ),
        (
            json!({"limit": 1, "model_version": "m1", "lease_seconds": 3601}),
            "/lease_seconds",
        ),
    ] {
        let refused = h.call("pipeline").post("/v1/messages:lease", &bad).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()])
        );
    }
    for caller in ["app", "admin", "counselor", "service"] {
        assert_eq!(
            h.call(caller)
                .post("/v1/messages:lease", &body(1, "m1"))
                .await
                .code(),
            403,
            "{caller}"
        );
    }
    assert_eq!(
        h.database.count("select count(*) from core.scoring_models").await,
        0
    );
}

#[tokio::test]
async fn no_copy_of_the_texts_is_kept_for_a_key() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.messages("client-a", 1).await;
    let keyed = h.call("pipeline").with_header("idempotency-key", "k1");
    assert_eq!(
        keyed
            .post("/v1/messages:lease", &body(1, "m1"))
            .await
            .items()
            .len(),
        1
    );
    assert_eq!(
        keyed
            .post("/v1/messages:lease", &body(1, "m1"))
            .await
            .items()
            .len(),
        0
    );
    assert_eq!(
        h.database
            .count("select count(*) from core.idempotency_keys")
            .await,
        0
    );
}
