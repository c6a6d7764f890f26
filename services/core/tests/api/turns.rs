//! Turns: what a client said and what the companion replied, stored together.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Client;

use crate::harness::{Harness, column, message, pointers};
use crate::threads::{MAIN, turn};

const TURNS: &str = "/v1/threads/client-a/companion/main/turns";

fn with_ai(ai: Value) -> Value {
    let mut sent = turn("said", "replied");
    sent["ai"] = ai;
    sent
}

#[tokio::test]
async fn a_turn_stores_both_messages_and_tells_the_others_without_their_text() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let mut sent = turn("I slept well", "That is good to hear");
    sent["timestamp"] = json!("2026-01-02T03:04:05Z");
    sent["metadata"] = json!({"device": "phone"});
    for caller in [h.call("client-a"), h.call("app")] {
        let stored = caller.post(TURNS, &sent).await;
        assert_eq!(stored.code(), 201, "{}", stored.json);
        for (id, role, text) in [
            ("/message_id", "user", "I slept well"),
            ("/reply_id", "assistant", "That is good to hear"),
        ] {
            let read = h
                .call("counselor")
                .get(&format!("/v1/messages/{}", stored.at(id)))
                .await;
            assert_eq!(read.at("/message_text"), &json!(text));
            assert_eq!(read.at("/sender_role"), &json!(role));
            assert_eq!(read.at("/conversation_type"), &json!("assistant"));
            assert_eq!(read.at("/timestamp"), &json!("2026-01-02T03:04:05Z"));
            assert_eq!(read.at("/metadata"), &json!({"device": "phone"}));
        }
        let created = |id: &str, role: &str| {
            json!({"message_id": stored.at(id), "user_id": "client-a", "timestamp": "2026-01-02T03:04:05Z",
                "conversation_type": "assistant", "sender_role": role})
        };
        let events = h.events("core.message.created").await;
        assert_eq!(
            events[events.len() - 2..],
            [created("/message_id", "user"), created("/reply_id", "assistant")]
        );
    }
    let seen = h.call("client-a").get("/v1/users/client-a").await;
    assert_eq!(seen.at("/last_active"), &json!("2026-01-02T03:04:05Z"));
}

#[tokio::test]
async fn a_turn_that_is_sent_again_with_its_key_is_stored_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a").with_header("idempotency-key", "once");
    let first = client.post(TURNS, &turn("said", "replied")).await;
    let again = client.post(TURNS, &turn("said", "replied")).await;
    assert_eq!((again.code(), &again.bytes), (201, &first.bytes));
    assert_eq!(h.database.count("select count(*) from core.messages").await, 2);
    assert_eq!(
        h.call("client-a")
            .get(&format!("{MAIN}/short-term"))
            .await
            .items()
            .len(),
        1
    );
}

/// Sends a turn under a key of its own until it is stored: many at once may have to come again.
pub(crate) async fn insist(client: &Client, path: &str, number: usize) {
    let keyed = client.with_header("idempotency-key", &format!("turn-{number}"));
    let sent = turn(&format!("said {number}"), &format!("replied {number}"));
    loop {
        let body = sent.to_string().into_bytes();
        match keyed.try_send(Method::POST, path, Some(body)).await {
            Ok(answer) if answer.code() == 201 => return,
            Ok(answer) => assert!(matches!(answer.code(), 503 | 409), "{}", answer.json),
            // A connection that was broken off: the key tells whether it was stored.
            Err(error) => assert!(!error.is_builder(), "{error}"),
        }
    }
}

#[tokio::test]
async fn fifty_parallel_turns_lose_none_and_keep_their_order() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    join_all((0..50).map(|number| insist(&client, TURNS, number))).await;
    let history = client.get(&format!("{MAIN}/messages?limit=200&order=asc")).await;
    let texts = column(&history, "message_text");
    assert_eq!(texts.len(), 100);
    for pair in texts.chunks(2) {
        let said = pair[0].as_str().and_then(|text| text.strip_prefix("said "));
        assert_eq!(
            pair[1],
            json!(format!("replied {}", said.expect("a message, then its reply")))
        );
    }
    let ids = column(&history, "message_id");
    assert!(ids.iter().map(|id| id.as_i64().unwrap()).is_sorted());
    let replies: Vec<Value> = texts.into_iter().skip(1).step_by(2).collect();
    let window = client.get(&format!("{MAIN}/short-term")).await;
    assert_eq!(column(&window, "assistant_reply"), replies[30..]);
}

#[tokio::test]
async fn what_models_said_is_kept_in_the_words_of_their_version() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for (ai, version) in [
        (json!({"persona": "coach", "confidence": 0.5}), json!("1.0")),
        (json!({"ai_core_version": "1.7", "confidence": 1}), json!("1.7")),
        (json!({"tone": "casual", "behavior": "cautious"}), json!("2.0")),
        (
            json!({"tone": "casual", "signal_strength": 0.25, "context_clarity": 1, "needs_knowledge": 0}),
            json!("2.1"),
        ),
        (
            json!({"ai_core_version": "2.1", "runtime": "local", "provider": "p", "provider_fallback_reason": "busy",
            "model_name": "m", "prompt_tokens": 10, "completion_tokens": 0, "context_type": "chat",
            "context_snapshot": {"memories": [1, {"a": null}]}}),
            json!("2.1"),
        ),
        (json!({"model_name": "m"}), Value::Null),
    ] {
        let stored = h.call("app").post(TURNS, &with_ai(ai.clone())).await;
        assert_eq!(stored.code(), 201, "{ai} {}", stored.json);
        let path = format!("/v1/messages/{}", stored.at("/reply_id"));
        for reader in [h.call("counselor"), h.app_for("client-a")] {
            let read = reader.get(&path).await;
            assert_eq!(read.at("/ai/ai_core_version"), &version);
            for (field, value) in ai.as_object().unwrap() {
                let shown = read.at(&format!("/ai/{field}"));
                assert!(
                    shown == value || shown.as_f64() == value.as_f64() && value.is_number(),
                    "{field}: {shown}"
                );
            }
        }
        let own = h.call("client-a").get(&path).await;
        assert_eq!(
            (own.code(), own.at("/ai")),
            (200, &Value::Null),
            "not for the client"
        );
        let asked = h
            .app_for("client-a")
            .get(&format!("/v1/messages/{}", stored.at("/message_id")))
            .await;
        assert_eq!(asked.at("/ai"), &Value::Null);
    }
}

#[tokio::test]
async fn staff_who_help_in_a_crisis_are_not_told_what_models_said() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let stored = h
        .call("app")
        .post(TURNS, &with_ai(json!({"tone": "casual"})))
        .await;
    let path = format!("/v1/messages/{}", stored.at("/reply_id"));
    h.crisis("client-a", "oncall").await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    for caller in ["oncall", "counselor_other"] {
        let read = h.call(caller).get(&path).await;
        assert_eq!(
            (read.code(), read.at("/ai"), read.at("/review")),
            (200, &Value::Null, &Value::Null),
            "{caller}"
        );
    }
}

#[tokio::test]
async fn it_is_the_row_policy_that_keeps_what_models_said_apart() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let said = with_ai(json!({"tone": "casual"}));
    assert_eq!(h.call("app").post(TURNS, &said).await.code(), 201);
    for (staff, count) in [("staff-counselor", 1), ("staff-counselor_other", 0)] {
        let actor = db::Actor::Staff(staff.to_owned());
        let sql = "select a.message_id from core.message_ai_metadata a";
        let rows = h.database.pools("core").read(&actor, sql, &[]).await.unwrap();
        assert_eq!(rows.len(), count, "{staff}");
    }
}

#[tokio::test]
async fn a_mix_of_versions_is_refused_with_the_field_named() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for (ai, faults) in [
        (
            json!({"confidence": 0.5, "tone": "casual"}),
            vec!["/ai/confidence"],
        ),
        (
            json!({"ai_core_version": "1.0", "tone": "a", "behavior": "b"}),
            vec!["/ai/tone", "/ai/behavior"],
        ),
        (
            json!({"ai_core_version": "2.0", "signal_strength": 0.1}),
            vec!["/ai/signal_strength"],
        ),
        (
            json!({"ai_core_version": "2.1", "confidence": 0.1}),
            vec!["/ai/confidence"],
        ),
        (json!({"ai_core_version": "3.0"}), vec!["/ai/ai_core_version"]),
        (json!({"confidence": 1.01}), vec!["/ai/confidence"]),
        (
            json!({"context_clarity": 2, "needs_knowledge": true}),
            vec!["/ai/context_clarity", "/ai/needs_knowledge"],
        ),
        (json!({"prompt_tokens": -1}), vec!["/ai/prompt_tokens"]),
        (json!({"is_mistake": 1}), vec!["/ai/is_mistake"]),
        (json!({"model_name": "a\u{0}"}), vec!["/ai/model_name"]),
        (
            json!({"context_snapshot": {"a": "\u{0}"}}),
            vec!["/ai/context_snapshot"],
        ),
    ] {
        let refused = h.call("client-a").post(TURNS, &with_ai(ai.clone())).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, faults.iter().map(|fault| (*fault).to_owned()).collect()),
            "{ai}"
        );
        let mut sent = message("client-a", "text");
        (sent["sender_role"], sent["ai"]) = (json!("assistant"), ai);
        assert_eq!(pointers(&h.call("app").post("/v1/messages", &sent).await), faults);
    }
    assert_eq!(h.database.count("select count(*) from core.messages").await, 0);
    assert_eq!(
        h.database.count("select count(*) from core.chat_threads").await,
        0
    );
}

#[tokio::test]
async fn the_database_takes_no_mix_of_versions_from_its_owner_either() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let id = h.messages("client-a", 1).await[0];
    for (version, field, value) in [
        ("null", "confidence", "0.5"),
        ("'1.0'", "tone", "'casual'"),
        ("'1.7'", "signal_strength", "0.5"),
        ("'2.0'", "confidence", "0.5"),
        ("'2.0'", "needs_knowledge", "1"),
        ("'2.1'", "confidence", "0.5"),
    ] {
        let insert = format!(
            "insert into core.message_ai_metadata (message_id, user_id, ai_core_version, {field})
             values ({id}, 'client-a', {version}, {value})"
        );
        assert!(
            h.owner_is_refused(&insert, "ck_message_ai_metadata_mix").await,
            "{insert}"
        );
    }
}

#[tokio::test]
async fn a_turn_that_cannot_be_stored_is_refused_and_leaves_no_thread() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    let long = "x".repeat(65_537);
    for (sent, code) in [
        (turn("", "replied"), 422),
        (turn("said", ""), 422),
        (turn("said\u{0}", "replied"), 422),
        (turn("said", "\u{0}"), 422),
        (turn(&long, "replied"), 413),
        (turn("said", &long), 413),
        (json!({"user_message": "said"}), 422),
        (
            json!({"user_message": "said", "assistant_reply": "replied", "role": "user"}),
            422,
        ),
    ] {
        assert_eq!(client.post(TURNS, &sent).await.code(), code);
    }
    for path in [
        "/v1/threads/client-a/a:b/main",
        "/v1/threads/client-a/companion/%00",
    ] {
        assert_eq!(
            client
                .post(&format!("{path}/turns"), &turn("a", "b"))
                .await
                .code(),
            404
        );
        assert_eq!(client.put(path, &json!({})).await.code(), 404);
    }
    for title in [json!(""), json!("\u{0}"), json!("ü".repeat(256)), json!(1)] {
        assert_eq!(client.put(MAIN, &json!({"title": title})).await.code(), 422);
    }
    assert_eq!(
        h.database.count("select count(*) from core.chat_threads").await,
        0
    );
    assert_eq!(
        client.put(MAIN, &json!({"title": "ü".repeat(255)})).await.code(),
        201
    );
}

#[tokio::test]
async fn only_what_an_assistant_wrote_was_written_by_a_model() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let written = |role: &str| {
        let mut sent = message("client-a", "text");
        (sent["sender_role"], sent["ai"]) = (json!(role), json!({"tone": "casual"}));
        sent
    };
    for (caller, role) in [
        ("client-a", "user"),
        ("counselor", "staff"),
        ("app", "user"),
        ("app", "staff"),
    ] {
        let refused = h.call(caller).post("/v1/messages", &written(role)).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/ai".to_owned()]),
            "{caller} {role}"
        );
    }
    let stored = h.call("app").post("/v1/messages", &written("assistant")).await;
    let read = h
        .call("counselor")
        .get(&format!("/v1/messages/{}", stored.at("/message_id")))
        .await;
    assert_eq!(read.at("/ai/tone"), &json!("casual"));
}
