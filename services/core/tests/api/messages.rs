//! Writing messages.

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, column, message, pointers};

#[tokio::test]
async fn a_message_is_stored_and_the_others_are_told_without_its_text() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let sent = json!({
        "user_id": "client-a", "message_text": "a long day", "conversation_type": "group",
        "timestamp": "2026-01-02T03:04:05Z", "metadata": {"device": "phone"},
    });
    let stored = h.call("client-a").post("/v1/messages", &sent).await;
    assert_eq!(stored.code(), 201);
    let id = stored.at("/message_id").as_i64().expect("an id");
    assert_eq!(
        stored.headers["location"].to_str().unwrap(),
        format!("/v1/messages/{id}")
    );
    let expected = json!({
        "message_id": id, "user_id": "client-a", "timestamp": "2026-01-02T03:04:05Z",
        "conversation_type": "group", "sender_role": "user",
    });
    assert_eq!(stored.json, expected);
    assert_eq!(h.events("core.message.created").await, [expected]);
    let read = h.call("counselor").get(&format!("/v1/messages/{id}")).await;
    assert_eq!(
        (read.code(), read.at("/message_text")),
        (200, &json!("a long day"))
    );
    assert_eq!(read.at("/metadata/device"), &json!("phone"));
}

#[tokio::test]
async fn a_client_s_own_message_shows_when_they_were_last_active() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let at = |time: &str| {
        let mut sent = message("client-a", "text");
        sent["timestamp"] = json!(time);
        sent
    };
    h.call("client-a")
        .post("/v1/messages", &at("2026-02-01T00:00:00Z"))
        .await;
    h.call("client-a")
        .post("/v1/messages", &at("2026-01-01T00:00:00Z"))
        .await;
    h.call("counselor")
        .post("/v1/messages", &at("2026-03-01T00:00:00Z"))
        .await;
    let seen = h.call("client-a").get("/v1/users/client-a").await;
    assert_eq!(seen.at("/last_active"), &json!("2026-02-01T00:00:00Z"));
}

#[tokio::test]
async fn nobody_but_the_app_writes_in_another_name() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let as_role = |role: &str| {
        let mut sent = message("client-a", "text");
        sent["sender_role"] = json!(role);
        sent
    };
    for (caller, allowed) in [
        ("client-a", vec!["user"]),
        ("counselor", vec!["staff"]),
        ("app", vec!["user", "assistant", "staff"]),
    ] {
        for role in ["user", "assistant", "staff"] {
            let answer = h.call(caller).post("/v1/messages", &as_role(role)).await;
            if allowed.contains(&role) {
                assert_eq!(
                    (answer.code(), answer.at("/sender_role")),
                    (201, &json!(role)),
                    "{caller} as {role}"
                );
            } else {
                assert_eq!(
                    (answer.code(), pointers(&answer)),
                    (422, vec!["/sender_role".to_owned()])
                );
            }
        }
    }
    let default = h
        .call("counselor")
        .post("/v1/messages", &message("client-a", "text"))
        .await;
    assert_eq!(default.at("/sender_role"), &json!("staff"));
}

#[tokio::test]
async fn nobody_writes_to_a_client_who_is_not_theirs() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    h.crisis("client-b", "counselor").await;
    for (caller, user_id) in [
        (h.call("client-a"), "client-b"),
        (h.call("counselor"), "client-b"),
        (h.call("counselor"), "staff-counselor"),
        (h.app_for("client-a"), "client-b"),
        (h.call("app"), "nobody"),
        (h.call("app"), "staff-counselor"),
    ] {
        let answer = caller.post("/v1/messages", &message(user_id, "text")).await;
        assert_eq!(answer.code(), 404, "{user_id}");
    }
    for caller in ["oncall", "supervisor", "admin", "auditor", "pipeline", "service"] {
        assert_eq!(
            h.call(caller)
                .post("/v1/messages", &message("client-a", "text"))
                .await
                .code(),
            403,
            "{caller}"
        );
    }
    assert_eq!(h.database.count("select count(*) from core.messages").await, 0);
}

#[tokio::test]
async fn a_recipient_without_an_account_is_left_out_and_nobody_learns_of_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let to = |recipient: &str| {
        let mut sent = message("client-a", "text");
        sent["recipient_id"] = json!(recipient);
        sent
    };
    assert_eq!(
        h.call("client-a")
            .post("/v1/messages", &to("client-b"))
            .await
            .code(),
        201
    );
    // The answer is the same, so that nobody learns who has an account.
    let unknown = h.call("client-a").post("/v1/messages", &to("nobody")).await;
    assert_eq!(unknown.code(), 201);
    let kept = "select count(*) from core.messages where recipient_id is not null";
    assert_eq!(h.database.count(kept).await, 1);
}

#[tokio::test]
async fn many_batches_at_once_do_not_wait_for_each_other_s_connections() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let small = h.replica_with_workers(3);
    let app = Client::new(&small.base_url()).with_token(h.principals.token("app"));
    let mut sent = message("client-a", "text");
    sent["recipient_id"] = json!("client-a");
    let batch = json!({"items": [sent]});
    let answers = join_all((0..30).map(|_| app.post("/v1/messages:batch", &batch))).await;
    let codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    assert_eq!(codes, [200; 30]);
}

#[tokio::test]
async fn a_history_tells_nobody_which_others_have_an_account() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor", "counselor_other"]).await;
    h.client("client-b", &["counselor"]).await;
    for recipient in ["client-b", "nobody", "staff-counselor", "client-a"] {
        let mut sent = message("client-a", recipient);
        sent["recipient_id"] = json!(recipient);
        h.call("client-a").post("/v1/messages", &sent).await;
    }
    let (own, none, staff) = (json!("client-a"), Value::Null, json!("staff-counselor"));
    for (caller, to_staff) in [
        (h.call("client-a"), &none),
        (h.app_for("client-a"), &none),
        (h.call("counselor_other"), &none),
        (h.call("counselor"), &staff),
    ] {
        let shown = [own.clone(), to_staff.clone(), none.clone(), none.clone()];
        let page = caller.get("/v1/users/client-a/messages").await;
        assert_eq!(column(&page, "recipient_id"), shown);
        for (id, recipient) in column(&page, "message_id").iter().zip(&shown) {
            let one = caller.get(&format!("/v1/messages/{id}")).await;
            assert_eq!(one.at("/recipient_id"), recipient);
        }
    }
    let exported = h.call("client-a").get("/v1/users/client-a/export").await;
    let exported = String::from_utf8_lossy(&exported.bytes).into_owned();
    let shows = |id: &str| exported.contains(&format!(r#""recipient_id": "{id}""#));
    assert!(shows("client-a") && !shows("client-b") && !shows("staff-counselor"));
}

#[tokio::test]
async fn a_batch_is_stored_in_its_order_with_an_event_each() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let items: Vec<Value> = (0..1000)
        .map(|n| {
            message(
                if n % 2 == 0 { "client-a" } else { "client-b" },
                &format!("text {n}"),
            )
        })
        .collect();
    let stored = h
        .call("app")
        .post("/v1/messages:batch", &json!({"items": items}))
        .await;
    assert_eq!(stored.code(), 200);
    let ids: Vec<i64> = column(&stored, "message_id")
        .iter()
        .map(|id| id.as_i64().unwrap())
        .collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.is_sorted());
    let texts = h
        .database
        .query("select message_text from core.messages order by message_id")
        .await;
    for (n, row) in texts.iter().enumerate() {
        assert_eq!(row.get::<_, String>("message_text"), format!("text {n}"));
    }
    let told: Vec<i64> = h
        .events("core.message.created")
        .await
        .iter()
        .map(|event| event["message_id"].as_i64().unwrap())
        .collect();
    assert_eq!(told, ids);
}

#[tokio::test]
async fn a_batch_with_bad_items_names_them_all_and_stores_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let strange = json!({"items": [
        message("client-a", "text"), message("nobody", "text"), message("client-a", "text"), message("staff-admin", "text"),
    ]});
    let refused = h.call("app").post("/v1/messages:batch", &strange).await;
    assert_eq!(refused.code(), 422);
    assert_eq!(pointers(&refused), ["/items/1/user_id", "/items/3/user_id"]);
    let malformed = json!({"items": [
        message("client-a", ""), message("client-a", "text"), {"user_id": "client-a", "role": "user"},
    ]});
    let refused = h.call("app").post("/v1/messages:batch", &malformed).await;
    assert_eq!(refused.code(), 422);
    assert_eq!(
        pointers(&refused),
        [
            "/items/0/message_text",
            "/items/2/message_text",
            "/items/2/conversation_type",
            "/items/2/role"
        ]
    );
    assert_eq!(h.database.count("select count(*) from core.messages").await, 0);
    assert_eq!(h.events("core.message.created").await.len(), 0);
}

#[tokio::test]
async fn a_batch_is_bounded_and_the_header_restricts_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let items: Vec<Value> = (0..1001).map(|_| message("client-a", "text")).collect();
    assert_eq!(
        h.call("app")
            .post("/v1/messages:batch", &json!({"items": items}))
            .await
            .code(),
        413
    );
    assert_eq!(
        h.call("app")
            .post("/v1/messages:batch", &json!({"items": []}))
            .await
            .code(),
        422
    );
    let both = json!({"items": [message("client-a", "text"), message("client-b", "text")]});
    let refused = h.app_for("client-a").post("/v1/messages:batch", &both).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/items/1/user_id".to_owned()])
    );
    assert_eq!(
        h.call("client-b").post("/v1/messages:batch", &both).await.code(),
        422
    );
    assert_eq!(h.call("app").post("/v1/messages:batch", &both).await.code(), 200);
}

#[tokio::test]
async fn a_repeated_key_gives_the_same_bytes_and_one_message() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let keyed = h.call("client-a").with_header("idempotency-key", "k1");
    let first = keyed.post("/v1/messages", &message("client-a", "text")).await;
    let again = keyed.post("/v1/messages", &message("client-a", "text")).await;
    assert_eq!((first.code(), again.code()), (201, 201));
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.headers["location"], again.headers["location"]);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(
        keyed
            .post("/v1/messages", &message("client-a", "other"))
            .await
            .code(),
        422
    );
    let app = h.call("app").with_header("idempotency-key", "k1");
    assert_eq!(
        app.post("/v1/messages", &message("client-a", "text"))
            .await
            .code(),
        201,
        "another principal's key"
    );
    assert_eq!(h.database.count("select count(*) from core.messages").await, 2);
    let batch = json!({"items": [message("client-a", "one"), message("client-a", "two")]});
    let app = h.call("app").with_header("idempotency-key", "k2");
    let (first, again) = (
        app.post("/v1/messages:batch", &batch).await,
        app.post("/v1/messages:batch", &batch).await,
    );
    assert_eq!((first.code(), &first.bytes), (200, &again.bytes));
    assert_eq!(h.events("core.message.created").await.len(), 4);
}
