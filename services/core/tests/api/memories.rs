//! What the companion remembers: kept and corrected under the client's consent, read and forgotten by the client.

use core_service::Config;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, column, pointers};

const OF_A: &str = "/v1/users/client-a/memories";

/// Lets every consent be taken back.
pub(crate) const TAKEN_BACK: &str =
    "update core.consents set revoked_at = clock_timestamp() where revoked_at is null";

/// A fact about a client.
pub(crate) fn fact(content: &str) -> Value {
    json!({"memory_type": "personal", "entry_type": "profile_fact", "content": content})
}

/// The same with another value of one field.
pub(crate) fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

pub(crate) async fn patch(caller: &Client, path: &str, body: &Value) -> Answer {
    caller
        .send(Method::PATCH, path, Some(body.to_string().into_bytes()))
        .await
}

/// The name of a refusal's problem.
pub(crate) fn problem(answer: &Answer) -> &str {
    let address = answer.at("/type").as_str().unwrap_or_default();
    address.rsplit('/').next().unwrap_or_default()
}

pub(crate) fn path_of(memory: &Answer) -> String {
    format!("/v1/memories/{}", memory.at("/id").as_str().unwrap())
}

impl Harness {
    /// A client of the counselor who has consented to be remembered.
    pub(crate) async fn remembering(user_id: &str) -> Self {
        let mut h = Self::new().await;
        h.remembered(user_id, &["counselor"]).await;
        h
    }

    /// Another one, of these staff.
    pub(crate) async fn remembered(&mut self, user_id: &str, staff: &[&str]) {
        self.client(user_id, staff).await;
        self.run(&format!(
            "insert into core.consents (user_id, purpose) values ('{user_id}', 'memory')"
        ))
        .await;
    }

    /// Takes back whatever the client consented to.
    pub(crate) async fn take_back(&self, user_id: &str) {
        self.run(&format!("{TAKEN_BACK} and user_id = '{user_id}'")).await;
    }

    /// How many kept answers hold a text.
    pub(crate) async fn answers_that_say(&self, text: &str) -> i64 {
        let sql = format!(
            "select count(*) from core.idempotency_keys k where strpos(encode(k.body, 'escape'), '{text}') > 0"
        );
        self.database.count(&sql).await
    }

    /// Remembers a fact; its answer.
    pub(crate) async fn remember(&self, user_id: &str, body: &Value) -> Answer {
        let path = format!("/v1/users/{user_id}/memories");
        let answer = self.app_for(user_id).post(&path, body).await;
        assert!(matches!(answer.code(), 200 | 201), "{}", answer.json);
        answer
    }

    /// Lets a memory have expired.
    pub(crate) async fn expire(&self, memory: &Answer) {
        let id = memory.at("/id").as_str().unwrap();
        self.run(&format!(
            "update core.memories set expires_at = now() - interval '1 second' where id = '{id}'"
        ))
        .await;
    }

    async fn contents(&self, query: &str) -> Vec<Value> {
        column(
            &self.call("client-a").get(&format!("{OF_A}{query}")).await,
            "content",
        )
    }
}

#[tokio::test]
async fn a_memory_is_kept_with_where_it_comes_from_and_read_by_who_cares() {
    let h = Harness::remembering("client-a").await;
    let body = json!({
        "memory_type": "project", "entry_type": "summary", "content": "looks for a flat", "role": "companion",
        "thread_id": "t1", "is_sensitive": false, "write_reason": "said so twice", "source_provider": "one",
        "source_session_id": "s1", "metadata": {"turn": 3}, "idempotency_hash": "h1",
        "valid_from": "2026-05-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
    });
    let stored = h.call("client-a").post(OF_A, &body).await;
    assert_eq!(stored.code(), 201);
    let kept = h.call("client-a").get(&path_of(&stored)).await;
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&kept.json[field], value, "{field}");
    }
    for (field, value) in stored.json.as_object().unwrap() {
        assert_eq!(&kept.json[field], value, "{field}");
    }
    assert!(stored.at("/content").is_null(), "it is not sent back");
    assert_eq!(
        (stored.at("/superseded_by"), stored.at("/user_id")),
        (&Value::Null, &json!("client-a"))
    );
    for caller in [h.app_for("client-a"), h.call("counselor")] {
        assert_eq!(caller.get(&path_of(&stored)).await.json, kept.json);
        assert_eq!(caller.get(OF_A).await.items(), std::slice::from_ref(&kept.json));
    }
    let audited = h
        .audited("e.action = 'POST /v1/users/{user_id}/memories' and e.decision = 'allow'")
        .await;
    assert_eq!(audited.len(), 1);
    assert_eq!(audited[0]["people"], json!(["client-a"]));
}

#[tokio::test]
async fn without_a_consent_nothing_is_kept_or_corrected_and_the_client_reads_and_forgets_all() {
    let mut h = Harness::remembering("client-a").await;
    h.client("client-b", &[]).await;
    let stored = h.remember("client-a", &fact("90 days sober")).await;
    h.take_back("client-a").await;
    let client = h.call("client-a");
    for refused in [
        client.post(OF_A, &fact("more")).await,
        patch(&client, &path_of(&stored), &json!({"content": "other"})).await,
        h.call("client-b")
            .post("/v1/users/client-b/memories", &fact("never asked"))
            .await,
    ] {
        assert_eq!((refused.code(), problem(&refused)), (403, "consent-required"));
    }
    assert_eq!(
        client
            .post("/v1/users/client-b/memories", &fact("not mine"))
            .await
            .code(),
        404
    );
    assert_eq!(h.contents("").await, ["90 days sober"]);
    assert_eq!(client.get(&path_of(&stored)).await.code(), 200);
    assert_eq!(client.delete(&path_of(&stored)).await.code(), 204);
    assert_eq!(h.database.count("select count(*) from core.memories").await, 0);
}

#[tokio::test]
async fn a_revocation_waits_for_what_is_being_remembered() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let consents = client.get("/v1/users/client-a/consents").await;
    let consent = format!("/v1/consents/{}", consents.items()[0]["consent_id"]);
    // Nothing is stored meanwhile: whoever remembers has seen the consent by then.
    let working = h.database.superuser().await;
    working.run("begin; lock table core.memories in share mode").await;
    let body = fact("90 days sober");
    let revoke = async {
        h.so_many_wait(1).await;
        client.delete(&consent).await.code()
    };
    let release = async {
        h.so_many_wait(2).await;
        working.run("commit").await;
    };
    let (kept, revoked, ()) = futures::join!(client.post(OF_A, &body), revoke, release);
    assert_eq!((kept.code(), revoked), (201, 204));
    let late = "select count(*) from core.memories m join core.consents c on c.user_id = m.user_id
        where m.created_at > c.revoked_at";
    assert_eq!(h.database.count(late).await, 0);
}

#[tokio::test]
async fn the_same_hash_is_the_same_memory_and_another_content_is_refused() {
    let h = Harness::remembering("client-a").await;
    let body = with(fact("likes tea"), "idempotency_hash", "h1");
    let client = h.call("client-a");
    let answers = join_all((0..20).map(|_| client.post(OF_A, &body))).await;
    let mut codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [vec![200; 19], vec![201]].concat());
    assert!(answers.iter().all(|answer| answer.json == answers[0].json));
    let reasoned = with(body.clone(), "write_reason", "another reason");
    assert_eq!(client.post(OF_A, &reasoned).await.json, answers[0].json);
    let other = client.post(OF_A, &with(body, "content", "likes coffee")).await;
    assert_eq!((other.code(), problem(&other)), (409, "differs"));
    assert_eq!(h.contents("").await, ["likes tea"]);
}

#[tokio::test]
async fn what_is_forgotten_is_kept_by_no_answer_either() {
    let h = Harness::remembering("client-a").await;
    let keyed = |key: &str| h.call("client-a").with_header("idempotency-key", key);
    let body = with(fact("marker"), "metadata", json!({"of": "marker"}));
    let stored = keyed("one").post(OF_A, &body).await;
    let correct = json!({"content": "marker again"});
    let corrected = patch(&keyed("two"), &path_of(&stored), &correct).await;
    let thread = "/v1/threads/client-a/companion/main";
    let title = json!({"title": "marker"});
    let made = keyed("three").put(thread, &title).await;
    assert_eq!((stored.code(), corrected.code(), made.code()), (201, 200, 201));
    assert_eq!(h.call("client-a").delete(&path_of(&corrected)).await.code(), 204);
    assert_eq!(h.call("client-a").delete(thread).await.code(), 204);
    assert_eq!(h.answers_that_say("marker").await, 0);
    let again = keyed("one").post(OF_A, &body).await;
    assert_eq!((again.code(), &again.json), (201, &stored.json));
}

#[tokio::test]
async fn a_hash_that_has_expired_is_free_again_before_it_is_pruned() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let body = with(fact("likes tea"), "idempotency_hash", "h1");
    let first = client.post(OF_A, &body).await;
    h.expire(&first).await;
    let answers = join_all((0..10).map(|_| client.post(OF_A, &body))).await;
    let mut codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [vec![200; 9], vec![201]].concat());
    h.app.round("prune_memories").await.unwrap();
    assert_eq!(h.contents("").await, ["likes tea"], "what was acknowledged stays");
    let other = h
        .remember("client-a", &with(fact("one"), "idempotency_hash", "h2"))
        .await;
    h.expire(&other).await;
    let correct = json!({"content": "likes coffee", "idempotency_hash": "h2"});
    let corrected = patch(&client, &path_of(&answers[0]), &correct).await;
    assert_eq!(corrected.code(), 200, "{}", corrected.json);
}

#[tokio::test]
async fn a_hash_whose_memory_was_corrected_brings_nothing_back_and_says_what_took_its_place() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let body = with(fact("90 days sober"), "idempotency_hash", "h1");
    let first = client.post(OF_A, &body).await;
    let correction = patch(&client, &path_of(&first), &json!({"content": "relapsed in May"})).await;
    let again = client.post(OF_A, &body).await;
    assert_eq!((again.code(), again.at("/id")), (200, first.at("/id")));
    assert_eq!(again.at("/superseded_by"), correction.at("/id"));
    assert_eq!(h.contents("").await, ["relapsed in May"]);
}

#[tokio::test]
async fn relapsed_in_may_takes_the_place_of_90_days_sober_which_stays_in_the_history() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let sober = h
        .remember("client-a", &with(fact("90 days sober"), "role", "companion"))
        .await;
    let relapsed = json!({"content": "relapsed in May", "write_reason": "said so", "valid_from": "2026-05-04T00:00:00Z"});
    let correction = patch(&client, &path_of(&sober), &relapsed).await;
    assert_eq!(correction.code(), 200);
    let now = client.get(&path_of(&correction)).await;
    assert_eq!(
        (now.at("/role"), now.at("/valid_from")),
        (&json!("companion"), &json!("2026-05-04T00:00:00Z"))
    );
    assert_eq!(h.contents("").await, ["relapsed in May"]);
    assert_eq!(
        h.contents("?include=history").await,
        ["relapsed in May", "90 days sober"]
    );
    let before = client.get(&path_of(&sober)).await;
    assert_eq!(before.at("/superseded_by"), correction.at("/id"));
    let again = patch(&client, &path_of(&sober), &json!({"content": "91 days sober"})).await;
    assert_eq!((again.code(), problem(&again)), (409, "wrong-state"));
    let holds = correction.at("/id").as_str().unwrap();
    assert!(again.at("/detail").as_str().unwrap().contains(holds));
}

#[tokio::test]
async fn a_correction_that_is_sent_again_with_its_hash_is_the_same() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let first = h.remember("client-a", &fact("one")).await;
    let body = json!({"content": "two", "idempotency_hash": "h2"});
    let correct = |body: Value| {
        let (client, path) = (client.clone(), path_of(&first));
        async move { patch(&client, &path, &body).await }
    };
    let correction = correct(body.clone()).await;
    assert_eq!(correct(body).await.json, correction.json);
    let other = correct(json!({"content": "three", "idempotency_hash": "h2"})).await;
    assert_eq!(other.code(), 409);
    let taken = patch(
        &client,
        &path_of(&correction),
        &json!({"content": "two", "idempotency_hash": "h2"}),
    )
    .await;
    assert_eq!((taken.code(), problem(&taken)), (409, "differs"));
    let nothing = patch(&client, &path_of(&correction), &json!({"write_reason": "why"})).await;
    assert_eq!(
        (nothing.code(), pointers(&nothing)),
        (422, vec!["/content".to_owned()])
    );
}

#[tokio::test]
async fn of_many_corrections_at_once_one_wins() {
    let h = Harness::remembering("client-a").await;
    let first = h.remember("client-a", &fact("one")).await;
    let client = h.call("client-a");
    let bodies: Vec<Value> = (0..10).map(|n| json!({"content": format!("two {n}")})).collect();
    let path = path_of(&first);
    let answers = join_all(bodies.iter().map(|body| patch(&client, &path, body))).await;
    let mut codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [vec![200], vec![409; 9]].concat());
    assert_eq!(h.contents("?include=all").await.len(), 2);
}

#[tokio::test]
async fn to_forget_a_correction_is_to_forget_what_it_corrected() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let first = h.remember("client-a", &fact("one")).await;
    let second = patch(&client, &path_of(&first), &json!({"content": "two"})).await;
    let third = patch(&client, &path_of(&second), &json!({"content": "three"})).await;
    assert_eq!(client.delete(&path_of(&second)).await.code(), 204);
    assert_eq!(h.contents("?include=all").await, ["three"]);
    assert_eq!(client.delete(&path_of(&third)).await.code(), 204);
    assert_eq!(client.delete(&path_of(&third)).await.code(), 404);
    assert_eq!(h.database.count("select count(*) from core.memories").await, 0);
    assert_eq!(
        h.database
            .count("select count(*) from core.embedding_leases")
            .await,
        0
    );
}

#[tokio::test]
async fn a_list_is_filtered_and_shows_what_has_expired_only_when_asked() {
    let h = Harness::remembering("client-a").await;
    let stored = [
        with(fact("one"), "role", "companion"),
        with(fact("two"), "thread_id", "t1"),
        with(fact("three"), "memory_type", "task"),
        with(fact("four"), "entry_type", "nugget"),
        fact("five"),
    ];
    for body in &stored {
        h.remember("client-a", body).await;
    }
    let gone = h.remember("client-a", &fact("gone")).await;
    h.expire(&gone).await;
    for (query, expected) in [
        ("", vec!["five", "four", "three", "two", "one"]),
        ("?role=companion", vec!["one"]),
        ("?thread_id=t1", vec!["two"]),
        ("?memory_type=task", vec!["three"]),
        ("?entry_type=nugget&memory_type=personal", vec!["four"]),
        ("?include=expired&limit=2", vec!["gone", "five"]),
        ("?include=history", vec!["five", "four", "three", "two", "one"]),
    ] {
        assert_eq!(h.contents(query).await, expected, "{query}");
    }
    let client = h.call("client-a");
    assert_eq!(client.get(&path_of(&gone)).await.code(), 404);
    assert_eq!(
        patch(&client, &path_of(&gone), &json!({"content": "back"}))
            .await
            .code(),
        404
    );
    let mut seen = Vec::new();
    let mut next = format!("{OF_A}?limit=2");
    loop {
        let page = client.get(&next).await;
        seen.extend(column(&page, "content"));
        let Some(cursor) = page.at("/next_cursor").as_str() else {
            break;
        };
        next = format!("{OF_A}?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["five", "four", "three", "two", "one"]);
    for bad in [
        "?memory_type=secret",
        "?include=everything",
        "?limit=0",
        "?cursor=x",
    ] {
        assert_eq!(client.get(&format!("{OF_A}{bad}")).await.code(), 422, "{bad}");
    }
}

#[tokio::test]
async fn staff_see_no_sensitive_memory_and_no_memory_of_a_client_in_crisis_alone() {
    let mut h = Harness::remembering("client-a").await;
    h.client("client-b", &[]).await;
    let helper = h.helper_in_a_crisis("client-a").await;
    let open = h.remember("client-a", &fact("open")).await;
    let hidden = h
        .remember("client-a", &with(fact("hidden"), "is_sensitive", true))
        .await;
    let counselor = h.call("counselor");
    assert_eq!(column(&counselor.get(OF_A).await, "content"), ["open"]);
    assert_eq!(counselor.get(&path_of(&hidden)).await.code(), 404);
    assert_eq!(h.contents("").await, ["hidden", "open"]);
    assert_eq!(h.app_for("client-a").get(&path_of(&hidden)).await.code(), 200);
    for stranger in [h.call("client-b"), helper, h.app_for("client-b")] {
        assert_eq!(stranger.get(&path_of(&open)).await.code(), 404);
        assert_eq!(stranger.get(OF_A).await.code(), 404);
    }
    for stranger in [h.call("client-b"), h.app_for("client-b")] {
        assert_eq!(stranger.delete(&path_of(&open)).await.code(), 404);
        let body = json!({"content": "taken over"});
        let patched = patch(&stranger, &path_of(&open), &body).await;
        assert_eq!(patched.code(), 404);
    }
}

#[tokio::test]
async fn every_fault_of_a_memory_is_named_at_once() {
    let h = Harness::remembering("client-a").await;
    let bad = json!({
        "memory_type": "secret", "entry_type": 1, "content": "a\u{0}", "role": "a b", "thread_id": "", "is_sensitive": "no",
        "write_reason": "", "metadata": [], "idempotency_hash": "", "valid_from": "2999-01-01T00:00:00Z",
        "expires_at": "2020-01-01T00:00:00Z", "superseded_by": null,
        "embeddings": [{"model": "", "embedding": []}, {"embedding": [1, "x"]}],
    });
    let refused = h.call("client-a").post(OF_A, &bad).await;
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(refused.code(), 422);
    assert_eq!(
        named,
        [
            "/content",
            "/embeddings/0/embedding",
            "/embeddings/0/model",
            "/embeddings/1/embedding",
            "/embeddings/1/model",
            "/entry_type",
            "/expires_at",
            "/idempotency_hash",
            "/is_sensitive",
            "/memory_type",
            "/metadata",
            "/role",
            "/superseded_by",
            "/thread_id",
            "/valid_from",
            "/write_reason",
        ]
    );
    let long = with(fact("x"), "content", "x".repeat(65_537));
    assert_eq!(h.call("client-a").post(OF_A, &long).await.code(), 413);
    assert_eq!(h.database.count("select count(*) from core.memories").await, 0);
}

#[tokio::test]
async fn tasks_beyond_the_quota_and_what_has_expired_are_pruned_once() {
    let mut h = Harness::with_config(|config| Config {
        task_memories_per_user: 3,
        ..config
    })
    .await;
    h.remembered("client-a", &[]).await;
    h.remembered("client-b", &[]).await;
    let task = |content: &str| with(fact(content), "memory_type", "task");
    for n in 0..5 {
        h.remember("client-a", &task(&format!("task {n}"))).await;
        h.remember("client-a", &fact(&format!("fact {n}"))).await;
    }
    for n in 0..3 {
        h.remember("client-b", &task(&format!("task {n}"))).await;
    }
    let expired = h.remember("client-b", &fact("expired")).await;
    h.expire(&expired).await;
    // The oldest was read last.
    h.run(
        "update core.memories set accessed_at = created_at;
         update core.memories set accessed_at = now() + interval '1 second' where content = 'task 0'",
    )
    .await;
    let replica = h.replica_with(|config| Config {
        task_memories_per_user: 3,
        ..config
    });
    let (one, other) = futures::join!(h.app.round("prune_memories"), replica.round("prune_memories"));
    assert_eq!(one.unwrap() + other.unwrap(), 3);
    assert_eq!(h.app.round("prune_memories").await.unwrap(), 0);
    assert_eq!(
        h.contents("?memory_type=task").await,
        ["task 4", "task 3", "task 0"]
    );
    assert_eq!(h.contents("?memory_type=personal").await.len(), 5);
    let of_b = "select count(*) from core.memories where user_id = 'client-b'";
    assert_eq!(h.database.count(of_b).await, 3);
}
