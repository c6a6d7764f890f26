//! Threads of a client with a companion.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, column, message, pointers};
use crate::memories::with;

pub(crate) const MAIN: &str = "/v1/threads/client-a/companion/main";

/// A turn.
pub(crate) fn turn(said: &str, replied: &str) -> Value {
    json!({"user_message": said, "assistant_reply": replied})
}

/// A message of a client in a thread.
fn in_thread(user_id: &str, role: &str, thread_id: &str) -> Value {
    let mut sent = message(user_id, "text");
    sent["thread"] = json!({"role": role, "thread_id": thread_id});
    sent
}

#[tokio::test]
async fn a_thread_is_made_renamed_and_deleted() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for caller in [h.call("client-a"), h.call("app")] {
        let made = caller.put(MAIN, &json!({"title": "Sleep"})).await;
        assert_eq!(
            (made.code(), made.at("/title")),
            (201, &Value::Null),
            "it is not sent back"
        );
        assert_eq!(caller.get(MAIN).await.at("/title"), &json!("Sleep"));
        let again = caller.put(MAIN, &json!({})).await;
        assert_eq!((again.code(), &again.json), (200, &made.json), "nothing changes");
        let renamed = caller.put(MAIN, &json!({"title": "Rest"})).await;
        assert_eq!(renamed.code(), 200);
        assert_eq!(renamed.at("/created_at"), made.at("/created_at"));
        for reader in ["client-a", "app", "counselor"] {
            let read = h.call(reader).get(MAIN).await;
            assert_eq!(read.json, with(renamed.json.clone(), "title", "Rest"), "{reader}");
        }
        assert_eq!(caller.delete(MAIN).await.code(), 204);
        assert_eq!(caller.get(MAIN).await.code(), 404);
        assert_eq!(caller.delete(MAIN).await.code(), 404);
    }
}

#[tokio::test]
async fn the_same_name_in_another_role_or_of_another_client_is_another_thread() {
    let mut h = Harness::new().await;
    for id in ["client-a", "client-b"] {
        h.client(id, &[]).await;
    }
    for place in [
        "client-a/companion/main",
        "client-a/study_guide/main",
        "client-b/companion/main",
    ] {
        let path = format!("/v1/threads/{place}");
        let made = h.call("app").put(&path, &json!({"title": place})).await;
        let read = h.call("app").get(&path).await;
        assert_eq!((made.code(), read.at("/title")), (201, &json!(place)));
    }
}

#[tokio::test]
async fn of_many_who_make_a_thread_at_once_one_does() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    let body = json!({"title": "Sleep"});
    let made = join_all((0..20).map(|_| client.put(MAIN, &body))).await;
    let mut codes: Vec<u16> = made.iter().map(testkit::Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [vec![200; 19], vec![201]].concat());
    let second = "insert into core.chat_threads (id, user_id, role, thread_id, title)
        values (gen_random_uuid(), 'client-a', 'companion', 'main', '')";
    assert!(
        h.owner_is_refused(second, "uq_chat_threads_user_role_thread")
            .await
    );
}

#[tokio::test]
async fn a_thread_that_nobody_named_is_called_by_the_first_words_said_in_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    let said = "I could not sleep last night and thought about what we said the other day";
    client.post(&format!("{MAIN}/turns"), &turn(said, "reply")).await;
    let title = json!("I could not sleep last night and thought about what we said…");
    assert_eq!(client.get(MAIN).await.at("/title"), &title);
    client
        .post(&format!("{MAIN}/turns"), &turn("something else", "reply"))
        .await;
    assert_eq!(client.get(MAIN).await.at("/title"), &title);
    let other = "/v1/threads/client-a/companion/other";
    assert_eq!(client.put(other, &json!({})).await.code(), 201);
    assert_eq!(client.get(other).await.at("/title"), &json!(""));
    client
        .post(&format!("{other}/turns"), &turn("hello", "reply"))
        .await;
    assert_eq!(client.get(other).await.at("/title"), &json!("hello"));
}

#[tokio::test]
async fn of_two_first_turns_at_once_the_thread_is_called_by_the_one_that_came_first() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    assert_eq!(client.put(MAIN, &json!({})).await.code(), 201);
    // The first one has given the thread its title, and waits to tell of its messages.
    let working = h.database.superuser().await;
    working.run("begin; lock table core.outbox in share mode").await;
    let path = format!("{MAIN}/turns");
    let (first, second) = (turn("first words", "reply"), turn("second words", "reply"));
    let follow = async {
        h.so_many_wait(1).await;
        client.post(&path, &second).await.code()
    };
    let release = async {
        h.so_many_wait(2).await;
        working.run("commit").await;
    };
    let (led, followed, ()) = futures::join!(client.post(&path, &first), follow, release);
    assert_eq!((led.code(), followed), (201, 201));
    assert_eq!(client.get(MAIN).await.at("/title"), &json!("first words"));
}

#[tokio::test]
async fn threads_are_listed_by_last_activity_page_by_page() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let client = h.call("client-a");
    for name in ["companion/one", "companion/two", "study_guide/three"] {
        client
            .put(&format!("/v1/threads/client-a/{name}"), &json!({}))
            .await;
    }
    let list = "/v1/users/client-a/threads";
    let listed = |found: &testkit::Answer| column(found, "thread_id");
    assert_eq!(listed(&client.get(list).await), ["three", "two", "one"]);
    client
        .post("/v1/threads/client-a/companion/one/turns", &turn("a", "b"))
        .await;
    client
        .post("/v1/messages", &in_thread("client-a", "companion", "two"))
        .await;
    let order = ["two", "one", "three"];
    for reader in ["client-a", "app", "counselor"] {
        assert_eq!(listed(&h.call(reader).get(list).await), order, "{reader}");
        let first = h.call(reader).get(&format!("{list}?limit=2")).await;
        let cursor = first.at("/next_cursor").as_str().expect("a cursor").to_owned();
        let rest = h
            .call(reader)
            .get(&format!("{list}?limit=2&cursor={cursor}"))
            .await;
        assert_eq!([listed(&first), listed(&rest)].concat(), order);
        assert_eq!(rest.at("/next_cursor"), &Value::Null);
    }
    assert_eq!(
        listed(&client.get(&format!("{list}?role=study_guide")).await),
        ["three"]
    );
    assert_eq!(client.get(&format!("{list}?role=nobody")).await.items().len(), 0);
    assert_eq!(client.get(&format!("{list}?role=a:b")).await.code(), 422);
}

#[tokio::test]
async fn a_deleted_thread_takes_its_messages_along_and_no_others() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    h.messages("client-a", 2).await;
    for name in ["main", "other"] {
        let mut sent = turn("said", "replied");
        sent["ai"] = json!({"confidence": 0.5});
        client
            .post(&format!("/v1/threads/client-a/companion/{name}/turns"), &sent)
            .await;
        client
            .post("/v1/messages", &in_thread("client-a", "companion", name))
            .await;
    }
    assert_eq!(client.delete(MAIN).await.code(), 204);
    assert_eq!(h.database.count("select count(*) from core.messages").await, 5);
    assert_eq!(
        h.database
            .count("select count(*) from core.message_ai_metadata")
            .await,
        1
    );
    assert_eq!(
        h.database.count("select count(*) from core.chat_threads").await,
        1
    );
}

#[tokio::test]
async fn threads_are_the_client_s_and_seen_by_those_who_care_for_them() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    h.call("client-a")
        .post(&format!("{MAIN}/turns"), &turn("a", "b"))
        .await;
    h.crisis("client-a", "counselor_other").await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    let reads = [
        MAIN.to_owned(),
        format!("{MAIN}/messages"),
        format!("{MAIN}/short-term"),
        "/v1/users/client-a/threads".to_owned(),
    ];
    for path in &reads {
        for caller in [
            h.call("client-b"),
            h.app_for("client-b"),
            h.call("counselor_other"),
        ] {
            assert_eq!(caller.get(path).await.code(), 404, "{path}");
        }
        for caller in ["oncall", "admin", "auditor", "pipeline", "service"] {
            assert_eq!(h.call(caller).get(path).await.code(), 403, "{caller} {path}");
        }
        assert_eq!(h.call("counselor").get(path).await.code(), 200, "{path}");
    }
    for caller in [h.call("client-b"), h.app_for("client-b")] {
        assert_eq!(caller.put(MAIN, &json!({})).await.code(), 404);
        assert_eq!(
            caller
                .post(&format!("{MAIN}/turns"), &turn("a", "b"))
                .await
                .code(),
            404
        );
        assert_eq!(
            caller
                .post(&format!("{MAIN}/short-term"), &json!({}))
                .await
                .code(),
            404
        );
        assert_eq!(caller.delete(&format!("{MAIN}/short-term")).await.code(), 404);
        assert_eq!(caller.delete(MAIN).await.code(), 404);
    }
    assert_eq!(h.call("counselor").delete(MAIN).await.code(), 403);
    assert_eq!(h.database.count("select count(*) from core.messages").await, 2);
}

#[tokio::test]
async fn a_message_joins_a_thread_of_its_own_client_and_no_other() {
    let mut h = Harness::new().await;
    for id in ["client-a", "client-b"] {
        h.client(id, &["counselor"]).await;
    }
    h.call("client-a").put(MAIN, &json!({})).await;
    for caller in ["client-a", "counselor", "app"] {
        let sent = in_thread("client-a", "companion", "main");
        assert_eq!(
            h.call(caller).post("/v1/messages", &sent).await.code(),
            201,
            "{caller}"
        );
    }
    assert_eq!(
        h.call("client-a")
            .get(&format!("{MAIN}/messages"))
            .await
            .items()
            .len(),
        3
    );
    for (caller, sent) in [
        (h.call("client-b"), in_thread("client-b", "companion", "main")),
        (h.call("counselor"), in_thread("client-b", "companion", "main")),
        (h.call("app"), in_thread("client-b", "companion", "main")),
        (h.call("client-a"), in_thread("client-a", "study_guide", "main")),
    ] {
        let refused = caller.post("/v1/messages", &sent).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/thread".to_owned()])
        );
    }
    let items = [
        in_thread("client-a", "companion", "main"),
        message("client-b", "text"),
        in_thread("client-b", "companion", "main"),
    ];
    let batch = h
        .call("app")
        .post("/v1/messages:batch", &json!({"items": items}))
        .await;
    assert_eq!(
        (batch.code(), pointers(&batch)),
        (422, vec!["/items/2/thread".to_owned()])
    );
    let batch = h
        .call("app")
        .post("/v1/messages:batch", &json!({"items": items[..2]}))
        .await;
    assert_eq!(batch.code(), 200);
    assert_eq!(
        h.database
            .count("select count(*) from core.messages where thread_pk is not null")
            .await,
        4
    );
    let mut bad = message("client-a", "text");
    bad["thread"] = json!({"role": "a:b"});
    let refused = h.call("client-a").post("/v1/messages", &bad).await;
    assert_eq!(pointers(&refused), ["/thread/role", "/thread/thread_id"]);
}

#[tokio::test]
async fn a_thread_is_read_in_both_directions_page_by_page() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.messages("client-a", 3).await;
    let client = h.call("client-a");
    for number in 0..5 {
        client
            .post(
                &format!("{MAIN}/turns"),
                &turn(&format!("said {number}"), &format!("replied {number}")),
            )
            .await;
    }
    let oldest: Vec<Value> = (0..5)
        .flat_map(|number| {
            [
                json!(format!("said {number}")),
                json!(format!("replied {number}")),
            ]
        })
        .collect();
    let newest: Vec<Value> = oldest.iter().rev().cloned().collect();
    for (order, expected) in [("", &newest), ("&order=desc", &newest), ("&order=asc", &oldest)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = client
                .get(&format!("{MAIN}/messages?limit=3{order}{cursor}"))
                .await;
            seen.extend(column(&page, "message_text"));
            let Some(next) = page.at("/next_cursor").as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(&seen, expected, "{order}");
    }
    let page = client.get(&format!("{MAIN}/messages?limit=3")).await;
    let cursor = page.at("/next_cursor").as_str().expect("a cursor");
    for (path, query) in [
        (
            format!("{MAIN}/messages"),
            format!("limit=3&order=asc&cursor={cursor}"),
        ),
        (
            "/v1/users/client-a/messages".to_owned(),
            format!("limit=3&cursor={cursor}"),
        ),
        (format!("{MAIN}/messages"), "order=up".to_owned()),
    ] {
        assert_eq!(
            client.get(&format!("{path}?{query}")).await.code(),
            422,
            "{query}"
        );
    }
}

#[tokio::test]
async fn others_are_told_of_a_deleted_thread_s_messages_in_its_transaction() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    client.put(MAIN, &json!({})).await;
    assert_eq!(client.delete(MAIN).await.code(), 204);
    assert_eq!(
        h.events("core.message.deleted").await.len(),
        0,
        "nothing was said"
    );
    h.messages("client-a", 1).await;
    client.put(MAIN, &json!({})).await;
    h.run(
        "insert into core.messages (user_id, message_text, conversation_type, thread_pk)
         select t.user_id, 'text', 'assistant', t.id from core.chat_threads t, generate_series(1, 2500)
         where t.thread_id = 'main'",
    )
    .await;
    let stays = "select min(message_id) from core.messages";
    let first = h.database.count(stays).await + 1;
    // Whatever keeps the event from being written keeps the thread.
    h.run("alter table core.outbox add constraint ck_none check (event_type <> 'core.message.deleted')")
        .await;
    assert_eq!(client.delete(MAIN).await.code(), 500);
    assert_eq!(client.get(MAIN).await.code(), 200);
    h.run("alter table core.outbox drop constraint ck_none").await;
    assert_eq!(client.delete(MAIN).await.code(), 204);
    let told = h.events("core.message.deleted").await;
    let ids = told
        .iter()
        .flat_map(|event| event["message_ids"].as_array().unwrap());
    let ids: Vec<i64> = ids.map(|id| id.as_i64().unwrap()).collect();
    assert!(ids.iter().copied().eq(first..first + 2500), "all of them, once");
    assert_eq!(told.len(), 3, "a thousand each");
    assert!(told.iter().all(|event| event["user_id"] == "client-a"));
    assert_eq!(h.database.count("select count(*) from core.messages").await, 1);
}
