//! Inputs that must get the named answer and change nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, pointers};
use crate::memories::{fact, path_of};

#[tokio::test]
async fn a_message_that_cannot_be_is_refused_by_name_and_changes_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let with = |field: &str, value: Value| {
        let mut sent = message("client-a", "text");
        sent[field] = value;
        sent
    };
    for (field, value, code) in [
        ("message_text", json!(""), 422),
        ("message_text", json!("a\u{0}b"), 422),
        ("message_text", json!(7), 422),
        ("message_text", json!("x".repeat(65_537)), 413),
        ("conversation_type", json!("sms"), 422),
        ("sender_role", json!("robot"), 422),
        ("timestamp", json!("1999-12-31T23:59:59Z"), 422),
        ("timestamp", json!("2026-01-01T00:00:00"), 422),
        (
            "timestamp",
            json!((chrono::Utc::now() + chrono::TimeDelta::minutes(6)).to_rfc3339()),
            422,
        ),
        ("recipient_id", json!("a b"), 422),
        ("metadata", json!({"k": "a\u{0}b"}), 422),
        ("metadata", json!({"k": "x".repeat(17_000)}), 413),
        ("user_id", json!(null), 422),
        ("role", json!("staff"), 422),
        ("status", json!("scored"), 422),
    ] {
        let refused = h.call("client-a").post("/v1/messages", &with(field, value)).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (code, vec![format!("/{field}")])
        );
    }
    assert_eq!(h.database.count("select count(*) from core.messages").await, 0);
    assert_eq!(h.events("core.message.created").await.len(), 0);
    let largest = h
        .call("client-a")
        .post("/v1/messages", &with("message_text", json!("x".repeat(65_536))))
        .await;
    assert_eq!(largest.code(), 201);
}

#[tokio::test]
async fn a_body_that_is_no_json_of_ours_is_refused() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let start = r#"{"user_id": "client-a", "conversation_type": "buddy", "message_text": "#;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (body, code) in [
        (format!(r#"{start} "\ud800" }}"#).into_bytes(), 400),
        (
            format!(r#"{start} "text", "user_id": "client-b" }}"#).into_bytes(),
            400,
        ),
        ([start.as_bytes(), b"\"\xff\xfe\"}"].concat(), 400),
        (format!("{start} {deep} }}").into_bytes(), 400),
        (format!("{start} \"text\"").into_bytes(), 400),
        (b"[]".to_vec(), 422),
        (Vec::new(), 400),
        (
            format!("{start} \"{}\" }}", "x".repeat(600_000)).into_bytes(),
            413,
        ),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        let refused = h
            .call("client-a")
            .send(Method::POST, "/v1/messages", Some(body))
            .await;
        assert_eq!(refused.code(), code, "{shown}");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    let text = h.call("client-a").with_header("content-type", "text/plain");
    let body = message("client-a", "text").to_string().into_bytes();
    assert_eq!(
        text.send(Method::POST, "/v1/messages", Some(body)).await.code(),
        415
    );
    assert_eq!(h.database.count("select count(*) from core.messages").await, 0);
}

#[tokio::test]
async fn strings_that_mean_something_elsewhere_are_stored_as_they_are() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for text in [
        "'; drop table core.messages; --",
        "100% _under_ \\ back",
        "line\nbreak\r\ttab \u{1b}[31m",
        "${jndi:ldap://x} {{7*7}} <script>",
        "\u{202e}right to left\u{200b} \u{1f9e1}",
        "$1 :name %s ?",
    ] {
        let stored = h
            .call("client-a")
            .post("/v1/messages", &message("client-a", text))
            .await;
        assert_eq!(stored.code(), 201);
        let path = format!("/v1/messages/{}", stored.at("/message_id"));
        assert_eq!(
            h.call("client-a").get(&path).await.at("/message_text"),
            &json!(text)
        );
        let account = json!({"kind": "client", "display_name": text});
        let made = h.call("admin").post("/v1/users", &account).await;
        let path = format!("/v1/users/{}", made.at("/user_id").as_str().expect("an id"));
        assert_eq!(h.call("admin").get(&path).await.at("/display_name"), &json!(text));
    }
}

#[tokio::test]
async fn ids_that_cannot_be_name_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.messages("client-a", 9).await;
    assert_eq!(h.call("counselor").get("/v1/messages/9").await.code(), 200);
    for path in [
        "/v1/messages/0",
        "/v1/messages/-1",
        "/v1/messages/09",
        "/v1/messages/+9",
        "/v1/messages/%2B9",
        "/v1/messages/9223372036854775807",
        "/v1/messages/99999999999999999999",
        "/v1/messages/abc",
        "/v1/users/a%20b",
        "/v1/users/client-a%27--",
        "/v1/users/nobody/messages",
        "/v1/nothing",
    ] {
        let refused = h.call("counselor").get(path).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (404, &json!("/problems/not-found")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_path_describes_its_parameters() {
    let api = serde_json::to_value(core_service::openapi()).unwrap();
    for (path, methods) in api["paths"].as_object().expect("paths") {
        let in_path: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        for (method, operation) in methods.as_object().expect("methods") {
            let described = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named: Vec<&str> = described
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(named, in_path, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn nothing_is_required_of_a_change_of_an_account() {
    let api = serde_json::to_value(core_service::openapi()).unwrap();
    let body = &api["paths"]["/v1/users/{user_id}"]["patch"]["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["$ref"], "#/components/schemas/ChangesBody");
    let described = &api["components"]["schemas"]["ChangesBody"];
    assert!(described["properties"]["status"].is_object());
    assert!(described.get("required").is_none(), "{}", described["required"]);
}

/// A body that keeps or asks for something: who sends it where, and itself with a `%` in place of what is tried.
struct Place {
    caller: &'static str,
    method: Method,
    path: String,
    body: String,
}

impl Place {
    fn new(caller: &'static str, method: Method, path: &str, body: &str) -> Self {
        Self {
            caller,
            method,
            path: path.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Sends the body with this value.
    async fn send(&self, h: &Harness, value: &[u8]) -> testkit::Answer {
        let (before, after) = self.body.split_once('%').unwrap();
        let body = [before.as_bytes(), value, after.as_bytes()].concat();
        self.send_as(h, body).await
    }

    async fn send_as(&self, h: &Harness, body: Vec<u8>) -> testkit::Answer {
        let caller = h.call(self.caller);
        caller.send(self.method.clone(), &self.path, Some(body)).await
    }
}

/// A client who consented to all of it, with a memory, a session and a thread; the path of the memory.
async fn remembering_all(h: &mut Harness, user_id: &str) -> String {
    h.remembered(user_id, &["counselor"]).await;
    h.run(&format!(
        "insert into core.consents (user_id, purpose) values ('{user_id}', 'biometrics')"
    ))
    .await;
    let memory = h.remember(user_id, &fact("one")).await;
    let session = json!({"employee_id": "staff-counselor", "client_id": user_id});
    let begun = h
        .call("counselor")
        .put(&format!("/v1/interactions/{user_id}"), &session)
        .await;
    let thread = format!("/v1/threads/{user_id}/companion/main");
    let made = h.app_for(user_id).put(&thread, &json!({"title": "Sleep"})).await;
    assert_eq!((begun.code(), made.code()), (201, 201));
    path_of(&memory)
}

/// What is kept of everybody.
async fn kept(h: &Harness) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in [
        "memories",
        "memory_embeddings",
        "memory_collections",
        "face_embeddings",
        "transcript_chunks",
        "coaching_notes",
        "chat_threads",
        "messages",
    ] {
        let sql = format!("select count(*) from core.{table}");
        counts.push(h.database.count(&sql).await);
    }
    counts
}

/// Where long text is kept.
fn of_long_text(memory: &str) -> [Place; 6] {
    let post = Method::POST;
    let fact = r#"{"memory_type":"personal","entry_type":"nugget","content":%}"#;
    [
        Place::new("client-a", post.clone(), "/v1/users/client-a/memories", fact),
        Place::new("client-a", Method::PATCH, memory, r#"{"content":%}"#),
        Place::new(
            "client-a",
            post.clone(),
            "/v1/threads/client-a/companion/main/turns",
            r#"{"user_message":"said","assistant_reply":%}"#,
        ),
        Place::new(
            "counselor",
            post.clone(),
            "/v1/interactions/client-a/transcript",
            r#"{"chunk_index":0,"content":%}"#,
        ),
        Place::new(
            "counselor",
            post.clone(),
            "/v1/interactions/client-a/transcript:batch",
            r#"{"items":[{"chunk_index":0,"content":"good"},{"chunk_index":1,"content":%}]}"#,
        ),
        Place::new(
            "counselor",
            post.clone(),
            "/v1/interactions/client-a/coaching-notes",
            r#"{"note":%}"#,
        ),
    ]
}

/// Where a line is kept or looked for.
fn of_short_text() -> [Place; 3] {
    let (post, put) = (Method::POST, Method::PUT);
    [
        Place::new(
            "client-a",
            post.clone(),
            "/v1/users/client-a/collections",
            r#"{"collection_type":"goal","name":%}"#,
        ),
        Place::new(
            "client-a",
            put,
            "/v1/threads/client-a/companion/main",
            r#"{"title":%}"#,
        ),
        Place::new("client-a", post, "/v1/search/memory", r#"{"query":%}"#),
    ]
}

#[tokio::test]
async fn text_that_cannot_be_is_refused_wherever_it_is_kept_or_looked_for() {
    let mut h = Harness::new().await;
    let memory = remembering_all(&mut h, "client-a").await;
    let (long, short) = (of_long_text(&memory), of_short_text());
    let before = kept(&h).await;
    let too_long = format!("\"{}\"", "x".repeat(65_537)).into_bytes();
    for place in &long {
        assert_eq!(place.send(&h, &too_long).await.code(), 413, "{}", place.path);
    }
    // The smallest of these bodies takes 8 KiB.
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    for place in long.iter().chain(&short) {
        for (value, code) in [
            (&b"\"\""[..], 422),
            (b"\"a\\u0000b\"", 422),
            (b"7", 422),
            (b"null", 422),
            (b"\"\\ud800\"", 400),
            (b"\"\xff\xfe\"", 400),
            (deep.as_bytes(), 400),
            (b"\"open", 400),
        ] {
            let refused = place.send(&h, value).await;
            let shown = String::from_utf8_lossy(&value[..value.len().min(20)]);
            // A title may be left out, and null leaves it out.
            let is_absent = value == b"null" && place.body.contains("title");
            assert!(
                refused.code() == code || is_absent,
                "{} {shown}: {}",
                place.path,
                refused.json
            );
        }
        let good = place.body.replace('%', "\"text\"");
        let first = good.split(':').next().unwrap();
        for (body, code) in [
            (good.replacen('{', "{\"status\":\"x\",", 1), 422),
            (good.replacen('{', &format!("{first}:1,"), 1), 400),
        ] {
            let refused = place.send_as(&h, body.clone().into_bytes()).await;
            assert_eq!(refused.code(), code, "{} {body}", place.path);
        }
        let plain = h.call(place.caller).with_header("content-type", "text/plain");
        let refused = plain
            .send(place.method.clone(), &place.path, Some(good.into_bytes()))
            .await;
        assert_eq!(refused.code(), 415, "{}", place.path);
    }
    assert_eq!(kept(&h).await, before);
}

/// An array of numbers as JSON, the last of them this.
fn ending_with(last: &str, length: usize) -> String {
    format!("[{}{last}]", "1,".repeat(length - 1))
}

#[tokio::test]
async fn a_vector_that_cannot_be_is_refused_wherever_it_is_kept_or_looked_for() {
    let mut h = Harness::new().await;
    let memory = remembering_all(&mut h, "client-a").await;
    let post = Method::POST;
    let with_memory = r#"{"memory_type":"personal","entry_type":"nugget","content":"two",
        "embeddings":[{"model":"text-1536","embedding":%}]}"#;
    let corrected = r#"{"content":"two","embeddings":[{"model":"text-1536","embedding":%}]}"#;
    let face = r#"{"model_name":"face-512","idempotency_hash":"one","embedding":%}"#;
    let of_text = [
        Place::new(
            "client-a",
            Method::PUT,
            &format!("{memory}/embeddings/text-1536"),
            r#"{"embedding":%}"#,
        ),
        Place::new(
            "client-a",
            post.clone(),
            "/v1/users/client-a/memories",
            with_memory,
        ),
        Place::new("client-a", Method::PATCH, &memory, corrected),
        Place::new(
            "counselor",
            post.clone(),
            "/v1/search/memory",
            r#"{"embedding":%}"#,
        ),
        Place::new("counselor", post.clone(), "/search/memory", r#"{"embedding":%}"#),
    ];
    let looked_for = r#"{"purpose":"arrival","embedding":%}"#;
    let of_faces = [
        Place::new(
            "counselor",
            post.clone(),
            "/v1/users/client-a/face-embeddings",
            face,
        ),
        Place::new("counselor", post.clone(), "/v1/search/face", looked_for),
        Place::new("counselor", post, "/search/face", looked_for),
    ];
    let before = kept(&h).await;
    let all = of_text.iter().map(|place| (place, 1_536));
    for (place, length) in all.chain(of_faces.iter().map(|place| (place, 512))) {
        let mut bad = vec!["[]".to_owned(), format!("[{}0]", "0,".repeat(length - 1))];
        bad.extend([length - 1, length + 1].map(|length| ending_with("1", length)));
        let values = ["NaN", "-Infinity", "1e999", "1e300", "null", "\"1\"", "[1]"];
        bad.extend(values.map(|last| ending_with(last, length)));
        for vector in bad {
            let refused = place.send(&h, vector.as_bytes()).await;
            let (end, pointers) = (&vector[vector.len().saturating_sub(12)..], pointers(&refused));
            assert_eq!(refused.code(), 422, "{} {end}", place.path);
            let at = if place.body.contains("embeddings") {
                "/embeddings/0/embedding"
            } else {
                "/embedding"
            };
            let is_named = pointers.len() == 1 && pointers[0].starts_with(at);
            assert!(is_named, "{} {end}: {pointers:?}", place.path);
        }
    }
    assert_eq!(kept(&h).await, before);
}

#[tokio::test]
async fn of_who_was_erased_nothing_is_remembered_shown_or_looked_for() {
    let mut h = Harness::new().await;
    remembering_all(&mut h, "client-a").await;
    let left = h.app_for("client-a").delete("/v1/users/client-a/opt-out").await;
    assert_eq!(left.code(), 200);
    let vector = ending_with("1", 512);
    let face = format!(r#"{{"model_name":"face-512","idempotency_hash":"one","embedding":{vector}}}"#);
    let turn = json!({"user_message": "said", "assistant_reply": "replied"}).to_string();
    let goal = json!({"collection_type": "goal", "name": "a flat"}).to_string();
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    for (method, path, body) in [
        (&get, "/v1/users/client-a/memories", None),
        (
            &post,
            "/v1/users/client-a/memories",
            Some(fact("two").to_string()),
        ),
        (&get, "/v1/users/client-a/collections", None),
        (&post, "/v1/users/client-a/collections", Some(goal)),
        (&get, "/v1/users/client-a/face-embeddings", None),
        (&post, "/v1/users/client-a/face-embeddings", Some(face)),
        (&get, "/v1/users/client-a/threads", None),
        (&get, "/v1/threads/client-a/companion/main", None),
        (&put, "/v1/threads/client-a/companion/main", Some("{}".to_owned())),
        (&post, "/v1/threads/client-a/companion/main/turns", Some(turn)),
        (&get, "/v1/threads/client-a/companion/main/short-term", None),
        (&get, "/v1/users/client-a/interactions", None),
        (&get, "/v1/users/client-a/context", None),
        (
            &post,
            "/v1/search/memory",
            Some(json!({"query": "tea", "user_id": "client-a"}).to_string()),
        ),
    ] {
        let body = body.map(String::into_bytes);
        let app = h
            .app_for("client-a")
            .send(method.clone(), path, body.clone())
            .await;
        assert_eq!(app.code(), 410, "{method} {path} {}", app.json);
        let counselor = h.call("counselor").send(method.clone(), path, body).await;
        assert!(
            matches!(counselor.code(), 403 | 404),
            "{method} {path} {}",
            counselor.json
        );
        let own = h.call("client-a").send(method.clone(), path, None).await;
        assert_eq!(own.code(), 401, "{method} {path}");
    }
    let people = "select count(*) from core.memories m full join core.chat_threads t on t.id = m.id";
    assert_eq!(h.database.count(people).await, 0);
}

#[tokio::test]
async fn what_is_remembered_while_somebody_leaves_goes_with_them() {
    const ROUNDS: usize = 10;
    let mut h = Harness::new().await;
    let vector: Value = serde_json::from_str(&ending_with("1", 512)).unwrap();
    let face = json!({"model_name": "face-512", "idempotency_hash": "one", "embedding": vector});
    let long: Value = serde_json::from_str(&ending_with("1", 1_536)).unwrap();
    for number in 0..ROUNDS {
        let id = format!("round-{number}");
        let memory = remembering_all(&mut h, &id).await;
        let (app, counselor) = (h.app_for(&id), h.call("counselor"));
        let of = |noun: &str| format!("/v1/users/{id}/{noun}");
        let said = json!({"user_message": "said", "assistant_reply": "replied"});
        let (facts, chunk) = (fact("two"), json!({"chunk_index": 0, "content": "said"}));
        let embedding = json!({"embedding": long});
        let paths = [
            of("memories"),
            format!("{memory}/embeddings/text-1536"),
            of("face-embeddings"),
            format!("/v1/threads/{id}/companion/main/turns"),
            format!("/v1/interactions/{id}/transcript"),
            of("opt-out"),
        ];
        let answers = futures::join!(
            app.post(&paths[0], &facts),
            app.put(&paths[1], &embedding),
            app.post(&paths[2], &face),
            app.post(&paths[3], &said),
            counselor.post(&paths[4], &chunk),
            app.delete(&paths[5]),
        );
        let written = [&answers.0, &answers.1, &answers.2, &answers.3, &answers.4];
        for answer in written {
            let known = [200, 201, 204, 403, 404, 410].contains(&answer.code());
            assert!(known, "round {number}: {}", answer.json);
        }
        assert_eq!(answers.5.code(), 200, "{}", answers.5.json);
    }
    let farewells = format!("core.outbox {ROUNDS}");
    assert_eq!(h.traces_in_short("round-").await, [farewells]);
    let vectors =
        "select (select count(*) from core.memory_embeddings) + (select count(*) from core.face_embeddings)";
    assert_eq!(h.database.count(vectors).await, 0);
}
