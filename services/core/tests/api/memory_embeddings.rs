//! Embeddings of memories: which are taken, and how pipelines lease what waits for one.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, column, message, pointers};
use crate::memories::{fact, patch, path_of, problem, with};

/// A model of three dimensions.
pub(crate) const TINY: &str = "tiny-3";

fn lease_of(model: &str, limit: i64) -> Value {
    json!({"model": model, "limit": limit, "lease_seconds": 60})
}

fn embeddings(of: &[(&str, &[f64])]) -> Value {
    of.iter()
        .map(|(model, embedding)| json!({"model": model, "embedding": embedding}))
        .collect()
}

impl Harness {
    /// Registers the model, as the operator does.
    pub(crate) async fn with_tiny_model(&self) {
        self.run(&format!(
            "insert into core.embedding_models (name, dimensions, purpose) values ('{TINY}', 3, 'text')"
        ))
        .await;
    }

    async fn embedded(&self) -> i64 {
        self.database
            .count("select count(*) from core.memory_embeddings")
            .await
    }

    async fn to_embed(&self, model: &str, limit: i64) -> Vec<Value> {
        let lease = lease_of(model, limit);
        let answer = self.call("pipeline").post("/v1/memories:lease", &lease).await;
        assert_eq!(answer.code(), 200);
        column(&answer, "content")
    }

    /// Lets every lease run out.
    async fn leases_end(&self) {
        self.run("update core.embedding_leases set lease_until = now() - interval '1 second'")
            .await;
    }
}

async fn embed(caller: &Client, memory: &Answer, model: &str, embedding: &Value) -> Answer {
    let path = format!("{}/embeddings/{model}", path_of(memory));
    caller.put(&path, &json!({"embedding": embedding})).await
}

#[tokio::test]
async fn the_models_are_listed_with_the_length_of_their_embeddings() {
    let h = Harness::remembering("client-a").await;
    for caller in ["client-a", "app", "pipeline", "counselor", "admin"] {
        let listed = h.call(caller).get("/v1/embedding-models").await;
        assert_eq!(
            listed.json,
            json!({"items": [
                {"name": "face-512", "dimensions": 512, "purpose": "face", "active": true},
                {"name": "text-1536", "dimensions": 1536, "purpose": "text", "active": true},
            ]})
        );
    }
}

#[tokio::test]
async fn an_embedding_of_the_wrong_length_of_zeros_or_of_no_numbers_is_refused_and_nothing_is_stored() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let memory = h.remember("client-a", &fact("one")).await;
    let client = h.call("client-a");
    let of_length = |length: usize| json!(vec![0.5; length]);
    for (model, embedding, code) in [
        ("text-1536", of_length(1_536), 204),
        ("text-1536", of_length(1_535), 422),
        ("text-1536", of_length(1_537), 422),
        ("text-1536", of_length(0), 422),
        ("text-1536", of_length(4_001), 422),
        ("text-1536", json!(vec![0; 1_536]), 422),
        (TINY, json!([1, "2", 3]), 422),
        (TINY, json!([1, null, 3]), 422),
        (TINY, json!([1, 2, 1e300]), 422),
        (TINY, json!({"0": 1}), 422),
    ] {
        let answer = embed(&client, &memory, model, &embedding).await;
        assert_eq!(answer.code(), code, "{model} {}", answer.json);
        if code == 422 {
            assert_eq!(pointers(&answer), ["/embedding"]);
        }
    }
    for number in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let body = format!("{{\"embedding\": [1, 2, {number}]}}");
        let path = format!("{}/embeddings/{TINY}", path_of(&memory));
        let answer = client
            .send(reqwest::Method::PUT, &path, Some(body.into_bytes()))
            .await;
        assert_eq!(
            (answer.code(), pointers(&answer)),
            (422, vec!["/embedding/2".to_owned()])
        );
    }
    for model in ["unknown", "face-512", "text-1536x"] {
        let answer = embed(&client, &memory, model, &of_length(512)).await;
        assert_eq!(
            (answer.code(), pointers(&answer)),
            (422, vec!["/model".to_owned()])
        );
    }
    assert_eq!(h.embedded().await, 1);
}

#[tokio::test]
async fn a_memory_comes_with_embeddings_of_several_models_or_is_not_kept_at_all() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let client = h.call("client-a");
    let path = "/v1/users/client-a/memories";
    let long = vec![0.1; 1_536];
    for (given, pointer) in [
        (embeddings(&[(TINY, &[1.0, 2.0])]), "/embeddings/0/embedding"),
        (
            embeddings(&[(TINY, &[1.0, 2.0, 3.0]), ("other", &[1.0])]),
            "/embeddings/1/model",
        ),
        (
            embeddings(&[(TINY, &[1.0, 2.0, 3.0]), (TINY, &[1.0, 2.0, 3.0])]),
            "/embeddings/1/model",
        ),
    ] {
        let refused = client.post(path, &with(fact("one"), "embeddings", given)).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()])
        );
    }
    assert_eq!(h.database.count("select count(*) from core.memories").await, 0);
    let both = embeddings(&[(TINY, &[1.0, 2.0, 3.0]), ("text-1536", &long)]);
    let stored = client.post(path, &with(fact("one"), "embeddings", both)).await;
    assert_eq!((stored.code(), h.embedded().await), (201, 2));
    let corrected = patch(&client, &path_of(&stored), &json!({"content": "two"})).await;
    assert_eq!(
        (corrected.code(), h.embedded().await),
        (200, 0),
        "its embeddings went"
    );
    assert_eq!(h.to_embed(TINY, 10).await, ["two"]);
    h.run(&format!(
        "update core.embedding_models set active = false where name = '{TINY}'"
    ))
    .await;
    assert_eq!(
        embed(&client, &corrected, TINY, &json!([1, 2, 3])).await.code(),
        422
    );
    let inactive = with(
        fact("three"),
        "embeddings",
        embeddings(&[(TINY, &[1.0, 2.0, 3.0])]),
    );
    assert_eq!(client.post(path, &inactive).await.code(), 422);
    assert_eq!((h.to_embed(TINY, 10).await, h.embedded().await), (Vec::new(), 0));
}

#[tokio::test]
async fn of_one_model_a_memory_has_one_embedding_and_the_database_takes_none_of_another_length() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let memory = h.remember("client-a", &fact("one")).await;
    for vector in [json!([1, 0, 0]), json!([0, 0, -2])] {
        assert_eq!(
            embed(&h.call("client-a"), &memory, TINY, &vector).await.code(),
            204
        );
    }
    let stored = h
        .database
        .query("select e.embedding::text as numbers from core.memory_embeddings e")
        .await;
    let stored: Vec<String> = stored.iter().map(|row| row.get("numbers")).collect();
    assert_eq!(stored, ["[0,0,-1]"]);
    let insert = |dimensions: i32, numbers: &str| {
        format!(
            "insert into core.memory_embeddings (memory_entry_id, user_id, embedding_model, embedding_dimensions, embedding)
             select m.id, m.user_id, '{TINY}', {dimensions}, '{numbers}' from core.memories m"
        )
    };
    for (sql, constraint) in [
        (insert(3, "[1,0,0]"), "uq_memory_embeddings_model"),
        (insert(3, "[1,0]"), "ck_memory_embeddings_dimensions"),
    ] {
        assert!(h.owner_is_refused(&sql, constraint).await, "{sql}");
    }
}

#[tokio::test]
async fn a_lease_hands_out_what_holds_without_an_embedding_and_under_a_consent() {
    let mut h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    h.remembered("client-b", &[]).await;
    let first = h.remember("client-a", &fact("one")).await;
    h.remember("client-b", &fact("of whom took it back")).await;
    h.take_back("client-b").await;
    let expired = h.remember("client-a", &fact("expired")).await;
    h.expire(&expired).await;
    let corrected = h.remember("client-a", &fact("corrected")).await;
    patch(
        &h.call("client-a"),
        &path_of(&corrected),
        &json!({"content": "two"}),
    )
    .await;
    let done = h.remember("client-a", &fact("embedded")).await;
    assert_eq!(
        embed(&h.call("client-a"), &done, TINY, &json!([1, 2, 3]))
            .await
            .code(),
        204
    );
    h.call("client-a")
        .post("/v1/messages", &message("client-a", "no memory"))
        .await;
    let pipeline = h.call("pipeline");
    let taken = pipeline.post("/v1/memories:lease", &lease_of(TINY, 10)).await;
    assert_eq!(taken.code(), 200);
    assert_eq!(
        taken.at("/items/0"),
        &json!({"id": first.at("/id"), "content": "one"})
    );
    assert_eq!(column(&taken, "content"), ["one", "two"]);
    assert!(taken.at("/lease_until").is_string());
    assert_eq!(h.to_embed(TINY, 10).await, Vec::<Value>::new());
    assert_eq!(
        h.to_embed("text-1536", 1).await,
        ["one"],
        "every model embeds for itself"
    );
    let unknown = pipeline
        .post("/v1/memories:lease", &lease_of("unknown", 10))
        .await;
    assert_eq!(
        (unknown.code(), pointers(&unknown)),
        (422, vec!["/model".to_owned()])
    );
    let audited = h
        .audited("e.action = 'POST /v1/memories:lease' and e.decision = 'allow'")
        .await;
    assert_eq!(audited[0]["people"], json!(["client-a"]));
}

#[tokio::test]
async fn no_memory_is_leased_twice_by_eight_pipelines_at_once_and_one_that_ran_out_comes_back() {
    let h = Harness::remembering("client-a").await;
    h.run(
        "insert into core.memories (id, user_id, memory_type, entry_type, content)
         select gen_random_uuid(), 'client-a', 'task', 'nugget', 'memory ' || n from generate_series(1, 410) n",
    )
    .await;
    let answers = join_all((0..8).map(|_| h.to_embed("text-1536", 50))).await;
    let taken: Vec<String> = answers.iter().flatten().map(Value::to_string).collect();
    let distinct: BTreeSet<&String> = taken.iter().collect();
    assert_eq!((taken.len(), distinct.len()), (400, 400));
    assert_eq!(h.to_embed("text-1536", 50).await.len(), 10);
    assert_eq!(h.to_embed("text-1536", 50).await.len(), 0);
    h.leases_end().await;
    assert_eq!(h.to_embed("text-1536", 1_000).await.len(), 410);
}

#[tokio::test]
async fn a_pipeline_stores_an_embedding_while_the_memory_is_leased_to_it_and_no_longer() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let memory = h.remember("client-a", &fact("one")).await;
    let pipeline = h.call("pipeline");
    let vector = json!([1, 2, 3]);
    assert_eq!(
        embed(&pipeline, &memory, TINY, &vector).await.code(),
        404,
        "not leased"
    );
    assert_eq!(h.to_embed("text-1536", 1).await, ["one"]);
    assert_eq!(
        embed(&pipeline, &memory, TINY, &vector).await.code(),
        404,
        "for another model"
    );
    assert_eq!(h.to_embed(TINY, 1).await, ["one"]);
    h.leases_end().await;
    assert_eq!(
        embed(&pipeline, &memory, TINY, &vector).await.code(),
        404,
        "it ran out"
    );
    assert_eq!(h.to_embed(TINY, 1).await, ["one"]);
    assert_eq!(embed(&pipeline, &memory, TINY, &vector).await.code(), 204);
    assert_eq!(
        embed(&pipeline, &memory, TINY, &vector).await.code(),
        404,
        "it is done"
    );
    h.leases_end().await;
    assert_eq!(h.to_embed(TINY, 1).await, Vec::<Value>::new());
    let again = embed(&h.call("client-a"), &memory, TINY, &json!([3, 2, 1])).await;
    assert_eq!(
        (again.code(), h.embedded().await),
        (204, 1),
        "the client's own takes its place"
    );
}

#[tokio::test]
async fn a_consent_that_is_taken_back_while_embeddings_come_in_waits_for_none_that_waits_for_it() {
    const ROUNDS: usize = 5;
    let mut h = Harness::new().await;
    h.with_tiny_model().await;
    let (pipeline, vector) = (h.call("pipeline"), json!([1, 2, 3]));
    for number in 0..ROUNDS {
        let id = format!("round-{number}");
        h.remembered(&id, &[]).await;
        let mut memories = Vec::new();
        for n in 0..10 {
            memories.push(h.remember(&id, &fact(&format!("fact {n}"))).await);
        }
        assert_eq!(h.to_embed(TINY, 10).await.len(), 10);
        let client = h.call(&id);
        let consents = client.get(&format!("/v1/users/{id}/consents")).await;
        let consent = format!("/v1/consents/{}", consents.items()[0]["consent_id"]);
        let embedded = join_all(
            memories
                .iter()
                .map(|memory| embed(&pipeline, memory, TINY, &vector)),
        );
        let (embedded, revoked) = futures::join!(embedded, client.delete(&consent));
        assert_eq!(revoked.code(), 204, "{}", revoked.json);
        let codes: Vec<u16> = embedded.iter().map(Answer::code).collect();
        let known = codes.iter().all(|code| matches!(code, 204 | 403 | 404));
        assert!(known, "round {number}: {codes:?}");
    }
}

#[tokio::test]
async fn what_is_corrected_or_of_whom_the_consent_is_over_gets_no_embedding() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let client = h.call("client-a");
    let (first, second) = (
        h.remember("client-a", &fact("one")).await,
        h.remember("client-a", &fact("two")).await,
    );
    assert_eq!(h.to_embed(TINY, 10).await, ["one", "two"]);
    patch(&client, &path_of(&first), &json!({"content": "three"})).await;
    let vector = json!([1, 2, 3]);
    for caller in [h.call("pipeline"), h.call("client-a"), h.app_for("client-a")] {
        assert_eq!(embed(&caller, &first, TINY, &vector).await.code(), 404);
    }
    h.take_back("client-a").await;
    let pipeline = h.call("pipeline");
    let refused = embed(&pipeline, &second, TINY, &vector).await;
    assert_eq!(refused.code(), 404, "its lease went with the consent");
    for caller in [h.call("client-a"), h.app_for("client-a")] {
        let refused = embed(&caller, &second, TINY, &vector).await;
        assert_eq!((refused.code(), problem(&refused)), (403, "consent-required"));
    }
    assert_eq!(h.embedded().await, 0);
}

#[tokio::test]
async fn an_embedding_never_outlives_the_correction_that_it_races() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let (client, vector) = (h.call("client-a"), json!([1, 2, 3]));
    for n in 0..20 {
        let memory = h.remember("client-a", &fact(&format!("fact {n}"))).await;
        let (path, body) = (path_of(&memory), json!({"content": "other"}));
        let (stored, corrected) = futures::join!(
            embed(&client, &memory, TINY, &vector),
            patch(&client, &path, &body)
        );
        assert!(matches!(stored.code(), 204 | 404), "{}", stored.json);
        assert_eq!(corrected.code(), 200);
    }
    assert_eq!(h.embedded().await, 0);
}

#[tokio::test]
async fn of_a_model_that_the_operator_adds_embeddings_of_all_that_holds_are_wanted() {
    let h = Harness::remembering("client-a").await;
    let corrected = h.remember("client-a", &fact("one")).await;
    patch(
        &h.call("client-a"),
        &path_of(&corrected),
        &json!({"content": "two"}),
    )
    .await;
    let line = "add-embedding-model tiny.3 --dimensions 3 --purpose text";
    let said = h.admin(line).await.unwrap();
    assert!(said.starts_with("model tiny.3 is registered;"), "{said}");
    assert!(h.admin(line).await.unwrap_err().contains("registered already"));
    for bad in [
        "add-embedding-model x'y --dimensions 3 --purpose text",
        "add-embedding-model x --dimensions 0 --purpose text",
        "add-embedding-model x --dimensions 4001 --purpose text",
        "add-embedding-model x --dimensions 3 --purpose face",
    ] {
        assert!(h.admin(bad).await.is_err(), "{bad}");
    }
    assert_eq!(h.to_embed("tiny.3", 10).await, ["two"]);
}

impl Harness {
    async fn wanted(&self) -> i64 {
        self.database
            .count("select count(*) from core.embedding_leases")
            .await
    }
}

#[tokio::test]
async fn without_a_consent_nothing_waits_for_an_embedding_and_with_the_next_one_all_that_lacks_it_does() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let done = h.remember("client-a", &fact("one")).await;
    embed(&h.call("client-a"), &done, TINY, &json!([1, 2, 3])).await;
    h.remember("client-a", &fact("two")).await;
    assert_eq!(h.wanted().await, 3);
    h.take_back("client-a").await;
    assert_eq!(h.wanted().await, 0);
    h.admin("add-embedding-model other --dimensions 3 --purpose text")
        .await
        .unwrap();
    assert_eq!(h.wanted().await, 0, "of nobody who has not consented");
    let consent = json!({"purpose": "memory"});
    let granted = h
        .call("client-a")
        .post("/v1/users/client-a/consents", &consent)
        .await;
    assert_eq!(granted.code(), 201);
    assert_eq!(h.to_embed(TINY, 10).await, ["two"]);
    assert_eq!(h.to_embed("other", 10).await, ["one", "two"]);
    assert_eq!(h.wanted().await, 5);
}

#[tokio::test]
async fn what_waits_for_an_embedding_waits_no_longer_than_the_consent_lasts() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let for_an_hour = "insert into core.consents (user_id, purpose, expires_at)
        values ('client-a', 'memory', clock_timestamp() + interval '1 hour')";
    h.run(for_an_hour).await;
    h.remember("client-a", &fact("one")).await;
    assert_eq!(h.app.round("prune_memories").await.unwrap(), 0);
    assert_eq!(h.wanted().await, 1);
    // As if the hour were over.
    let lapsed = "set session_replication_role = replica;
        update core.consents set granted_at = now() - interval '2 hours', expires_at = now() - interval '1 hour';
        update core.embedding_leases set wanted_until = now() - interval '1 hour'";
    h.run(lapsed).await;
    assert_eq!(h.to_embed("text-1536", 10).await, Vec::<Value>::new());
    h.run(for_an_hour).await;
    assert_eq!(h.app.round("prune_memories").await.unwrap(), 0, "consented again");
    assert_eq!(h.to_embed("text-1536", 10).await, ["one"]);
    h.run("update core.embedding_leases set wanted_until = now() - interval '1 second'")
        .await;
    assert_eq!(h.app.round("prune_memories").await.unwrap(), 1);
    assert_eq!(h.wanted().await, 0);
}

#[tokio::test]
async fn of_what_races_a_revocation_nothing_waits_for_an_embedding() {
    let h = Harness::remembering("client-a").await;
    let (app, path) = (h.app_for("client-a"), "/v1/users/client-a/memories");
    for n in 0..20 {
        let body = fact(&format!("fact {n}"));
        let (stored, ()) = futures::join!(app.post(path, &body), async {
            h.run("update core.consents set revoked_at = clock_timestamp() where revoked_at is null")
                .await;
        });
        assert!(matches!(stored.code(), 201 | 403), "{}", stored.json);
        assert_eq!(h.wanted().await, 0);
        h.run("insert into core.consents (user_id, purpose) values ('client-a', 'memory')")
            .await;
        let kept = h.database.count("select count(*) from core.memories").await;
        assert_eq!(h.wanted().await, kept);
    }
}

#[tokio::test]
async fn every_model_gets_an_index_of_its_own_by_the_statement_that_the_operator_is_told() {
    let h = Harness::new().await;
    let long = "m".repeat(99);
    for name in ["a.b", "a-b", "User", &format!("{long}1"), &format!("{long}2")] {
        let said = h
            .admin(&format!(
                "add-embedding-model {name} --dimensions 3 --purpose text"
            ))
            .await
            .unwrap();
        let (_, statement) = said.split_once("run as the owner:").unwrap();
        h.run(statement).await;
    }
    let made = "select count(*) from pg_indexes where tablename = 'memory_embeddings' and indexdef like '%halfvec(3)%'";
    assert_eq!(h.database.count(made).await, 5);
}
