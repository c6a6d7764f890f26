//! Changing accounts: who may change which field, and what the others are told.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, comes_to_answer, pointers};
use crate::sign_in::PASSWORD;

async fn patch(caller: &Client, user_id: &str, body: &Value) -> Answer {
    let path = format!("/v1/users/{user_id}");
    caller
        .send(Method::PATCH, &path, Some(body.to_string().into_bytes()))
        .await
}

/// What stands in a field of an account.
async fn stored(h: &Harness, user_id: &str, field: &str) -> Value {
    let sql = format!("select to_jsonb(u.{field}) as field from core.users u where u.user_id = '{user_id}'");
    let rows = h.database.query(&sql).await;
    rows[0].get::<_, Option<Value>>("field").unwrap_or_default()
}

#[tokio::test]
async fn a_change_is_stored_and_the_others_are_told_which_fields_and_not_to_what() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let body =
        json!({"full_name": "A. B.", "phone": "+43 1", "timezone": "Europe/Vienna", "username": "client-a"});
    let changed = patch(&h.call("client-a"), "client-a", &body).await;
    assert_eq!(changed.code(), 200);
    assert_eq!(changed.at("/changed"), &json!(["full_name", "phone", "timezone"]));
    assert_eq!(
        changed.at("/full_name"),
        &Value::Null,
        "what was sent is not sent back"
    );
    assert_eq!(stored(&h, "client-a", "full_name").await, json!("A. B."));
    let told = h.events("core.user.updated").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["user_id"], json!("client-a"));
    assert_eq!(told[0]["changed"], json!(["full_name", "phone", "timezone"]));
    assert_eq!(told[0].as_object().map(serde_json::Map::len), Some(3));
    let read = h.call("client-a").get("/v1/users/client-a").await;
    assert_eq!(read.at("/updated_at"), changed.at("/updated_at"));
}

#[tokio::test]
async fn what_is_absent_stays_and_null_clears() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let app = h.call("app");
    let all = json!({
        "email": "a@mail.example", "full_name": "A", "phone": "1", "locale": "de-AT", "metadata": {"k": 1},
    });
    assert_eq!(patch(&app, "client-a", &all).await.code(), 200);
    assert_eq!(
        patch(&app, "client-a", &json!({"phone": null, "metadata": null}))
            .await
            .code(),
        200
    );
    assert_eq!(stored(&h, "client-a", "phone").await, Value::Null);
    assert_eq!(stored(&h, "client-a", "metadata").await, Value::Null);
    assert_eq!(stored(&h, "client-a", "email").await, json!("a@mail.example"));
    assert_eq!(stored(&h, "client-a", "locale").await, json!("de-AT"));
}

#[tokio::test]
async fn a_change_of_nothing_is_told_to_nobody() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let before = stored(&h, "client-a", "updated_at").await;
    for (caller, body) in [
        ("client-a", json!({})),
        (
            "client-a",
            json!({"username": "client-a", "phone": null, "timezone": "UTC"}),
        ),
        ("admin", json!({"status": "active"})),
        ("counselor", json!({"display_name": "client-a", "metadata": null})),
    ] {
        let same = patch(&h.call(caller), "client-a", &body).await;
        assert_eq!((same.code(), same.at("/changed")), (200, &json!([])), "{caller}");
    }
    assert_eq!(stored(&h, "client-a", "updated_at").await, before);
    assert_eq!(h.events("core.user.updated").await.len(), 0);
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_that_says_which() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let own = json!({"email": "a@mail.example", "external_id": "x1", "clerk_user_id": "user_1"});
    assert_eq!(patch(&h.call("admin"), "client-a", &own).await.code(), 200);
    for (field, value) in [
        ("username", "client-a"),
        ("email", "A@mail.example"),
        ("external_id", "x1"),
        ("clerk_user_id", "user_1"),
    ] {
        let refused = patch(&h.call("admin"), "client-b", &json!({field: value, "phone": "2"})).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (409, &json!("/problems/taken"))
        );
        assert_eq!(pointers(&refused), [format!("/{field}")]);
    }
    assert_eq!(stored(&h, "client-b", "phone").await, Value::Null);
    assert_eq!(h.events("core.user.updated").await.len(), 1);
}

#[tokio::test]
async fn a_client_asks_for_ten_names_a_day_and_free_ones_count_too() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let client = h.call("client-a");
    for number in 0..10 {
        let (name, code) = match number % 2 {
            0 => ("client-b".to_owned(), 409),
            _ => (format!("name-{number}"), 200),
        };
        let asked = patch(&client, "client-a", &json!({"username": name})).await;
        assert_eq!(asked.code(), code, "{number}: none but the eleventh waits");
    }
    let refused = patch(&client, "client-a", &json!({"username": "another"})).await;
    assert_eq!(refused.code(), 429);
    let detail = refused.at("/detail").as_str().unwrap();
    assert!(detail.starts_with("Ten other names"), "{detail}");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((86_000..=86_400).contains(&wait), "{wait}");
    assert_eq!(stored(&h, "client-a", "username").await, json!("name-9"));
    let other = patch(&client, "client-a", &json!({"phone": "1"})).await;
    assert_eq!(other.code(), 200, "all else can be changed");
    let form = json!({"username": "name-9", "phone": "2"});
    assert_eq!(
        patch(&client, "client-a", &form).await.code(),
        200,
        "as does the name that is theirs"
    );
    let by_app = patch(&h.app_for("client-a"), "client-a", &json!({"username": "new"})).await;
    assert_eq!(
        by_app.code(),
        200,
        "and the app, which knows its clients, by nobody's count"
    );
    h.run(
        "update core.sign_in_failures set updated_at = updated_at - interval '1 day', blocked_until = now()",
    )
    .await;
    let next_day = patch(&client, "client-a", &json!({"username": "another"})).await;
    assert_eq!(next_day.code(), 200);
}

#[tokio::test]
async fn a_change_that_is_sent_again_asks_for_no_other_name() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a").with_header("idempotency-key", "k1");
    for _ in 0..12 {
        let same = patch(&client, "client-a", &json!({"username": "another"})).await;
        assert_eq!(same.code(), 200);
    }
    let names = "select failed_attempts::bigint from core.sign_in_failures where user_id = 'client-a'";
    assert_eq!(h.database.count(names).await, 1);
}

#[tokio::test]
async fn names_stay_counted_under_a_new_password_and_an_operator_lifts_the_count() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    assert_eq!(
        patch(&client, "client-a", &json!({"username": "another"}))
            .await
            .code(),
        200
    );
    h.may_sign_in("client-a").await;
    let person = h.signed_in("client-a@mail.example").await;
    let change = json!({"current": PASSWORD, "new": "a tin on the hill"});
    assert_eq!(person.caller.put("/v1/me/password", &change).await.code(), 204);
    let names = "select count(*) from core.sign_in_failures where user_id = 'client-a'";
    assert_eq!(h.database.count(names).await, 1);
    h.admin("unlock --user client-a").await.unwrap();
    assert_eq!(h.database.count(names).await, 0);
}

#[tokio::test]
async fn nobody_changes_a_field_that_is_not_theirs() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for (caller, body, refused) in [
        (
            "client-a",
            json!({"status": "suspended", "phone": "1"}),
            vec!["/status"],
        ),
        (
            "client-a",
            json!({"external_id": "x", "clerk_user_id": "u", "metadata": {}}),
            vec!["/external_id", "/clerk_user_id", "/metadata"],
        ),
        // With the address, a forgotten password is set anew: a token that leaked must not reach that far.
        (
            "client-a",
            json!({"email": "x@mail.example", "phone": "1"}),
            vec!["/email"],
        ),
        ("app", json!({"status": "active"}), vec!["/status"]),
        (
            "counselor",
            json!({"status": "suspended", "email": "x@mail.example", "display_name": "A."}),
            vec!["/email", "/status"],
        ),
        ("admin", json!({"metadata": {"k": 1}}), vec!["/metadata"]),
    ] {
        let answer = patch(&h.call(caller), "client-a", &body).await;
        assert_eq!(answer.code(), 422, "{caller}");
        assert_eq!(pointers(&answer), refused, "{caller}");
    }
    assert_eq!(stored(&h, "client-a", "phone").await, Value::Null);
    assert_eq!(stored(&h, "client-a", "status").await, json!("active"));
    assert_eq!(h.events("core.user.updated").await.len(), 0);
}

#[tokio::test]
async fn every_fault_of_a_change_is_named_at_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let bad = json!({
        "email": "nobody", "timezone": null, "status": null, "locale": "en_US", "username": "", "phone": 7,
        "role": "admin", "kind": "staff", "user_id": "x",
    });
    let refused = patch(&h.call("client-a"), "client-a", &bad).await;
    assert_eq!(refused.code(), 422);
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "/email",
            "/kind",
            "/locale",
            "/phone",
            "/role",
            "/status",
            "/timezone",
            "/user_id",
            "/username"
        ]
    );
    let large = json!({"metadata": {"k": "x".repeat(17_000)}});
    assert_eq!(patch(&h.call("app"), "client-a", &large).await.code(), 413);
}

#[tokio::test]
async fn who_does_not_see_an_account_does_not_change_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &[]).await;
    h.crisis("client-a", "oncall").await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-oncall', 'counselor')")
        .await;
    let body = json!({"display_name": "X"});
    for (caller, user_id) in [
        ("client-b", "client-a"),
        ("counselor_other", "client-a"),
        ("supervisor", "client-a"),
        ("oncall", "client-a"),
        ("counselor", "staff-counselor"),
        ("app", "staff-counselor"),
        ("admin", "nobody"),
    ] {
        let refused = patch(&h.call(caller), user_id, &body).await;
        assert_eq!(refused.code(), 404, "{caller} {user_id}");
    }
    assert_eq!(patch(&h.app_for("client-b"), "client-a", &body).await.code(), 404);
    for caller in ["pipeline", "service", "auditor"] {
        assert_eq!(
            patch(&h.call(caller), "client-a", &body).await.code(),
            403,
            "{caller}"
        );
    }
    assert_eq!(patch(&h.anonymous(), "client-a", &body).await.code(), 401);
    assert_eq!(stored(&h, "client-a", "display_name").await, json!("client-a"));
}

#[tokio::test]
async fn a_suspended_account_is_refused_at_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let (admin, client) = (h.call("admin"), h.call("client-a"));
    assert_eq!(client.get("/v1/me").await.code(), 200);
    assert_eq!(
        patch(&admin, "client-a", &json!({"status": "suspended"}))
            .await
            .code(),
        200
    );
    comes_to_answer(&client, "/v1/me", 401).await;
    assert_eq!(
        patch(&admin, "client-a", &json!({"status": "active"}))
            .await
            .code(),
        200
    );
    // Open again, the account is to be signed in to anew.
    assert_eq!(client.get("/v1/me").await.code(), 401);
}

#[tokio::test]
async fn an_admin_who_also_cares_may_change_what_both_may_and_only_for_the_own_clients() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &[]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor', 'admin')")
        .await;
    let both = h.call("counselor");
    let body = json!({"metadata": {"k": 1}, "external_id": "x1"});
    assert_eq!(patch(&both, "client-a", &body).await.code(), 200);
    let other = patch(&both, "client-b", &body).await;
    assert_eq!(
        (other.code(), pointers(&other)),
        (422, vec!["/metadata".to_owned()])
    );
}

#[tokio::test]
async fn the_last_active_admin_is_not_suspended() {
    let h = Harness::new().await;
    let admin = h.call("admin");
    let suspend = json!({"status": "suspended"});
    let refused = patch(&admin, "staff-admin", &suspend).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    assert_eq!(stored(&h, "staff-admin", "status").await, json!("active"));
    assert_eq!(h.events("core.user.updated").await.len(), 0);
    h.run("insert into core.staff_roles (user_id, role) values ('staff-auditor', 'admin')")
        .await;
    assert_eq!(patch(&admin, "staff-auditor", &suspend).await.code(), 200);
    assert_eq!(
        patch(&admin, "staff-admin", &suspend).await.code(),
        409,
        "the other one is suspended"
    );
}

#[tokio::test]
async fn of_two_admins_who_suspend_each_other_at_once_one_stays() {
    let h = Harness::new().await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-auditor', 'admin')")
        .await;
    let (one, other, suspend) = (h.call("admin"), h.call("auditor"), json!({"status": "suspended"}));
    let (first, second) = tokio::join!(
        patch(&one, "staff-auditor", &suspend),
        patch(&other, "staff-admin", &suspend)
    );
    let mut codes = [first.code(), second.code()];
    codes.sort_unstable();
    assert!(codes == [200, 409] || codes == [200, 401], "{codes:?}");
    let active = "select count(*) from core.staff_roles r join core.users u using (user_id)
        where r.role = 'admin' and u.status = 'active'";
    assert_eq!(h.database.count(active).await, 1);
}

#[tokio::test]
async fn a_repeated_change_under_a_key_is_one_change() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let caller = h.call("client-a").with_header("idempotency-key", "k1");
    let body = json!({"phone": "1"});
    let first = patch(&caller, "client-a", &body).await;
    let again = patch(&caller, "client-a", &body).await;
    assert_eq!((again.code(), &again.bytes), (200, &first.bytes));
    assert_eq!(h.events("core.user.updated").await.len(), 1);
}

#[tokio::test]
async fn what_was_mailed_to_the_address_before_is_of_no_use_after() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for caller in ["admin", "app"] {
        h.run(&format!(
            "insert into core.password_resets (token_hash, user_id, expires_at)
               values (sha256('{caller}'), 'client-a', now() + interval '10 minutes')"
        ))
        .await;
        let body = json!({"email": format!("{caller}@mail.example")});
        assert_eq!(patch(&h.call(caller), "client-a", &body).await.code(), 200);
        let usable = "select count(*) from core.password_resets where used_at is null and expires_at > now()";
        assert_eq!(h.database.count(usable).await, 0, "{caller}");
    }
}
