//! What happens without a token of ours is on record too: sign-ins, programs that ask for tokens, operators' commands.

use serde_json::{Value, json};

use crate::harness::Harness;
use crate::sign_in::{PASSWORD, is_refused};

/// Of each row about the condition: who, what they are, action, decision, reason, people.
async fn rows(h: &Harness, what: &str) -> Vec<Value> {
    let found = h.audited(what).await;
    let fields = ["who", "actor_kind", "action", "decision", "reason", "people"];
    let told = |row: &Value| fields.map(|field| row[field].clone());
    found.iter().map(|row| json!(told(row))).collect()
}

const SIGN_INS: &str = "e.event_type = 'sign_in'";

#[tokio::test]
async fn sign_ins_and_refusals_of_an_account_are_rows_about_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    assert_eq!(h.login(&email, "not the password").await.code(), 401);
    let person = h.signed_in(&email).await;
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 200);
    let own = json!(["client-a"]);
    let (login, refresh) = ("POST /v1/auth/login", "POST /v1/auth/refresh");
    assert_eq!(
        rows(&h, SIGN_INS).await,
        [
            json!(["client-a", "client", login, "deny", "sign-in-failed", own]),
            json!(["client-a", "client", login, "allow", null, own]),
            json!(["client-a", "client", refresh, "allow", null, own]),
        ]
    );
    let log = person.caller.get("/v1/users/client-a/access-log").await;
    let told: Vec<Value> = log
        .items()
        .iter()
        .map(|row| json!([row["what"], row["why"], row["name"]]))
        .collect();
    assert_eq!(told[0], json!([refresh, "self", null]), "newest first");
    assert_eq!(told[1], json!([login, "self", null]));
}

#[tokio::test]
async fn an_address_that_nobody_has_leaves_nothing() {
    let h = Harness::new().await;
    assert_eq!(h.login("nobody@mail.example", PASSWORD).await.code(), 401);
    assert_eq!(h.audited("true").await, [] as [Value; 0]);
}

#[tokio::test]
async fn who_is_suspended_is_refused_on_record() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let person = h.signed_in(&email).await;
    h.run("update core.users set status = 'suspended' where user_id = 'client-a'")
        .await;
    assert_eq!(h.login(&email, PASSWORD).await.code(), 401);
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 401);
    let denied = rows(&h, "e.decision = 'deny'").await;
    let what = |action: &str| {
        json!([
            "client-a",
            "client",
            action,
            "deny",
            "sign-in-failed",
            ["client-a"]
        ])
    };
    assert_eq!(
        denied,
        [what("POST /v1/auth/login"), what("POST /v1/auth/refresh")]
    );
}

#[tokio::test]
async fn a_guess_that_is_not_looked_at_any_more_is_no_row() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let mut codes = Vec::new();
    for _ in 0..7 {
        codes.push(h.login(&email, "not the password").await.code());
    }
    let refused = codes.iter().filter(|code| **code == 401).count();
    assert!(codes.contains(&429), "{codes:?}");
    assert_eq!(rows(&h, SIGN_INS).await.len(), refused);
}

#[tokio::test]
async fn a_replayed_refresh_token_is_on_record_with_what_it_ended() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let person = h.signed_in(&email).await;
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 200);
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 401);
    is_refused(&person.caller).await;
    let replayed = rows(&h, "e.reason = 'replayed'").await;
    let row = json!([
        "client-a",
        "client",
        "POST /v1/auth/refresh",
        "deny",
        "replayed",
        ["client-a"]
    ]);
    assert_eq!(replayed, [row]);
    let together = "select count(*) from core.audit_events e, core.refresh_tokens r
        where e.reason = 'replayed' and e.at = r.revoked_at";
    assert!(h.database.count(together).await > 0, "in one transaction");
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_recorded_opens_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let secret = h.program("night-batch", "pipeline", &[]).await;
    let before = h.database.count("select count(*) from core.access_tokens").await;
    h.run("revoke execute on function core.write_audit(jsonb) from recoverly_core, recoverly_core_worker")
        .await;
    assert!(h.login(&email, PASSWORD).await.code() >= 500);
    assert!(h.grant("night-batch", &secret, "").await.code() >= 500);
    let unknown = h.login("nobody@mail.example", PASSWORD).await;
    let known = h.login(&email, "not the password").await;
    assert_eq!(
        (unknown.code(), known.code()),
        (401, 401),
        "and nobody learns who is here"
    );
    let after = h.database.count("select count(*) from core.access_tokens").await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn programs_are_on_record_by_name_and_whom_they_ask_about() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let secret = h.program("gate", "service", &[]).await;
    let token = h.token("gate", &secret, "").await;
    assert_eq!(h.grant("gate", "rcvs_wrong", "").await.code(), 401);
    assert_eq!(h.grant("nobody", "rcvs_wrong", "").await.code(), 401);
    let of_a = h.principals.token("client-a").to_owned();
    let asked = h
        .oauth("/oauth/introspect", ("gate", &secret), &format!("token={of_a}"))
        .await;
    assert_eq!(asked.at("/sub"), "client-a");
    let ended = h
        .oauth("/oauth/revoke", ("gate", &secret), &format!("token={token}"))
        .await;
    assert_eq!(ended.code(), 200);
    let found = h.audited("e.actor = 'gate'").await;
    let told: Vec<Value> = found
        .iter()
        .map(|row| json!([row["actor_kind"], row["action"], row["decision"], row["people"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["service", "POST /oauth/token", "allow", []]),
            json!(["service", "POST /oauth/token", "deny", []]),
            json!(["service", "POST /oauth/introspect", "allow", ["client-a"]]),
            json!(["service", "POST /oauth/revoke", "allow", []]),
        ]
    );
    assert_eq!(h.audited("e.actor = 'nobody'").await, [] as [Value; 0]);
}

#[tokio::test]
async fn operators_leave_a_row_for_each_command() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for line in [
        "user --id client-b --kind client",
        "program --id p1 --kind app --name P1",
        "token --user client-a",
        "revoke --user client-a",
        "unlock --user client-a",
        "forget-totp --user client-a",
        "export-erasures",
    ] {
        h.admin(line).await.unwrap();
    }
    h.may_sign_in("client-a").await;
    h.admin("erase --user client-b").await.unwrap();
    let found = h.audited("e.event_type = 'operator'").await;
    let told: Vec<Value> = found
        .iter()
        .map(|row| json!([row["action"], row["people"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["admin user", []]),
            json!(["admin program", []]),
            json!(["admin token", ["client-a"]]),
            json!(["admin revoke", ["client-a"]]),
            json!(["admin unlock", ["client-a"]]),
            json!(["admin forget-totp", ["client-a"]]),
            json!(["admin export-erasures", []]),
            json!(["admin password", ["client-a"]]),
            json!(["admin erase", []]),
        ],
        "who is gone is named by no row"
    );
    assert!(h.admin("token --user nobody").await.is_err());
    assert_eq!(
        h.audited("e.event_type = 'operator'").await.len(),
        told.len(),
        "nor what failed"
    );
}
