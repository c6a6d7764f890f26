//! What may be a password, and how it is changed.

use serde_json::json;

use crate::harness::{Harness, pointers};
use crate::sign_in::{PASSWORD, is_refused};

const NEW: &str = "a tin on the hill";

#[tokio::test]
async fn a_changed_password_ends_the_other_sign_ins() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let (here, there) = (h.signed_in(&email).await, h.signed_in(&email).await);
    let change = json!({"current": PASSWORD, "new": NEW});
    assert_eq!(here.caller.put("/v1/me/password", &change).await.code(), 204);
    is_refused(&there.caller).await;
    assert_eq!(h.refresh(&there.refresh_token).await.code(), 401);
    assert_eq!(here.caller.get("/v1/me").await.code(), 200);
    assert_eq!(h.refresh(&here.refresh_token).await.code(), 200);
    assert_eq!(h.login(&email, PASSWORD).await.code(), 401);
    assert_eq!(h.login(&email, NEW).await.code(), 200);
}

#[tokio::test]
async fn a_wrong_present_password_changes_nothing_and_is_counted() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let person = h.signed_in(&email).await;
    for _ in 0..5 {
        let wrong = json!({"current": "not the password", "new": NEW});
        let refused = person.caller.put("/v1/me/password", &wrong).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/current".to_owned()])
        );
    }
    let right = json!({"current": PASSWORD, "new": NEW});
    let blocked = person.caller.put("/v1/me/password", &right).await;
    assert_eq!(blocked.code(), 429);
    assert!(blocked.headers.contains_key("retry-after"));
    assert_eq!(
        h.login(&email, PASSWORD).await.code(),
        200,
        "signing in is counted apart"
    );
}

#[tokio::test]
async fn what_the_rules_do_not_allow_is_refused_in_words() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.may_sign_in("client-a").await;
    let person = h.signed_in("client-a@mail.example").await;
    let staff_email = h.may_sign_in("staff-counselor").await;
    let staff = h.signed_in(&staff_email).await;
    for (caller, new, word) in [
        (&person, "seven 7", "at least 8"),
        (&staff, "eleven here", "at least 12"),
        (&person, &"long ".repeat(52), "at most 256"),
        (&person, "Password1!", "tried first"),
        (&person, "my client-a 77", "must not hold"),
    ] {
        let change = json!({"current": PASSWORD, "new": new});
        let refused = caller.caller.put("/v1/me/password", &change).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/new".to_owned()])
        );
        let detail = refused.at("/errors/0/detail").as_str().unwrap();
        assert!(detail.contains(word) && !detail.contains(new), "{detail}");
    }
    let unread = json!({"current": PASSWORD, "next": NEW});
    let refused = person.caller.put("/v1/me/password", &unread).await;
    assert_eq!(pointers(&refused), ["/new", "/next"]);
    assert_eq!(h.login("client-a@mail.example", PASSWORD).await.code(), 200);
}

#[tokio::test]
async fn programs_have_no_password_and_nobody_changes_one_without_a_token() {
    let h = Harness::new().await;
    let change = json!({"current": PASSWORD, "new": NEW});
    for program in ["app", "pipeline", "service"] {
        let refused = h.call(program).put("/v1/me/password", &json!({})).await;
        assert_eq!(refused.code(), 403, "{program}");
    }
    assert_eq!(h.anonymous().put("/v1/me/password", &change).await.code(), 401);
    let without = h.call("oncall").put("/v1/me/password", &change).await;
    assert_eq!(
        (without.code(), pointers(&without)),
        (422, vec!["/current".to_owned()]),
        "who has none cannot show it"
    );
}

#[tokio::test]
async fn an_operator_gives_a_password_by_standard_input() {
    let h = Harness::new().await;
    let line = "user --id staff-first --kind staff --email first@mail.example --role admin";
    h.admin(line).await.unwrap();
    let set = async |user: &str, input: &str| h.admin_with(&format!("password --user {user}"), input).await;
    for (user, input, words) in [
        ("staff-first", "short\n", "at least 12"),
        ("staff-first", "\n", "at least 12"),
        ("staff-first", "password12345\n", "tried first"),
        ("nobody", "a pin by the sea\n", "there is no account nobody"),
        ("staff-oncall", "a pin by the sea\n", "no e-mail address"),
    ] {
        let refused = set(user, input).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    set("staff-first", "a pin by the sea\r\n").await.unwrap();
    let person = h.signed_in("first@mail.example").await;
    assert_eq!(person.caller.get("/v1/me").await.at("/roles"), &json!(["admin"]));
    set("staff-first", NEW).await.unwrap();
    is_refused(&person.caller).await;
    assert_eq!(h.login("first@mail.example", NEW).await.code(), 200);
}
