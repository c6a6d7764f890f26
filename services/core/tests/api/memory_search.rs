//! Finding memories: as many as asked for where there are as many, only what holds, and only under a consent.

use core_service::{Config, SearchConfig};
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, column, pointers};
use crate::memories::{fact, patch, path_of, problem, with};
use crate::memory_embeddings::TINY;

const SEARCH: &str = "/v1/search/memory";

fn embedded(content: &str, embedding: [f64; 3]) -> Value {
    let embeddings = json!([{"model": TINY, "embedding": embedding}]);
    with(fact(content), "embeddings", embeddings)
}

fn near(embedding: [f64; 3]) -> Value {
    json!({"embedding": embedding, "model": TINY})
}

impl Harness {
    async fn search(&self, caller: &str, body: &Value) -> Answer {
        self.call(caller).post(SEARCH, body).await
    }

    /// What somebody finds, best first.
    async fn found(&self, caller: &str, body: &Value) -> Vec<Value> {
        let answer = self.search(caller, body).await;
        assert_eq!(answer.code(), 200, "{}", answer.json);
        column(&answer, "content")
    }

    /// Plants 300 memories with random embeddings of 16 dimensions for each of 20 clients of the counselor, who have all
    /// consented; every 300th is a task. With the index that the operator makes.
    async fn with_random_memories(&self) {
        let said = self
            .admin("add-embedding-model random-16 --dimensions 16 --purpose text")
            .await
            .unwrap();
        self.run(
            "insert into core.users (user_id) select 'client-' || lpad(n::text, 2, '0') from generate_series(0, 19) n;
             insert into core.consents (user_id, purpose) select user_id, 'memory' from core.users where user_id like 'client-%';
             insert into core.caseload_assignments (client_id, staff_id)
             select user_id, 'staff-counselor' from core.users where user_id like 'client-%';
             select setseed(0.5);
             insert into core.memories (id, user_id, memory_type, entry_type, content)
             select gen_random_uuid(), 'client-' || lpad((n % 20)::text, 2, '0'), case n % 300 when 0 then 'task' else 'personal' end,
                'nugget', 'memory ' || n
             from generate_series(1, 6000) n;
             insert into core.memory_embeddings (memory_entry_id, user_id, embedding_model, embedding_dimensions, embedding)
             select m.id, m.user_id, 'random-16', 16,
                array(select random() - 0.5 from generate_series(1, 16) d where m.content <> d::text)::real[]::public.vector
             from core.memories m;
             analyze core.memories, core.memory_embeddings",
        )
        .await;
        let (_, index) = said.split_once('\n').unwrap();
        self.run(index).await;
    }

    /// The memories nearest to an embedding, compared one by one; `among` is a condition on `m`.
    async fn nearest(&self, embedding: &[f64], limit: usize, among: &str) -> Vec<String> {
        let sql = format!(
            "select m.content from core.memories m join core.memory_embeddings e on e.memory_entry_id = m.id
             where {among} order by e.embedding <=> '{}'::vector, m.id limit {limit}",
            json!(embedding)
        );
        let rows = self.database.query(&sql).await;
        rows.iter().map(|row| row.get("content")).collect()
    }
}

/// Embeddings that differ from each other, the same in every run.
fn asked(count: usize) -> Vec<Vec<f64>> {
    let number = |n: usize| f64::from(u32::try_from(n * 7_919 % 1_009).unwrap()) / 1_009.0 - 0.5;
    (1..=count)
        .map(|n| (1..=16).map(|d| number(n * 31 + d * d * 17 + n * d)).collect())
        .collect()
}

#[tokio::test]
async fn the_nearest_are_found_with_their_distance_and_place() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    for (content, embedding) in [
        ("same", [2.0, 0.0, 0.0]),
        ("aside", [1.0, 1.0, 0.0]),
        ("across", [0.0, 0.0, 3.0]),
        ("opposite", [-1.0, 0.0, 0.0]),
    ] {
        h.remember("client-a", &embedded(content, embedding)).await;
    }
    h.remember("client-a", &fact("without an embedding")).await;
    let answer = h.search("client-a", &near([1.0, 0.0, 0.0])).await;
    assert_eq!(
        column(&answer, "content"),
        ["same", "aside", "across", "opposite"]
    );
    assert_eq!(column(&answer, "vector_rank"), [1, 2, 3, 4]);
    for (item, distance) in answer.items().iter().zip([0.0, 1.0 - 0.5_f64.sqrt(), 1.0, 2.0]) {
        assert!(
            (item["distance"].as_f64().unwrap() - distance).abs() < 1e-6,
            "{item}"
        );
        assert_eq!(
            (&item["text_rank"], &item["user_id"]),
            (&Value::Null, &json!("client-a"))
        );
    }
    let two = with(near([1.0, 0.0, 0.0]), "limit", 2);
    for caller in ["client-a", "counselor"] {
        assert_eq!(h.found(caller, &two).await, ["same", "aside"], "{caller}");
    }
    let of_a = with(two, "user_id", "client-a");
    for caller in ["client-a", "counselor", "app"] {
        assert_eq!(h.found(caller, &of_a).await, ["same", "aside"], "{caller}");
    }
}

#[tokio::test]
async fn of_a_large_caseload_nearly_all_of_the_nearest_are_found() {
    let h = Harness::new().await;
    h.with_random_memories().await;
    let (mut hits, mut wanted) = (0, 0);
    for embedding in asked(20) {
        for limit in [10, 50] {
            let body = json!({"embedding": embedding, "model": "random-16", "limit": limit});
            let found = h.found("counselor", &body).await;
            assert_eq!(found.len(), limit);
            let exact = h.nearest(&embedding, limit, "true").await;
            hits += exact
                .iter()
                .filter(|content| found.contains(&json!(content)))
                .count();
            wanted += limit;
        }
    }
    assert!(hits * 100 >= wanted * 95, "{hits} of {wanted}");
}

#[tokio::test]
async fn of_one_client_exactly_the_nearest_are_found() {
    let h = Harness::new().await;
    h.with_random_memories().await;
    for embedding in asked(5) {
        let body = json!({"embedding": embedding, "model": "random-16", "user_id": "client-07"});
        let exact = h.nearest(&embedding, 10, "m.user_id = 'client-07'").await;
        assert_eq!(h.found("counselor", &body).await, exact);
    }
}

#[tokio::test]
async fn a_filter_that_leaves_few_shortens_no_list() {
    // A walk gives up where it does among more memories than a test can plant.
    let mut h = Harness::with_config(|config| Config {
        search: SearchConfig {
            walked_max: 200,
            ..config.search
        },
        ..config
    })
    .await;
    h.with_random_memories().await;
    h.remembered("client-99", &["counselor_other"]).await;
    h.run(
        "update core.memories set role = 'study_guide', valid_from = '2020-05-05' where content like 'memory 77%';
         insert into core.memory_collections (id, user_id, collection_type, name, created_by, updated_by)
         values ('00000000-0000-0000-0000-000000000001', 'client-01', 'goal', 'g', 'self', 'self');
         insert into core.memory_collection_items (collection_id, memory_id, user_id, added_by)
         select '00000000-0000-0000-0000-000000000001', id, user_id, 'self' from core.memories
         where user_id = 'client-01' and content like 'memory 1%' order by content limit 12;
         update core.memories set role = 'companion' where role is null",
    )
    .await;
    let embedding = asked(1).remove(0);
    let of_collection = "m.id in (select memory_id from core.memory_collection_items)";
    for (field, value, among) in [
        ("memory_type", json!("task"), "m.memory_type = 'task'"),
        ("role", json!("study_guide"), "m.role = 'study_guide'"),
        (
            "until",
            json!("2021-01-01T00:00:00Z"),
            "m.valid_from < '2021-01-01'",
        ),
        (
            "from",
            json!("2021-01-01T00:00:00Z"),
            "m.valid_from > '2021-01-01'",
        ),
        (
            "collection_id",
            json!("00000000-0000-0000-0000-000000000001"),
            of_collection,
        ),
    ] {
        let body = with(
            json!({"embedding": embedding, "model": "random-16"}),
            field,
            value,
        );
        let exact = h.nearest(&embedding, 10, among).await;
        let found = h.found("counselor", &body).await;
        assert_eq!(found.len(), 10, "{field}");
        if field != "from" {
            assert_eq!(found, exact, "{field}");
        }
    }
    let all = json!({"embedding": embedding, "model": "random-16", "memory_type": "task", "limit": 100});
    assert_eq!(h.found("counselor", &all).await.len(), 20, "all there are");
    let other = json!({"embedding": embedding, "model": "random-16"});
    assert_eq!(h.found("counselor_other", &other).await, Vec::<Value>::new());
}

#[tokio::test]
async fn every_session_walks_an_index_as_it_is_set() {
    let mut h = Harness::with_config(|config| Config {
        search: SearchConfig {
            ef_search: 57,
            walked_max: 4_321,
            ..config.search
        },
        ..config
    })
    .await;
    h.remembered("client-a", &[]).await;
    // Whoever remembers writes down what holds in its session.
    h.run(
        "create function core.tell() returns trigger language plpgsql as $$ begin
             new.write_reason := current_setting('hnsw.iterative_scan') || ' ' || current_setting('hnsw.ef_search')
                 || ' ' || current_setting('hnsw.max_scan_tuples');
             return new;
         end $$;
         create trigger tell before insert on core.memories for each row execute function core.tell()",
    )
    .await;
    let memory = h.remember("client-a", &fact("tea")).await;
    let read = h.call("client-a").get(&path_of(&memory)).await;
    assert_eq!(read.at("/write_reason"), &json!("relaxed_order 57 4321"));
}

#[tokio::test]
async fn what_was_corrected_has_expired_or_is_forgotten_is_never_found() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    let direction = [1.0, 0.0, 0.0];
    let sober = h
        .remember("client-a", &embedded("90 days sober", direction))
        .await;
    let expired = h
        .remember("client-a", &embedded("expired sober", direction))
        .await;
    let forgotten = h
        .remember("client-a", &embedded("forgotten sober", direction))
        .await;
    h.expire(&expired).await;
    let client = h.call("client-a");
    client.delete(&path_of(&forgotten)).await;
    let correction =
        json!({"content": "relapsed in May", "embeddings": [{"model": TINY, "embedding": direction}]});
    patch(&client, &path_of(&sober), &correction).await;
    for caller in ["client-a", "counselor"] {
        assert_eq!(h.found(caller, &near(direction)).await, ["relapsed in May"]);
        assert_eq!(
            h.found(caller, &json!({"query": "sober"})).await,
            Vec::<Value>::new()
        );
        assert_eq!(
            h.found(caller, &json!({"query": "relapsed"})).await,
            ["relapsed in May"]
        );
    }
}

#[tokio::test]
async fn without_a_consent_nothing_is_searched_and_a_caseload_leaves_the_client_out() {
    let mut h = Harness::remembering("client-a").await;
    h.remembered("client-b", &["counselor"]).await;
    h.with_tiny_model().await;
    let direction = [1.0, 0.0, 0.0];
    for (client, content) in [("client-a", "tea of a"), ("client-b", "tea of b")] {
        h.remember(client, &embedded(content, direction)).await;
    }
    h.take_back("client-a").await;
    for what in [near(direction), json!({"query": "tea"})] {
        assert_eq!(h.found("counselor", &what).await, ["tea of b"]);
        let named = with(what.clone(), "user_id", "client-a");
        for refused in [
            h.search("client-a", &what).await,
            h.search("counselor", &named).await,
            h.search("app", &named).await,
        ] {
            assert_eq!((refused.code(), problem(&refused)), (403, "consent-required"));
        }
    }
}

#[tokio::test]
async fn staff_find_nothing_sensitive_and_nobody_anything_of_strangers() {
    let mut h = Harness::remembering("client-a").await;
    h.remembered("client-b", &[]).await;
    let helper = h.helper_in_a_crisis("client-a").await;
    h.with_tiny_model().await;
    let hidden = with(embedded("hidden tea", [1.0, 0.0, 0.0]), "is_sensitive", true);
    h.remember("client-a", &hidden).await;
    h.remember("client-b", &embedded("strange tea", [1.0, 0.0, 0.0]))
        .await;
    h.crisis("client-b", "oncall").await;
    for what in [near([1.0, 0.0, 0.0]), json!({"query": "tea"})] {
        assert_eq!(h.found("client-a", &what).await, ["hidden tea"]);
        assert_eq!(h.found("counselor", &what).await, Vec::<Value>::new());
        assert_eq!(helper.post(SEARCH, &what).await.items(), Vec::<Value>::new());
        let of_a = with(what.clone(), "user_id", "client-a");
        assert_eq!(helper.post(SEARCH, &of_a).await.code(), 404, "for a crisis alone");
        let strange = with(what.clone(), "user_id", "client-b");
        for caller in ["client-a", "counselor"] {
            assert_eq!(h.search(caller, &strange).await.code(), 404, "{caller}");
        }
        for caller in ["oncall", "admin", "pipeline", "auditor"] {
            assert_eq!(h.search(caller, &strange).await.code(), 403, "{caller}");
        }
        assert_eq!(h.search("app", &what).await.code(), 400, "an app says for whom");
        let app = h.app_for("client-a").post(SEARCH, &strange).await;
        assert_eq!(app.code(), 404);
        let of_customer = h
            .call("app")
            .post(&format!("{SEARCH}?customer_id=client-b"), &what)
            .await;
        assert_eq!(column(&of_customer, "content"), ["strange tea"]);
        let both = h
            .call("app")
            .post(&format!("{SEARCH}?customer_id=client-a"), &strange)
            .await;
        assert_eq!((both.code(), pointers(&both)), (422, vec!["/user_id".to_owned()]));
    }
}

#[tokio::test]
async fn the_path_of_the_seed_finds_the_same_of_one_customer_and_of_all() {
    let mut h = Harness::remembering("client-a").await;
    h.remembered("client-b", &["counselor"]).await;
    h.with_tiny_model().await;
    for (user_id, content) in [("client-a", "green tea"), ("client-b", "black tea")] {
        h.remember(user_id, &embedded(content, [1.0, 0.0, 0.0])).await;
    }
    for (query, count) in [("?customer_id=client-b", 1), ("", 2)] {
        for what in [near([1.0, 0.0, 0.0]), json!({"query": "tea"})] {
            let counselor = h.call("counselor");
            let found = counselor.post(&format!("{SEARCH}{query}"), &what).await;
            let of_the_seed = counselor.post(&format!("/search/memory{query}"), &what).await;
            assert_eq!(
                (of_the_seed.code(), of_the_seed.items().len()),
                (200, count),
                "{query}"
            );
            assert_eq!(of_the_seed.json, found.json);
        }
    }
}

#[tokio::test]
async fn words_and_meaning_together_rank_what_both_find_first() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    for (content, embedding) in [
        ("walks by the river", [0.9, 0.1, 0.0]),
        ("likes the water", [1.0, 0.0, 0.0]),
        ("drinks tea", [0.0, 1.0, 0.0]),
    ] {
        h.remember("client-a", &embedded(content, embedding)).await;
    }
    h.remember("client-a", &fact("the river is loud")).await;
    let body = with(near([1.0, 0.0, 0.0]), "query", "river -loud");
    let answer = h.search("client-a", &body).await;
    assert_eq!(
        column(&answer, "content"),
        ["walks by the river", "likes the water", "drinks tea"]
    );
    let first = &answer.items()[0];
    assert_eq!(
        (&first["vector_rank"], &first["text_rank"]),
        (&json!(2), &json!(1))
    );
    let score = first["score"].as_f64().unwrap();
    assert!((score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-9, "{score}");
    let words = h.search("client-a", &json!({"query": "river"})).await;
    let mut found = column(&words, "content");
    found.sort_by_key(Value::to_string);
    assert_eq!(found, ["the river is loud", "walks by the river"]);
    assert_eq!(column(&words, "distance"), [Value::Null, Value::Null]);
    for query in ["!!!", "'; drop table core.memories; --", "\"", "zzz or"] {
        let nothing = h.found("client-a", &json!({"query": query})).await;
        assert_eq!(nothing, Vec::<Value>::new(), "{query}");
    }
}

#[tokio::test]
async fn every_fault_of_a_search_is_named() {
    let h = Harness::remembering("client-a").await;
    h.with_tiny_model().await;
    for (body, pointer) in [
        (json!({}), "/embedding"),
        (json!({"query": ""}), "/query"),
        (json!({"query": "a\u{0}"}), "/query"),
        (json!({"query": "tea", "model": TINY}), "/model"),
        (json!({"embedding": [1, 2, 3]}), "/embedding"),
        (json!({"embedding": [0, 0, 0], "model": TINY}), "/embedding"),
        (json!({"embedding": [1, 2], "model": TINY}), "/embedding"),
        (json!({"embedding": vec![1; 1_535]}), "/embedding"),
        (json!({"embedding": [1, 2, 3], "model": "unknown"}), "/model"),
        (json!({"embedding": vec![1; 512], "model": "face-512"}), "/model"),
        (json!({"query": "tea", "limit": 0}), "/limit"),
        (json!({"query": "tea", "limit": 101}), "/limit"),
        (json!({"query": "tea", "memory_type": "x"}), "/memory_type"),
        (json!({"query": "tea", "collection_id": "x"}), "/collection_id"),
        (json!({"query": "tea", "status": "x"}), "/status"),
    ] {
        let refused = h.search("client-a", &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()]),
            "{body}"
        );
    }
}

#[tokio::test]
async fn what_is_found_or_read_is_noted_by_a_job_and_a_search_is_a_read_in_the_audit() {
    let h = Harness::remembering("client-a").await;
    let (found, read, other) = (
        h.remember("client-a", &fact("tea")).await,
        h.remember("client-a", &fact("two")).await,
        h.remember("client-a", &fact("three")).await,
    );
    h.run("update core.memories set accessed_at = '2020-01-01'").await;
    assert_eq!(h.found("counselor", &json!({"query": "tea"})).await, ["tea"]);
    h.call("client-a").get(&path_of(&read)).await;
    let noted = "select count(*) from core.memories where accessed_at > now() - interval '1 minute'";
    assert_eq!(
        h.database.count(noted).await,
        0,
        "a read writes nothing by itself"
    );
    h.app.round("touch_memories").await.unwrap();
    assert_eq!(h.database.count(noted).await, 2);
    let accessed = |memory: &Answer| {
        let id = memory.at("/id").as_str().unwrap().to_owned();
        let sql =
            format!("select count(*) from core.memories where id = '{id}' and accessed_at > '2020-01-02'");
        async { h.database.count(&{ sql }).await }
    };
    assert_eq!(
        (
            accessed(&found).await,
            accessed(&read).await,
            accessed(&other).await
        ),
        (1, 1, 0)
    );
    let audited = h.audited("e.action = 'POST /v1/search/memory'").await;
    assert_eq!(
        (&audited[0]["event_type"], &audited[0]["people"]),
        (&json!("read"), &json!(["client-a"]))
    );
}
