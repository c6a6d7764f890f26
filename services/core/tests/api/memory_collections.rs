//! Collections of memories, and who keeps them.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Answer;

use crate::faces::RUN_OUT;
use crate::harness::{Harness, column};
use crate::memories::{TAKEN_BACK, fact, patch, path_of, problem, with};

const OF_A: &str = "/v1/users/client-a/collections";

fn goal(name: &str) -> Value {
    json!({"collection_type": "goal", "name": name})
}

fn path(collection: &Answer) -> String {
    format!("{OF_A}/{}", collection.at("/id").as_str().unwrap())
}

fn item(collection: &Answer, memory: &Answer) -> String {
    let memory = memory.at("/id").as_str().unwrap();
    format!("{}/items/{memory}", path(collection))
}

impl Harness {
    async fn put_empty(&self, path: &str) -> u16 {
        self.call("client-a").send(Method::PUT, path, None).await.code()
    }
}

#[tokio::test]
async fn a_collection_is_made_renamed_listed_and_removed_without_its_memories() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let made = client
        .post(OF_A, &with(goal("a flat"), "description", "of my own"))
        .await;
    assert_eq!((made.code(), made.at("/created_by")), (201, &json!("self")));
    let second = h.app_for("client-a").post(OF_A, &goal("a job")).await;
    assert_eq!(second.at("/created_by"), &json!("program-app"));
    let taken = client.post(OF_A, &goal("a job")).await;
    assert_eq!((taken.code(), problem(&taken)), (409, "taken"));
    for caller in [h.call("client-a"), h.app_for("client-a"), h.call("counselor")] {
        assert_eq!(column(&caller.get(OF_A).await, "name"), ["a flat", "a job"]);
        let read = caller.get(&path(&made)).await;
        assert_eq!(read.at("/description"), &json!("of my own"));
        for (field, value) in made.json.as_object().unwrap() {
            assert_eq!(&read.json[field], value, "{field}");
        }
    }
    let page = client.get(&format!("{OF_A}?limit=1")).await;
    let cursor = page.at("/next_cursor").as_str().unwrap().to_owned();
    let rest = client.get(&format!("{OF_A}?limit=1&cursor={cursor}")).await;
    assert_eq!(column(&rest, "name"), ["a job"]);
    let app = h.app_for("client-a");
    let renamed = patch(
        &app,
        &path(&made),
        &json!({"name": "a house", "description": null}),
    )
    .await;
    assert_eq!((renamed.code(), renamed.at("/name")), (200, &Value::Null));
    let read = client.get(&path(&made)).await;
    assert_eq!(
        (
            read.at("/name"),
            read.at("/description"),
            read.at("/collection_type")
        ),
        (&json!("a house"), &Value::Null, &json!("goal"))
    );
    assert_eq!(
        (renamed.at("/created_by"), renamed.at("/updated_by")),
        (&json!("self"), &json!("program-app"))
    );
    let refused = patch(&client, &path(&made), &json!({"name": "a job"})).await;
    assert_eq!(refused.code(), 409);
    let memory = h.remember("client-a", &fact("saves money")).await;
    assert_eq!(h.put_empty(&item(&made, &memory)).await, 204);
    assert_eq!(client.delete(&path(&made)).await.code(), 204);
    assert_eq!(client.delete(&path(&made)).await.code(), 404);
    assert_eq!(client.get(&path_of(&memory)).await.code(), 200);
}

#[tokio::test]
async fn items_are_added_once_and_who_changed_them_stands_on_the_collection() {
    let h = Harness::remembering("client-a").await;
    let app = h.app_for("client-a");
    let made = app.post(OF_A, &goal("a flat")).await;
    let (first, second) = (
        h.remember("client-a", &fact("one")).await,
        h.remember("client-a", &with(fact("two"), "is_sensitive", true))
            .await,
    );
    for memory in [&first, &second, &first] {
        assert_eq!(h.put_empty(&item(&made, memory)).await, 204);
    }
    let client = h.call("client-a");
    let items = client.get(&format!("{}/items", path(&made))).await;
    assert_eq!(column(&items, "content"), ["one", "two"]);
    assert_eq!(column(&items, "added_by"), ["self", "self"]);
    assert_eq!(client.get(&path(&made)).await.at("/updated_by"), &json!("self"));
    let seen = h.call("counselor").get(&format!("{}/items", path(&made))).await;
    assert_eq!(column(&seen, "content"), ["one"], "staff see no sensitive ones");
    assert_eq!(app.delete(&item(&made, &first)).await.code(), 204);
    assert_eq!(app.delete(&item(&made, &first)).await.code(), 404);
    let kept = client.get(&path(&made)).await;
    assert_eq!(kept.at("/updated_by"), &json!("program-app"));
    assert_eq!(
        client.get(&path_of(&first)).await.code(),
        200,
        "it is not forgotten"
    );
}

#[tokio::test]
async fn a_correction_takes_the_place_of_what_it_corrects_and_what_is_forgotten_is_in_no_collection() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let made = client.post(OF_A, &goal("sobriety")).await;
    let memory = h.remember("client-a", &fact("90 days sober")).await;
    assert_eq!(h.put_empty(&item(&made, &memory)).await, 204);
    let relapsed = patch(&client, &path_of(&memory), &json!({"content": "relapsed in May"})).await;
    let items = format!("{}/items", path(&made));
    assert_eq!(column(&client.get(&items).await, "content"), ["relapsed in May"]);
    assert_eq!(h.put_empty(&item(&made, &memory)).await, 404, "it holds no more");
    client.delete(&path_of(&relapsed)).await;
    assert_eq!(client.get(&items).await.items(), Vec::<Value>::new());
}

#[tokio::test]
async fn nobody_but_those_who_care_reads_a_collection_or_puts_into_it_what_is_another_client_s() {
    let mut h = Harness::remembering("client-a").await;
    h.remembered("client-b", &[]).await;
    let made = h.call("client-a").post(OF_A, &goal("mine")).await;
    let theirs = h.remember("client-b", &fact("theirs")).await;
    let mine = h.remember("client-a", &fact("mine")).await;
    assert_eq!(h.put_empty(&item(&made, &theirs)).await, 404);
    let (other, helper) = (h.call("client-b"), h.helper_in_a_crisis("client-a").await);
    let items = format!("{}/items", path(&made));
    for read in [OF_A, &path(&made), &items] {
        assert_eq!(helper.get(read).await.code(), 404, "{read}");
        assert_eq!(h.call("counselor").get(read).await.code(), 200, "{read}");
    }
    for (method, path) in [
        (Method::GET, path(&made)),
        (Method::DELETE, path(&made)),
        (Method::PUT, item(&made, &mine)),
        (Method::DELETE, item(&made, &mine)),
        (Method::GET, items),
        (Method::GET, OF_A.to_owned()),
    ] {
        let answer = other.send(method.clone(), &path, None).await;
        assert_eq!(answer.code(), 404, "{method} {path}");
    }
    let borrowed = item(&made, &mine).replace("client-a", "client-b");
    let answer = other.send(Method::PUT, &borrowed, None).await;
    assert_eq!(answer.code(), 404);
}

#[tokio::test]
async fn without_a_consent_a_collection_can_be_read_and_removed_but_not_made_or_filled() {
    let h = Harness::remembering("client-a").await;
    let client = h.call("client-a");
    let made = client.post(OF_A, &goal("a flat")).await;
    let memory = h.remember("client-a", &fact("one")).await;
    h.take_back("client-a").await;
    assert_eq!(client.post(OF_A, &goal("a job")).await.code(), 403);
    assert_eq!(
        patch(&client, &path(&made), &json!({"name": "x"})).await.code(),
        403
    );
    assert_eq!(h.put_empty(&item(&made, &memory)).await, 403);
    assert_eq!(client.get(&path(&made)).await.code(), 200);
    assert_eq!(client.delete(&path(&made)).await.code(), 204);
}

#[tokio::test]
async fn without_a_consent_nobody_but_the_client_reads_what_is_remembered() {
    let mut h = Harness::remembering("client-a").await;
    h.client("client-b", &["counselor"]).await;
    let client = h.call("client-a");
    let made = client.post(OF_A, &goal("a flat")).await;
    let memory = h.remember("client-a", &fact("saves money")).await;
    assert_eq!(h.put_empty(&item(&made, &memory)).await, 204);
    let paths = [
        "/v1/users/client-a/memories".to_owned(),
        path_of(&memory),
        OF_A.to_owned(),
        path(&made),
        format!("{}/items", path(&made)),
    ];
    let others = || [h.call("counselor"), h.app_for("client-a")];
    let again = json!({"purpose": "memory"});
    for is_over in [RUN_OUT, TAKEN_BACK] {
        for path in &paths {
            for caller in others() {
                assert_eq!(caller.get(path).await.code(), 200, "{path}");
            }
        }
        h.run(is_over).await;
        for path in &paths {
            for caller in others() {
                let refused = caller.get(path).await;
                assert_eq!((refused.code(), problem(&refused)), (403, "consent-required"));
            }
            assert_eq!(client.get(path).await.code(), 200, "{path}");
            assert_eq!(h.call("counselor_other").get(path).await.code(), 404, "{path}");
        }
        let given = client.post("/v1/users/client-a/consents", &again).await;
        assert_eq!(given.code(), 201);
    }
    for nothing in ["memories", "collections"] {
        let path = format!("/v1/users/client-b/{nothing}");
        assert_eq!(h.call("counselor").get(&path).await.code(), 403, "never asked");
        assert_eq!(h.call("client-b").get(&path).await.code(), 200, "{path}");
    }
}

#[tokio::test]
async fn what_a_collection_was_about_is_kept_by_no_answer() {
    let h = Harness::remembering("client-a").await;
    let keyed = |key: &str| h.call("client-a").with_header("idempotency-key", key);
    let about = json!({"collection_type": "marker", "name": "marker", "description": "marker"});
    let made = keyed("one").post(OF_A, &about).await;
    let change = json!({"name": "another marker"});
    let changed = patch(&keyed("two"), &path(&made), &change).await;
    assert_eq!((made.code(), changed.code()), (201, 200));
    assert_eq!(h.call("client-a").delete(&path(&made)).await.code(), 204);
    assert_eq!(h.answers_that_say("marker").await, 0);
    assert_eq!(keyed("one").post(OF_A, &about).await.bytes, made.bytes);
}

#[tokio::test]
async fn what_a_list_or_a_collection_shows_is_noted_as_read() {
    let h = Harness::remembering("client-a").await;
    let (kept, other) = (
        h.remember("client-a", &fact("one")).await,
        h.remember("client-a", &with(fact("two"), "memory_type", "task"))
            .await,
    );
    let client = h.call("client-a");
    let goal = json!({"collection_type": "goal", "name": "a flat"});
    let made = client.post("/v1/users/client-a/collections", &goal).await;
    let items = format!(
        "/v1/users/client-a/collections/{}/items",
        made.at("/id").as_str().unwrap()
    );
    let item = format!("{items}/{}", kept.at("/id").as_str().unwrap());
    assert_eq!(client.put(&item, &json!({})).await.code(), 204);
    let noted = "select count(*) from core.memories where accessed_at > now() - interval '1 minute'";
    for path in [items.as_str(), "/v1/users/client-a/memories?memory_type=task"] {
        h.run("update core.memories set accessed_at = '2020-01-01'").await;
        assert_eq!(client.get(path).await.items().len(), 1);
        h.app.round("touch_memories").await.unwrap();
        assert_eq!(h.database.count(noted).await, 1, "{path}");
    }
    assert_eq!(client.delete(&path_of(&other)).await.code(), 204);
}
