//! What the companion needs to know of a client, in one answer.

use serde_json::{Value, json};

use crate::harness::Harness;

const OF_A: &str = "/v1/users/client-a/context";

impl Harness {
    /// A client with two preferences and three sessions.
    async fn with_context() -> Self {
        let h = Self::with_client("client-a").await;
        h.run(
            "update core.users set external_id = 'ext-7', notes = 'calls on mondays' where user_id = 'client-a';
             insert into core.stated_preferences (user_id, kind, category, value) values
                 ('client-a', 'like', 'food', 'soup'), ('client-a', 'dislike', 'place', 'bars');
             insert into core.interaction_sessions (id, session_key, employee_id, client_id, metadata, created_at)
             select gen_random_uuid(), 's-' || n, 'staff-counselor', 'client-a', '{\"room\": 7}', now() - n * interval '1 day'
             from generate_series(1, 3) as n",
        )
        .await;
        h
    }
}

fn of_all(context: &Value, list: &str, field: &str) -> Vec<Value> {
    let items = context[list].as_array().unwrap();
    items.iter().map(|item| item[field].clone()).collect()
}

#[tokio::test]
async fn profile_preferences_and_sessions_come_together() {
    let h = Harness::with_context().await;
    let found = h.call("counselor").get(&format!("{OF_A}?sessions_limit=2")).await;
    assert_eq!(found.code(), 200, "{}", found.json);
    let profile = found.at("/profile");
    for (field, value) in [
        ("id", json!("client-a")),
        ("external_id", json!("ext-7")),
        ("display_name", json!("client-a")),
        ("notes", json!("calls on mondays")),
        ("consent_for_biometrics", json!(false)),
    ] {
        assert_eq!(profile[field], value, "{field}");
    }
    assert!(profile["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(profile["updated_at"].is_string());
    assert_eq!(of_all(&found.json, "preferences", "value"), ["bars", "soup"]);
    assert_eq!(of_all(&found.json, "preferences", "kind"), ["dislike", "like"]);
    assert_eq!(
        of_all(&found.json, "recent_sessions", "session_key"),
        ["s-1", "s-2"]
    );
    assert_eq!(found.at("/recent_sessions/0/employee_id"), "staff-counselor");
    assert_eq!(found.at("/recent_sessions/0/metadata/room"), 7);
    assert!(
        found
            .at("/recent_sessions/0/created_at")
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    let of_the_seed = h
        .call("counselor")
        .get("/customers/client-a/context?sessions_limit=2")
        .await;
    assert_eq!(of_the_seed.bytes, found.bytes);
}

#[tokio::test]
async fn a_client_of_whom_nothing_is_known_has_empty_lists() {
    let h = Harness::with_client("client-a").await;
    let found = h.call("client-a").get(OF_A).await;
    assert_eq!(
        (found.at("/preferences"), found.at("/recent_sessions")),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn the_consent_is_the_one_that_holds_now() {
    let h = Harness::with_client("client-a").await;
    let path = "/v1/users/client-a/consents";
    let given = h
        .call("client-a")
        .post(path, &json!({"purpose": "biometrics"}))
        .await;
    assert_eq!(
        h.call("client-a")
            .get(OF_A)
            .await
            .at("/profile/consent_for_biometrics"),
        true
    );
    h.call("client-a")
        .delete(&format!("/v1/consents/{}", given.at("/consent_id")))
        .await;
    assert_eq!(
        h.call("client-a")
            .get(OF_A)
            .await
            .at("/profile/consent_for_biometrics"),
        false
    );
}

#[tokio::test]
async fn notes_of_staff_are_for_staff() {
    let h = Harness::with_context().await;
    for caller in [h.call("client-a"), h.call("app"), h.app_for("client-a")] {
        let found = caller.get(OF_A).await;
        assert_eq!((found.code(), found.at("/profile/notes")), (200, &Value::Null));
        assert_eq!(found.at("/profile/external_id"), "ext-7");
    }
}

#[tokio::test]
async fn it_is_for_who_cares_for_the_client_and_not_for_who_helps_in_a_crisis() {
    let mut h = Harness::with_context().await;
    h.client("client-b", &[]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    for (caller, code) in [
        (h.call("client-b"), 404),
        (h.app_for("client-b"), 404),
        (h.call("counselor_other"), 404),
        (h.call("supervisor"), 404),
        (h.call("oncall"), 403),
        (h.call("admin"), 403),
        (h.call("pipeline"), 403),
    ] {
        assert_eq!(caller.get(OF_A).await.code(), code);
    }
    assert_eq!(
        h.call("counselor")
            .get("/v1/users/staff-counselor/context")
            .await
            .code(),
        404
    );
    for bad in ["0", "101", "x", "-1"] {
        assert_eq!(
            h.call("counselor")
                .get(&format!("{OF_A}?sessions_limit={bad}"))
                .await
                .code(),
            422,
            "{bad}"
        );
    }
}
