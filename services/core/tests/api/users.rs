//! Accounts: made once, read by those whom they concern.

use serde_json::{Value, json};

use crate::harness::{Harness, column, pointers};

#[tokio::test]
async fn an_account_is_made_and_the_others_are_told() {
    let h = Harness::new().await;
    let account = json!({
        "user_id": "client-new", "kind": "client", "username": "new", "email": "new@mail.example",
        "display_name": "N.", "timezone": "Europe/Vienna", "locale": "de-AT", "metadata": {"cohort": 3},
    });
    let made = h.call("app").post("/v1/users", &account).await;
    assert_eq!(made.code(), 201);
    assert_eq!(made.headers["location"], "/v1/users/client-new");
    assert_eq!(made.at("/status"), &json!("active"));
    assert_eq!(made.at("/email"), &Value::Null, "what was sent is not sent back");
    let told = h.events("core.user.created").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["user_id"], &told[0]["kind"]),
        (&json!("client-new"), &json!("client"))
    );
    let read = h.app_for("client-new").get("/v1/users/client-new").await;
    assert_eq!(
        (read.code(), read.at("/timezone")),
        (200, &json!("Europe/Vienna"))
    );
    assert_eq!(read.at("/metadata/cohort"), &json!(3));
}

#[tokio::test]
async fn an_account_without_an_id_gets_one() {
    let h = Harness::new().await;
    let made = h.call("admin").post("/v1/users", &json!({"kind": "staff"})).await;
    assert_eq!(made.code(), 201);
    assert_eq!(made.at("/user_id").as_str().map(str::len), Some(36));
    assert_eq!(made.at("/timezone"), &json!("UTC"));
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict_that_says_which() {
    let h = Harness::new().await;
    let first = json!({
        "user_id": "client-1", "kind": "client", "username": "one", "email": "one@mail.example", "external_id": "x1",
    });
    assert_eq!(h.call("admin").post("/v1/users", &first).await.code(), 201);
    for (field, value) in [
        ("user_id", "client-1"),
        ("username", "one"),
        ("email", "ONE@mail.example"),
        ("external_id", "x1"),
    ] {
        let refused = h
            .call("admin")
            .post("/v1/users", &json!({"kind": "client", field: value}))
            .await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (409, &json!("/problems/taken"))
        );
        assert_eq!(pointers(&refused), [format!("/{field}")]);
    }
    assert_eq!(h.events("core.user.created").await.len(), 1);
}

#[tokio::test]
async fn an_app_makes_no_staff() {
    let h = Harness::new().await;
    let staff = json!({"user_id": "staff-new", "kind": "staff"});
    assert_eq!(h.call("app").post("/v1/users", &staff).await.code(), 403);
    assert_eq!(h.call("counselor").post("/v1/users", &staff).await.code(), 403);
    assert_eq!(h.call("admin").post("/v1/users", &staff).await.code(), 201);
}

#[tokio::test]
async fn every_fault_of_an_account_is_named_at_once() {
    let h = Harness::new().await;
    let bad = json!({
        "user_id": "a b", "kind": "robot", "email": "nobody", "timezone": "Mars/Olympus", "locale": "en_US",
        "username": "", "role": "admin", "status": "active", "metadata": [],
    });
    let refused = h.call("admin").post("/v1/users", &bad).await;
    assert_eq!(refused.code(), 422);
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "/email",
            "/kind",
            "/locale",
            "/metadata",
            "/role",
            "/status",
            "/timezone",
            "/user_id",
            "/username"
        ]
    );
}

#[tokio::test]
async fn two_counselors_see_their_own_clients_and_nobody_else_s() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    for (counselor, own, other) in [
        ("counselor", "client-a", "client-b"),
        ("counselor_other", "client-b", "client-a"),
    ] {
        let caller = h.call(counselor);
        assert_eq!(column(&caller.get("/v1/users").await, "user_id"), [json!(own)]);
        assert_eq!(
            caller.get(&format!("/v1/users?q={other}")).await.items(),
            Vec::<Value>::new()
        );
        assert_eq!(caller.get(&format!("/v1/users/{own}")).await.code(), 200);
        let (hidden, absent) = (
            caller.get(&format!("/v1/users/{other}")).await,
            caller.get("/v1/users/nobody").await,
        );
        assert_eq!((hidden.code(), absent.code()), (404, 404));
        assert_eq!(hidden.at("/detail"), absent.at("/detail"));
        assert_eq!(
            caller.get("/v1/users?kind=staff").await.items(),
            Vec::<Value>::new()
        );
    }
}

#[tokio::test]
async fn it_is_the_row_policies_that_keep_counselors_apart() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    let messages = h.messages("client-b", 1).await;
    h.run("alter table core.users disable row level security; alter table core.messages disable row level security")
        .await;
    let caller = h.call("counselor");
    assert_eq!(
        column(&caller.get("/v1/users").await, "user_id"),
        ["client-a"],
        "the list says itself whose caseload it is"
    );
    assert_eq!(caller.get("/v1/users/client-b").await.code(), 200);
    assert_eq!(caller.get("/v1/users/client-b/messages").await.items().len(), 1);
    assert_eq!(
        caller.get(&format!("/v1/messages/{}", messages[0])).await.code(),
        200
    );
}

#[tokio::test]
async fn staff_on_call_see_no_account_of_a_client_in_crisis() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.crisis("client-a", "oncall").await;
    assert_eq!(h.call("oncall").get("/v1/users/client-a").await.code(), 403);
    h.run("insert into core.staff_roles (user_id, role) values ('staff-oncall', 'counselor')")
        .await;
    let h_call = h.call("oncall");
    assert_eq!(
        h_call.get("/v1/users/client-a").await.code(),
        404,
        "a counselor, but not of this client"
    );
    assert_eq!(h_call.get("/v1/users").await.items(), Vec::<Value>::new());
}

#[tokio::test]
async fn admins_see_every_account_and_nothing_but_the_account() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.run("update core.users set last_active = now(), metadata = '{\"k\": 1}' where user_id = 'client-a'")
        .await;
    let admin = h.call("admin");
    let all = admin.get("/v1/users").await;
    assert_eq!(all.items().len(), 7);
    assert_eq!(
        column(&admin.get("/v1/users?kind=client").await, "user_id"),
        [json!("client-a")]
    );
    assert_eq!(
        admin.get("/v1/users?status=suspended").await.items(),
        Vec::<Value>::new()
    );
    let seen = admin.get("/v1/users/client-a").await;
    assert_eq!((seen.code(), seen.at("/username")), (200, &json!("client-a")));
    assert_eq!(
        (seen.at("/last_active"), seen.at("/metadata")),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(admin.get("/v1/users/staff-oncall").await.code(), 200);
    assert_eq!(admin.get("/v1/users/nobody").await.code(), 404);
    let own = h.call("client-a").get("/v1/users/client-a").await;
    assert_eq!(own.at("/metadata/k"), &json!(1));
}

#[tokio::test]
async fn a_client_and_the_app_read_one_client_only() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    assert_eq!(h.call("client-a").get("/v1/users/client-a").await.code(), 200);
    assert_eq!(h.call("client-a").get("/v1/users/client-b").await.code(), 404);
    assert_eq!(h.call("client-a").get("/v1/users").await.code(), 403);
    assert_eq!(h.call("app").get("/v1/users/client-b").await.code(), 200);
    assert_eq!(h.app_for("client-a").get("/v1/users/client-b").await.code(), 404);
    assert_eq!(
        h.call("app").get("/v1/users/staff-admin").await.code(),
        404,
        "an app acts for clients"
    );
}

#[tokio::test]
async fn a_search_takes_wildcards_for_what_they_are() {
    let h = Harness::new().await;
    for (id, name) in [
        ("u1", "100% sure"),
        ("u2", "100 percent"),
        ("u3", "under_score"),
        ("u4", "UNDERLINE"),
    ] {
        let account = json!({"user_id": id, "kind": "client", "display_name": name});
        assert_eq!(h.call("admin").post("/v1/users", &account).await.code(), 201);
    }
    let found = async |q: &str| column(&h.call("admin").get(&format!("/v1/users?q={q}")).await, "user_id");
    assert_eq!(found("100%25").await, ["u1"]);
    assert_eq!(found("under_").await, ["u3"]);
    assert_eq!(found("under").await, ["u3", "u4"]);
    assert_eq!(found("%25").await, Vec::<Value>::new());
    assert_eq!(found("'%20or%20true%20--").await, Vec::<Value>::new());
}

#[tokio::test]
async fn pages_follow_one_another_and_cursors_are_nobody_else_s() {
    let h = Harness::new().await;
    let admin = h.call("admin");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("/v1/users?limit=2{cursor}")).await;
        assert_eq!(page.code(), 200);
        seen.extend(column(&page, "user_id"));
        let Some(next) = page.at("/next_cursor").as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by_key(|id| id.as_str().unwrap().to_owned()));
    for (caller, query) in [
        ("counselor", "limit=2&cursor=AAAA"),
        ("admin", "limit=-1"),
        ("admin", "limit=1000000000"),
        ("admin", "sort=name"),
    ] {
        assert_eq!(
            h.call(caller).get(&format!("/v1/users?{query}")).await.code(),
            422,
            "{query}"
        );
    }
    assert_eq!(
        h.call("supervisor")
            .get(&format!("/v1/users?limit=2{cursor}"))
            .await
            .code(),
        422
    );
}
