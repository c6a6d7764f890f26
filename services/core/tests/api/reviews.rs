//! Replies that were mistakes.

use serde_json::{Value, json};

use crate::harness::{Harness, column, pointers};
use crate::threads::turn;

impl Harness {
    /// A reply to a client by a model; its id.
    async fn reply(&self, user_id: &str, model: &str, version: &str) -> Value {
        let mut sent = turn("said", "replied");
        sent["ai"] = json!({"model_name": model, "ai_core_version": version});
        let path = format!("/v1/threads/{user_id}/companion/main/turns");
        self.call("app").post(&path, &sent).await.at("/reply_id").clone()
    }

    async fn review(&self, caller: &str, message_id: &Value, body: &Value) -> testkit::Answer {
        let path = format!("/v1/messages/{message_id}/review");
        self.call(caller).post(&path, body).await
    }
}

#[tokio::test]
async fn a_reply_is_reviewed_by_those_who_care_and_the_last_word_holds() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let reply = h.reply("client-a", "m", "2.1").await;
    let path = format!("/v1/messages/{reply}");
    let mistake = json!({"is_mistake": true, "mistake_note": "it gave a dose"});
    assert_eq!(h.review("counselor", &reply, &mistake).await.code(), 204);
    let shown = h.call("counselor").get(&path).await;
    assert_eq!(shown.at("/review/is_mistake"), &json!(true));
    assert_eq!(shown.at("/review/mistake_note"), &json!("it gave a dose"));
    assert_eq!(shown.at("/review/reviewed_by"), &json!("staff-counselor"));
    assert!(shown.at("/review/reviewed_at").is_string());
    assert_eq!(
        shown.at("/ai/model_name"),
        &json!("m"),
        "what the model said stays"
    );
    for other in [h.call("client-a"), h.app_for("client-a")] {
        assert_eq!(other.get(&path).await.at("/review"), &Value::Null);
    }
    assert_eq!(
        h.review("counselor", &reply, &json!({"is_mistake": false}))
            .await
            .code(),
        204
    );
    let shown = h.call("counselor").get(&path).await;
    assert_eq!(
        (shown.at("/review/is_mistake"), shown.at("/review/mistake_note")),
        (&json!(false), &Value::Null)
    );
    assert_eq!(h.call("counselor").get("/v1/mistakes").await.items().len(), 0);
}

#[tokio::test]
async fn nobody_reviews_what_is_not_a_reply_to_a_client_of_theirs() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    let (own, other) = (
        h.reply("client-a", "m", "2.0").await,
        h.reply("client-b", "m", "2.0").await,
    );
    let said = h.messages("client-a", 1).await[0];
    let body = json!({"is_mistake": true});
    assert_eq!(h.review("counselor", &other, &body).await.code(), 404);
    assert_eq!(
        h.review("counselor", &json!(said), &body).await.code(),
        404,
        "no reply"
    );
    assert_eq!(
        h.review("counselor", &json!(999_999_999), &body).await.code(),
        404
    );
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    assert_eq!(
        h.review("counselor_other", &own, &body).await.code(),
        404,
        "a crisis opens no review"
    );
    for caller in [
        "client-a", "app", "oncall", "admin", "auditor", "pipeline", "service",
    ] {
        assert_eq!(h.review(caller, &own, &body).await.code(), 403, "{caller}");
        assert_eq!(h.call(caller).get("/v1/mistakes").await.code(), 403, "{caller}");
    }
    for (body, fault) in [
        (json!({}), "/is_mistake"),
        (json!({"is_mistake": "yes"}), "/is_mistake"),
        (json!({"is_mistake": false, "mistake_note": "x"}), "/mistake_note"),
        (
            json!({"is_mistake": true, "mistake_note": "\u{0}"}),
            "/mistake_note",
        ),
    ] {
        let refused = h.review("counselor", &own, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![fault.to_owned()])
        );
    }
    assert_eq!(
        h.database
            .count("select count(*) from core.message_ai_metadata where is_mistake = 1")
            .await,
        0
    );
}

#[tokio::test]
async fn a_reply_without_metadata_can_be_a_mistake_too() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let stored = h
        .call("app")
        .post(
            "/v1/threads/client-a/companion/main/turns",
            &turn("said", "replied"),
        )
        .await;
    let reply = stored.at("/reply_id");
    assert_eq!(
        h.database
            .count("select count(*) from core.message_ai_metadata")
            .await,
        0
    );
    assert_eq!(
        h.review("counselor", reply, &json!({"is_mistake": true}))
            .await
            .code(),
        204
    );
    assert_eq!(
        column(&h.call("counselor").get("/v1/mistakes").await, "message_id"),
        std::slice::from_ref(reply)
    );
}

#[tokio::test]
async fn a_reply_that_ends_while_it_is_reviewed_is_nobody_s_to_review() {
    for has_metadata in [true, false] {
        let mut h = Harness::new().await;
        h.client("client-a", &["counselor"]).await;
        let reply = h.reply("client-a", "m", "2.1").await;
        if !has_metadata {
            h.run("delete from core.message_ai_metadata").await;
        }
        h.run("update core.messages set timestamp = now() - interval '3 years'")
            .await;
        // It ends, and waits to tell that it did.
        let working = h.database.superuser().await;
        working.run("begin; lock table core.outbox in share mode").await;
        let body = json!({"is_mistake": true, "mistake_note": "it gave a dose"});
        let review = async {
            h.so_many_wait(1).await;
            h.review("counselor", &reply, &body).await.code()
        };
        let release = async {
            h.so_many_wait(2).await;
            working.run("commit").await;
        };
        let (ended, reviewed, ()) = futures::join!(h.app.round("end_terms"), review, release);
        assert_eq!((ended.unwrap(), reviewed), (2, 404));
        let kept = "select count(*) from core.message_ai_metadata where num_nonnulls(user_id, mistake_note, reviewed_by) > 0";
        assert_eq!(h.database.count(kept).await, 0);
    }
}

#[tokio::test]
async fn who_reviews_holds_no_reply_while_they_wait_for_its_client_as_an_erasure_does() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let reply = h.reply("client-a", "m", "2.1").await;
    h.run("delete from core.message_ai_metadata").await;
    let erasing = h.database.superuser().await;
    erasing
        .run("begin; select from core.users where user_id = 'client-a' for update")
        .await;
    let erase = async {
        h.so_many_wait(1).await;
        erasing
            .run("select from core.messages for update nowait; rollback")
            .await;
    };
    let body = json!({"is_mistake": true});
    let (reviewed, ()) = futures::join!(h.review("counselor", &reply, &body), erase);
    assert_eq!(reviewed.code(), 204);
}

#[tokio::test]
async fn mistakes_are_listed_newest_first_by_model_and_version_for_the_own_clients() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    h.client("client-c", &["counselor_other"]).await;
    let mut ids = Vec::new();
    for (client, model, version) in [
        ("client-a", "m1", "2.0"),
        ("client-b", "m1", "2.1"),
        ("client-a", "m2", "2.1"),
        ("client-b", "m2", "2.1"),
    ] {
        let reply = h.reply(client, model, version).await;
        h.review("counselor", &reply, &json!({"is_mistake": true})).await;
        ids.push(reply);
    }
    h.reply("client-a", "m1", "2.0").await;
    let other = h.reply("client-c", "m1", "2.0").await;
    h.review("counselor_other", &other, &json!({"is_mistake": true}))
        .await;
    let caller = h.call("counselor");
    let listed = async |query: &str| column(&caller.get(&format!("/v1/mistakes{query}")).await, "message_id");
    ids.reverse();
    assert_eq!(listed("").await, ids);
    assert_eq!(listed("?model_name=m1").await, ids[2..]);
    assert_eq!(listed("?model_name=m1&ai_core_version=2.1").await, ids[2..3]);
    assert_eq!(listed("?model_name=none").await, Vec::<Value>::new());
    let first = caller.get("/v1/mistakes?limit=3").await;
    let cursor = first.at("/next_cursor").as_str().expect("a cursor");
    assert_eq!(listed(&format!("?limit=3&cursor={cursor}")).await, ids[3..]);
    let read = h
        .audited("action = 'GET /v1/mistakes' and decision = 'allow'")
        .await;
    assert_eq!(read[0]["people"], json!(["client-a", "client-b"]));
}
