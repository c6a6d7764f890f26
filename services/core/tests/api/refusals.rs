//! Inputs that must get the named answer and change nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, message, pointers};

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
