//! Reading messages.

use serde_json::{Value, json};

use crate::harness::{Harness, column, message};

#[tokio::test]
async fn a_history_is_read_newest_first_page_by_page() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let mut ids = h.messages("client-a", 25).await;
    // Two at the same time are told apart by id.
    h.run(
        "update core.messages set timestamp = (select max(timestamp) from core.messages)
           where message_id in (select message_id from core.messages order by message_id desc limit 2)",
    )
    .await;
    ids.reverse();
    for caller in [h.call("client-a"), h.call("app"), h.call("counselor")] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = caller
                .get(&format!("/v1/users/client-a/messages?limit=10{cursor}"))
                .await;
            assert_eq!(page.code(), 200);
            seen.extend(column(&page, "message_id"));
            let Some(next) = page.at("/next_cursor").as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
            // A message that arrives meanwhile moves no page.
            h.call("client-a")
                .post("/v1/messages", &message("client-a", "meanwhile"))
                .await;
        }
        assert!(seen.ends_with(&ids.iter().map(|id| json!(id)).collect::<Vec<_>>()));
        h.run("delete from core.messages where message_text = 'meanwhile'")
            .await;
    }
}

#[tokio::test]
async fn a_history_is_cut_to_a_kind_of_conversation() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.messages("client-a", 3).await;
    let mut to_group = message("client-a", "in a group");
    to_group["conversation_type"] = json!("group");
    h.call("client-a").post("/v1/messages", &to_group).await;
    let path = "/v1/users/client-a/messages?conversation_type=";
    assert_eq!(
        column(
            &h.call("client-a").get(&format!("{path}group")).await,
            "message_text"
        ),
        ["in a group"]
    );
    assert_eq!(
        h.call("client-a")
            .get(&format!("{path}buddy"))
            .await
            .items()
            .len(),
        3
    );
    assert_eq!(
        h.call("client-a").get(&format!("{path}family")).await.items(),
        Vec::<Value>::new()
    );
    assert_eq!(h.call("client-a").get(&format!("{path}sms")).await.code(), 422);
}

#[tokio::test]
async fn two_counselors_read_their_own_clients_messages_and_nobody_else_s() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    h.client("client-silent", &["counselor"]).await;
    let (a, b) = (h.messages("client-a", 2).await, h.messages("client-b", 2).await);
    for (counselor, own, own_ids, other, other_ids) in [
        ("counselor", "client-a", &a, "client-b", &b),
        ("counselor_other", "client-b", &b, "client-a", &a),
    ] {
        let caller = h.call(counselor);
        assert_eq!(
            caller
                .get(&format!("/v1/users/{own}/messages"))
                .await
                .items()
                .len(),
            2
        );
        assert_eq!(
            caller.get(&format!("/v1/messages/{}", own_ids[0])).await.code(),
            200
        );
        assert_eq!(
            caller.get(&format!("/v1/users/{other}/messages")).await.code(),
            404
        );
        assert_eq!(
            caller.get(&format!("/v1/messages/{}", other_ids[0])).await.code(),
            404
        );
    }
    let silent = h.call("counselor").get("/v1/users/client-silent/messages").await;
    assert_eq!(
        (silent.code(), silent.items().len()),
        (200, 0),
        "a client without messages is no secret"
    );
}

#[tokio::test]
async fn a_client_s_messages_are_read_by_nobody_else_s_token() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &[]).await;
    let a = h.messages("client-a", 2).await;
    for caller in ["admin", "auditor", "pipeline"] {
        assert_eq!(
            h.call(caller).get("/v1/users/client-a/messages").await.code(),
            403,
            "{caller}"
        );
    }
    assert_eq!(
        h.call("client-b").get("/v1/users/client-a/messages").await.code(),
        404
    );
    assert_eq!(
        h.app_for("client-b")
            .get("/v1/users/client-a/messages")
            .await
            .code(),
        404
    );
    assert_eq!(
        h.call("app").get(&format!("/v1/messages/{}", a[0])).await.code(),
        400,
        "an app names the client"
    );
    assert_eq!(
        h.app_for("client-a")
            .get(&format!("/v1/messages/{}", a[0]))
            .await
            .code(),
        200
    );
    assert_eq!(
        h.app_for("client-b")
            .get(&format!("/v1/messages/{}", a[0]))
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn staff_on_call_see_the_last_twenty_messages_while_the_crisis_lasts() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    let ids = h.messages("client-a", 30).await;
    h.messages("client-b", 1).await;
    let (oncall, path) = (h.call("oncall"), "/v1/users/client-a/messages");
    assert_eq!(oncall.get(path).await.code(), 404, "off shift");
    h.crisis("client-a", "oncall").await;
    let mut last: Vec<i64> = ids[10..].to_vec();
    last.reverse();
    let seen = oncall.get(&format!("{path}?limit=200")).await;
    assert_eq!(
        column(&seen, "message_id"),
        last.iter().map(|id| json!(id)).collect::<Vec<_>>()
    );
    assert_eq!(seen.at("/next_cursor"), &Value::Null);
    let fewer = oncall.get(&format!("{path}?limit=5")).await;
    assert_eq!((fewer.items().len(), fewer.at("/next_cursor")), (5, &Value::Null));
    assert_eq!(oncall.get(&format!("/v1/messages/{}", ids[29])).await.code(), 200);
    assert_eq!(
        oncall.get(&format!("/v1/messages/{}", ids[9])).await.code(),
        404,
        "older than the last 20"
    );
    assert_eq!(oncall.get("/v1/users/client-b/messages").await.code(), 404);
    h.run("delete from core.temporary_access").await;
    assert_eq!(oncall.get(path).await.code(), 404, "the crisis is over");
}

#[tokio::test]
async fn a_counselor_who_helps_in_a_crisis_sees_no_more_than_staff_on_call() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor_other"]).await;
    let ids = h.messages("client-a", 30).await;
    // The cursor of a counselor whose client it was until now.
    let other = h.call("counselor_other");
    let cursor = other
        .get("/v1/users/client-a/messages?limit=1")
        .await
        .at("/next_cursor")
        .clone();
    h.call("admin")
        .delete("/v1/caseload/staff-counselor_other/client-a")
        .await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    assert_eq!(
        other
            .get("/v1/users/client-a/messages?limit=200")
            .await
            .items()
            .len(),
        20
    );
    assert_eq!(other.get(&format!("/v1/messages/{}", ids[0])).await.code(), 404);
    let path = format!(
        "/v1/users/client-a/messages?limit=1&cursor={}",
        cursor.as_str().expect("a cursor")
    );
    assert_eq!(other.get(&path).await.code(), 422);
}
