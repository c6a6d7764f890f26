//! Sessions of staff with clients, what was said in them, and what staff noted.

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, column, pointers};

const KEY: &str = "/v1/interactions/s-1";
const TRANSCRIPT: &str = "/v1/interactions/s-1/transcript";
const BATCH: &str = "/v1/interactions/s-1/transcript:batch";
const NOTES: &str = "/v1/interactions/s-1/coaching-notes";

fn with_client(client_id: &str) -> Value {
    json!({"employee_id": "staff-counselor", "client_id": client_id})
}

fn chunk(index: i64, content: &str) -> Value {
    json!({"chunk_index": index, "content": content})
}

fn code_and_type(answer: &Answer) -> (u16, &str) {
    (answer.code(), answer.at("/type").as_str().unwrap_or_default())
}

impl Harness {
    /// A client with a session of the counselor's.
    async fn with_session() -> Self {
        let h = Self::with_client("client-a").await;
        let begun = h.call("counselor").put(KEY, &with_client("client-a")).await;
        assert_eq!(begun.code(), 201, "{}", begun.json);
        h
    }
}

#[tokio::test]
async fn a_session_begins_once_and_stays_with_its_people() {
    let mut h = Harness::with_session().await;
    h.client("client-b", &["counselor", "counselor_other"]).await;
    let begun = h.call("counselor").get(KEY).await;
    assert_eq!(begun.code(), 200);
    assert_eq!(begun.at("/employee_id"), "staff-counselor");
    for caller in [h.call("counselor"), h.call("app"), h.app_for("client-a")] {
        let again = caller.put(KEY, &with_client("client-a")).await;
        assert_eq!((again.code(), &again.json), (200, &begun.json));
    }
    let noted = json!({"employee_id": "staff-counselor", "metadata": {"room": 7}});
    assert_eq!(h.call("counselor").put(KEY, &noted).await.at("/metadata/room"), 7);
    assert_eq!(
        h.call("counselor")
            .put(KEY, &with_client("client-a"))
            .await
            .at("/metadata/room"),
        7
    );
    let other_client = h.call("counselor").put(KEY, &with_client("client-b")).await;
    assert_eq!(code_and_type(&other_client), (409, "/problems/differs"));
    let other_staff = json!({"employee_id": "staff-counselor_other", "client_id": "client-a"});
    assert_eq!(
        code_and_type(&h.call("app").put(KEY, &other_staff).await),
        (409, "/problems/differs")
    );
    let of_somebody_else = json!({"employee_id": "staff-counselor", "client_id": "client-b"});
    let refused = h
        .call("counselor_other")
        .put("/v1/interactions/s-2", &of_somebody_else)
        .await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/employee_id".to_owned()])
    );
}

#[tokio::test]
async fn an_app_says_with_whom_and_names_staff() {
    let h = Harness::with_client("client-a").await;
    for (body, pointer) in [
        (json!({"employee_id": "staff-counselor"}), "/client_id"),
        (
            json!({"employee_id": "nobody", "client_id": "client-a"}),
            "/employee_id",
        ),
        (
            json!({"employee_id": "client-a", "client_id": "client-a"}),
            "/employee_id",
        ),
    ] {
        let refused = h.app_for("client-a").put(KEY, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()])
        );
    }
    assert_eq!(h.call("app").put(KEY, &with_client("client-a")).await.code(), 201);
    assert_eq!(
        h.call("app").get(KEY).await.code(),
        400,
        "whom it acts for stands in no path here"
    );
    assert_eq!(h.app_for("client-a").get(KEY).await.code(), 200);
}

#[tokio::test]
async fn a_client_becomes_known_during_the_session_and_owns_what_was_said_before() {
    let mut h = Harness::with_client("client-a").await;
    let unknown = json!({"employee_id": "staff-counselor"});
    assert_eq!(h.call("counselor").put(KEY, &unknown).await.code(), 201);
    assert_eq!(
        h.call("counselor")
            .post(TRANSCRIPT, &chunk(0, "who are you"))
            .await
            .code(),
        201
    );
    assert_eq!(
        h.call("counselor")
            .post(NOTES, &json!({"note": "ask"}))
            .await
            .code(),
        201
    );
    assert_eq!(
        column(&h.call("counselor").get(TRANSCRIPT).await, "content"),
        ["who are you"]
    );
    for caller in ["counselor_other", "supervisor"] {
        assert_ne!(
            h.call(caller).get(NOTES).await.code(),
            200,
            "{caller} sees it before it has a client"
        );
    }
    let known = h.call("counselor").put(KEY, &with_client("client-a")).await;
    assert_eq!((known.code(), known.at("/client_id")), (200, &json!("client-a")));
    let unowned =
        "select count(*) from core.transcript_chunks c full join core.coaching_notes n using (session_id)
        where c.client_id is distinct from 'client-a' or n.client_id is distinct from 'client-a'";
    assert_eq!(h.database.count(unowned).await, 0);
    h.client("client-b", &["counselor"]).await;
    assert_eq!(
        h.call("counselor")
            .put(KEY, &with_client("client-b"))
            .await
            .code(),
        409
    );
    assert_eq!(
        h.call("counselor")
            .put("/v1/interactions/s-2", &with_client("nobody"))
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn a_key_that_is_in_use_elsewhere_is_nobody_s_to_find() {
    let mut h = Harness::with_session().await;
    h.client("client-b", &["counselor_other"]).await;
    let own = json!({"employee_id": "staff-counselor_other", "client_id": "client-b"});
    let other = h.call("counselor_other");
    assert_eq!(other.put(KEY, &own).await.code(), 404);
    for path in [KEY, TRANSCRIPT, NOTES] {
        assert_eq!(other.get(path).await.code(), 404, "{path}");
    }
    assert_eq!(other.post(TRANSCRIPT, &chunk(0, "x")).await.code(), 404);
    assert_eq!(h.app_for("client-b").get(KEY).await.code(), 404);
    assert_eq!(
        h.call("client-a").get(KEY).await.code(),
        403,
        "the person reads sessions in the context"
    );
}

#[tokio::test]
async fn pieces_come_in_any_order_and_are_told_in_theirs() {
    let h = Harness::with_session().await;
    let counselor = h.call("counselor");
    assert_eq!(counselor.post(TRANSCRIPT, &chunk(2, "two")).await.code(), 201);
    let batch = json!({"items": [chunk(3, "three"), chunk(0, "zero"), chunk(2, "two"), chunk(1, "one")]});
    let stored = h.app_for("client-a").post(BATCH, &batch).await;
    assert_eq!(
        (stored.code(), column(&stored, "chunk_index")),
        (200, vec![json!(3), json!(0), json!(2), json!(1)])
    );
    let mut told = Vec::new();
    let mut path = format!("{TRANSCRIPT}?limit=3");
    loop {
        let page = counselor.get(&path).await;
        told.extend(column(&page, "content"));
        let Some(cursor) = page.at("/next_cursor").as_str() else {
            break;
        };
        path = format!("{TRANSCRIPT}?limit=3&cursor={cursor}");
    }
    assert_eq!(told, ["zero", "one", "two", "three"]);
}

#[tokio::test]
async fn a_piece_again_changes_nothing_and_another_one_in_its_place_is_refused() {
    let h = Harness::with_session().await;
    let counselor = h.call("counselor");
    let stored = counselor.post(TRANSCRIPT, &chunk(0, "zero")).await;
    let again = counselor.post(TRANSCRIPT, &chunk(0, "zero")).await;
    assert_eq!((again.code(), &again.json), (200, &stored.json));
    let other = counselor.post(TRANSCRIPT, &chunk(0, "nought")).await;
    assert_eq!(code_and_type(&other), (409, "/problems/differs"));
    let mixed = json!({"items": [chunk(1, "one"), chunk(0, "nought")]});
    let refused = counselor.post(BATCH, &mixed).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (409, vec!["/items/1/chunk_index".to_owned()])
    );
    let doubled = json!({"items": [chunk(1, "one"), chunk(1, "one")]});
    let refused = counselor.post(BATCH, &doubled).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/items/1/chunk_index".to_owned()])
    );
    assert_eq!(
        column(&counselor.get(TRANSCRIPT).await, "content"),
        ["zero"],
        "all or nothing"
    );
    for (bad, code) in [
        (chunk(-1, "x"), 422),
        (chunk(0, ""), 422),
        (chunk(0, "a\0b"), 422),
        (chunk(0, &"x".repeat(65_537)), 413),
    ] {
        assert_eq!(counselor.post(TRANSCRIPT, &bad).await.code(), code);
    }
}

#[tokio::test]
async fn notes_are_for_staff_alone() {
    let mut h = Harness::with_session().await;
    h.run(
        "insert into core.teams (name) values ('theirs');
           insert into core.team_members (team_id, staff_id, part) values
               (1, 'staff-supervisor', 'supervisor'), (1, 'staff-counselor', 'member')",
    )
    .await;
    h.client("client-b", &[]).await;
    let noted = h.call("counselor").post(NOTES, &json!({"note": "first"})).await;
    assert_eq!((noted.code(), noted.at("/note")), (201, &Value::Null));
    assert_eq!(
        h.call("supervisor")
            .post(NOTES, &json!({"note": "second"}))
            .await
            .code(),
        201
    );
    let authors = column(&h.call("counselor").get(NOTES).await, "author_id");
    assert_eq!(authors, ["staff-supervisor", "staff-counselor"]);
    for caller in ["counselor", "supervisor"] {
        assert_eq!(
            column(&h.call(caller).get(NOTES).await, "note"),
            ["second", "first"],
            "{caller}"
        );
    }
    for caller in [
        h.call("client-a"),
        h.app_for("client-a"),
        h.call("admin"),
        h.call("oncall"),
        h.call("pipeline"),
    ] {
        assert_eq!(caller.get(NOTES).await.code(), 403);
        assert_eq!(caller.post(NOTES, &json!({"note": "x"})).await.code(), 403);
    }
    let client = db::Actor::Client("client-a".to_owned());
    let rows = h
        .database
        .pools("core")
        .read(&client, "select n.id from core.coaching_notes n", &[])
        .await
        .unwrap();
    assert_eq!(rows.len(), 0, "nor by the row policies");
    let export = h.call("client-a").get("/v1/users/client-a/export").await;
    let text = String::from_utf8(export.bytes).unwrap();
    assert!(
        text.contains("\"interaction_sessions\"") && !text.contains("coaching_notes"),
        "nor by an export"
    );
}

#[tokio::test]
async fn a_client_s_sessions_are_listed_newest_first_and_not_in_a_crisis() {
    let mut h = Harness::with_session().await;
    h.client("client-b", &[]).await;
    for n in 2..=4 {
        let path = format!("/v1/interactions/s-{n}");
        h.call("counselor").put(&path, &with_client("client-a")).await;
    }
    let path = "/v1/users/client-a/interactions?limit=3";
    let first = h.call("counselor").get(path).await;
    assert_eq!(column(&first, "session_key"), ["s-4", "s-3", "s-2"]);
    let next = first.at("/next_cursor").as_str().unwrap();
    let second = h.call("counselor").get(&format!("{path}&cursor={next}")).await;
    assert_eq!(column(&second, "session_key"), ["s-1"]);
    assert_eq!(
        h.call("app")
            .get("/v1/users/client-b/interactions")
            .await
            .items()
            .len(),
        0
    );
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    for path in ["/v1/users/client-a/interactions", KEY, TRANSCRIPT, NOTES] {
        assert_eq!(h.call("counselor_other").get(path).await.code(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_session_stays_for_the_count_and_tells_nothing_of_who_left() {
    let h = Harness::with_session().await;
    let counselor = h.call("counselor");
    counselor
        .put(
            KEY,
            &json!({"employee_id": "staff-counselor", "metadata": {"said": "mrk"}}),
        )
        .await;
    counselor.post(TRANSCRIPT, &chunk(0, "mrk")).await;
    counselor.post(NOTES, &json!({"note": "mrk"})).await;
    let left = h.call("client-a").delete("/customers/client-a/opt-out").await;
    assert_eq!(
        (left.code(), left.at("/counts/kept")),
        (200, &json!({"core.interaction_sessions": 1}))
    );
    assert_eq!(left.at("/counts/removed")["core.transcript_chunks"], 1);
    assert_eq!(left.at("/counts/removed")["core.coaching_notes"], 1);
    assert_eq!(h.traces_in_short("mrk").await, Vec::<String>::new());
    assert_eq!(h.traces_in_short("s-1").await, Vec::<String>::new());
    let rows = h
        .database
        .query("select session_key, client_id, metadata, employee_id from core.interaction_sessions")
        .await;
    assert_eq!(rows[0].get::<_, Option<&str>>("client_id"), None);
    assert_eq!(
        rows[0].get::<_, Option<&str>>("employee_id"),
        Some("staff-counselor")
    );
    let path = format!("/v1/interactions/{}", rows[0].get::<_, &str>("session_key"));
    assert_eq!(counselor.get(&path).await.code(), 404, "nobody goes on with it");
    assert_eq!(
        counselor
            .post(&format!("{path}/transcript"), &chunk(1, "x"))
            .await
            .code(),
        404
    );
    assert_eq!(
        counselor
            .put(KEY, &json!({"employee_id": "staff-counselor"}))
            .await
            .code(),
        201,
        "its name is free"
    );
}

#[tokio::test]
async fn nothing_that_races_a_client_s_becoming_known_or_leaving_is_left_behind() {
    let h = Harness::with_client("client-a").await;
    let counselor = h.call("counselor");
    counselor
        .put(KEY, &json!({"employee_id": "staff-counselor"}))
        .await;
    let piece = |n: i64| {
        let counselor = counselor.clone();
        async move { counselor.post(TRANSCRIPT, &chunk(n, "mrk-text")).await.code() }
    };
    let known = with_client("client-a");
    let (first, named) = tokio::join!(join_all((0..20).map(piece)), counselor.put(KEY, &known));
    assert_eq!(named.code(), 200);
    assert!(first.iter().all(|code| *code == 201), "{first:?}");
    let (app, path) = (h.call("app"), "/v1/users/client-a/opt-out");
    let (second, left) = tokio::join!(join_all((20..60).map(piece)), app.delete(path));
    assert_eq!(left.code(), 200, "{}", left.json);
    assert!(second.iter().all(|code| matches!(code, 201 | 404)), "{second:?}");
    assert_eq!(h.traces_in_short("mrk-text").await, Vec::<String>::new());
}

#[tokio::test]
async fn no_answer_is_kept_while_it_is_not_known_whom_it_is_about() {
    let h = Harness::with_client("client-a").await;
    let keyed = |key: &str| h.call("counselor").with_header("idempotency-key", key);
    let unknown = json!({"employee_id": "staff-counselor", "metadata": {"said": "mrk"}});
    assert_eq!(keyed("1").put(KEY, &unknown).await.code(), 201);
    assert_eq!(keyed("2").post(TRANSCRIPT, &chunk(0, "mrk")).await.code(), 201);
    assert_eq!(keyed("3").post(NOTES, &json!({"note": "mrk"})).await.code(), 201);
    let kept = "select count(*) from core.idempotency_keys where strpos(encode(body, 'escape'), 'mrk') > 0";
    assert_eq!(h.database.count(kept).await, 0);
    assert_eq!(keyed("4").put(KEY, &with_client("client-a")).await.code(), 200);
    assert_eq!(h.database.count(kept).await, 1);
    assert_eq!(
        h.call("client-a")
            .delete("/v1/users/client-a/opt-out")
            .await
            .code(),
        200
    );
    assert_eq!(h.traces_in_short("mrk").await, Vec::<String>::new());
}
