//! How providers did, and what was spoken: told by programs, read by who runs the programme.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Harness, column, pointers};

const CALLS: &str = "/v1/provider-events";
const VOICES: &str = "/v1/voice-events";

fn call_of(user_id: Option<&str>, request_id: &str) -> Value {
    json!({"user_id": user_id, "scope": "chat", "provider_name": "provider-a", "runtime": "r", "status": "fallback",
        "fallback_reason": "timeout", "metadata": {"said": "something"}, "request_id": request_id})
}

fn voice_of(user_id: Option<&str>, request_id: &str) -> Value {
    json!({"user_id": user_id, "provider_name": "provider-v", "text_hash": "0123456789abcdef0123456789abcdef",
        "language": "de-AT", "status": "success", "duration_ms": 1_200, "audio_uri": "https://audio.example/1",
        "metadata": {"said": "something"}, "request_id": request_id})
}

#[tokio::test]
async fn apps_and_pipelines_tell_and_admins_read_without_what_was_said() {
    let h = Harness::with_client("client-a").await;
    for (caller, request_id) in [("app", "r-1"), ("pipeline", "r-2")] {
        assert_eq!(
            h.call(caller)
                .post(CALLS, &call_of(Some("client-a"), request_id))
                .await
                .code(),
            201
        );
        assert_eq!(
            h.call(caller)
                .post(VOICES, &voice_of(Some("client-a"), request_id))
                .await
                .code(),
            201
        );
        assert_eq!(
            h.call(caller)
                .post(CALLS, &call_of(None, request_id))
                .await
                .code(),
            201
        );
    }
    let calls = h.call("admin").get(&format!("{CALLS}?request_id=r-1")).await;
    assert_eq!(column(&calls, "user_id"), [Value::Null, json!("client-a")]);
    let call = calls.items()[1].clone();
    for (field, value) in [
        ("scope", "chat"),
        ("provider_name", "provider-a"),
        ("runtime", "r"),
        ("status", "fallback"),
        ("fallback_reason", "timeout"),
        ("request_id", "r-1"),
    ] {
        assert_eq!(call[field], value, "{field}");
    }
    let voices = h.call("admin").get(&format!("{VOICES}?user_id=client-a")).await;
    assert_eq!(column(&voices, "request_id"), ["r-2", "r-1"]);
    assert_eq!(
        (voices.at("/items/0/language"), voices.at("/items/0/duration_ms")),
        (&json!("de-AT"), &json!(1_200))
    );
    for answer in [&calls, &voices] {
        let text = String::from_utf8_lossy(&answer.bytes);
        for hidden in ["something", "metadata", "0123456789abcdef", "audio"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    for path in [CALLS, VOICES] {
        for caller in [
            "client-a",
            "app",
            "counselor",
            "supervisor",
            "oncall",
            "auditor",
            "pipeline",
        ] {
            assert_eq!(h.call(caller).get(path).await.code(), 403, "{caller}");
        }
    }
}

#[tokio::test]
async fn an_app_tells_of_the_client_it_acts_for() {
    let mut h = Harness::with_client("client-a").await;
    h.client("client-b", &[]).await;
    for (path, event) in [(CALLS, call_of(None, "r-1")), (VOICES, voice_of(None, "r-1"))] {
        assert_eq!(h.app_for("client-a").post(path, &event).await.code(), 201);
        assert_eq!(column(&h.call("admin").get(path).await, "user_id"), ["client-a"]);
    }
    assert_eq!(
        h.app_for("client-b")
            .post(CALLS, &call_of(Some("client-a"), "r-1"))
            .await
            .code(),
        404
    );
    for caller in ["app", "pipeline"] {
        for nobody in ["nobody", "staff-counselor"] {
            assert_eq!(
                h.call(caller)
                    .post(CALLS, &call_of(Some(nobody), "r"))
                    .await
                    .code(),
                404,
                "{caller} of {nobody}"
            );
            assert_eq!(
                h.call(caller)
                    .post(VOICES, &voice_of(Some(nobody), "r"))
                    .await
                    .code(),
                404,
                "{caller} of {nobody}"
            );
        }
    }
}

#[tokio::test]
async fn events_are_found_by_request_client_and_time_in_pages() {
    let mut h = Harness::with_client("client-a").await;
    h.client("client-b", &[]).await;
    for (table, columns, values) in [
        (
            "provider_events",
            "scope, provider_name, status",
            "'chat', 'p', 'success'",
        ),
        (
            "voice_events",
            "provider_name, text_hash, status",
            "'p', 'hash', 'success'",
        ),
    ] {
        h.run(&format!(
            "insert into core.{table} (user_id, request_id, created_at, {columns})
             select case when n % 2 = 0 then 'client-a' else 'client-b' end, 'r-' || n % 3,
                 '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 day', {values}
             from generate_series(1, 12) as n"
        ))
        .await;
    }
    for path in [CALLS, VOICES] {
        for (query, count) in [
            ("", 12),
            ("request_id=r-0", 4),
            ("user_id=client-a", 6),
            ("user_id=client-a&request_id=r-0", 2),
            ("from=2026-01-05T00:00:00Z&until=2026-01-08T00:00:00Z", 3),
            (
                "user_id=client-b&from=2026-01-05T00:00:00Z&until=2026-01-08T00:00:00Z",
                1,
            ),
            ("request_id=nothing", 0),
        ] {
            let (mut ids, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = h
                    .call("admin")
                    .get(&format!("{path}?limit=2&{query}{cursor}"))
                    .await;
                assert_eq!(page.code(), 200, "{}", page.json);
                ids.extend(column(&page, "id").iter().map(|id| id.as_i64().unwrap()));
                let Some(next) = page.at("/next_cursor").as_str() else {
                    break;
                };
                cursor = format!("&cursor={next}");
            }
            assert!(
                ids.is_sorted_by(|a, b| a > b),
                "newest first, none twice: {ids:?}"
            );
            assert_eq!(ids.len(), count, "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn what_is_no_event_is_refused_by_name() {
    let h = Harness::with_client("client-a").await;
    let call =
        json!({"scope": "", "provider_name": "x".repeat(101), "status": "fine", "said": 1, "metadata": []});
    let refused = h.call("app").post(CALLS, &call).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (
            422,
            ["/scope", "/provider_name", "/status", "/metadata", "/said"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    let voice = json!({"provider_name": "p", "text_hash": "i am thinking of drinking again", "status": "success",
        "language": "not a language", "duration_ms": -1, "audio_uri": "nowhere"});
    let refused = h.call("pipeline").post(VOICES, &voice).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (
            422,
            ["/text_hash", "/language", "/duration_ms", "/audio_uri"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    for caller in ["client-a", "counselor", "admin", "service"] {
        assert_eq!(
            h.call(caller).post(CALLS, &call_of(None, "r")).await.code(),
            403,
            "{caller}"
        );
    }
}

#[tokio::test]
async fn an_event_told_twice_under_a_key_is_one() {
    let h = Harness::with_client("client-a").await;
    let app = h
        .call("app")
        .with_header("idempotency-key", &Uuid::now_v7().to_string());
    let told = app.post(CALLS, &call_of(Some("client-a"), "r-1")).await;
    let again = app.post(CALLS, &call_of(Some("client-a"), "r-1")).await;
    assert_eq!((again.code(), &again.bytes), (201, &told.bytes));
    assert_eq!(
        h.database
            .count("select count(*) from core.provider_events")
            .await,
        1
    );
}
