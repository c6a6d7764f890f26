//! Whose token it is, and tokens that are refused.

use std::time::Duration;

use clap::Parser;
use core_service::admin;
use serde_json::{Value, json};
use testkit::eventually;

use crate::harness::Harness;

#[tokio::test]
async fn every_token_may_ask_whose_it_is() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for (name, id, kind, roles) in [
        ("client-a", "client-a", "client", json!([])),
        ("counselor", "staff-counselor", "staff", json!(["counselor"])),
        ("admin", "staff-admin", "staff", json!(["admin"])),
        ("app", "program-app", "app", json!([])),
        ("pipeline", "program-pipeline", "pipeline", json!([])),
        ("service", "program-service", "service", json!([])),
    ] {
        let me = h.call(name).get("/v1/me").await;
        assert_eq!(me.code(), 200);
        assert_eq!(
            (me.at("/id"), me.at("/kind"), me.at("/roles")),
            (&json!(id), &json!(kind), &roles)
        );
        assert_eq!(me.at("/scopes"), &json!([]));
        assert!(me.at("/expires_at").is_string());
    }
}

#[tokio::test]
async fn staff_without_a_role_may_ask_whose_token_it_is_and_nothing_else() {
    let h = Harness::new().await;
    h.run("delete from core.staff_roles where user_id = 'staff-counselor'")
        .await;
    let me = h.call("counselor").get("/v1/me").await;
    assert_eq!((me.code(), me.at("/roles")), (200, &json!([])));
    assert_eq!(h.call("counselor").get("/v1/users").await.code(), 403);
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let h = Harness::new().await;
    let good = h.principals.token("admin").to_owned();
    h.run("update core.access_tokens set expires_at = now() - interval '1 second' where subject = 'staff-auditor';
           update core.access_tokens set revoked_at = now() where subject = 'staff-oncall';
           update core.users set status = 'suspended' where user_id = 'staff-supervisor'")
        .await;
    let truncated = &good[..good.len() - 1];
    let wrong_prefix = good.replacen("rcv_", "xyz_", 1);
    let mut answers = Vec::new();
    for token in [
        "rcv_unknown",
        truncated,
        &wrong_prefix,
        h.principals.token("auditor"),
        h.principals.token("oncall"),
        h.principals.token("supervisor"),
    ] {
        let refused = h.anonymous().with_token(token).get("/v1/me").await;
        assert_eq!(refused.code(), 401, "{token}");
        answers.push((refused.at("/type").clone(), refused.at("/detail").clone()));
    }
    let without = h.anonymous().get("/v1/me").await;
    answers.push((without.at("/type").clone(), without.at("/detail").clone()));
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_ne!(answers[0].1, Value::Null);
}

#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    command: admin::Command,
}

#[tokio::test]
async fn a_revoked_token_is_refused_although_it_was_remembered() {
    let h = Harness::new().await;
    let app = h.call("app");
    assert_eq!(app.get("/v1/me").await.code(), 200);
    let typed = Typed::parse_from(["test", "revoke", "--program", "program-app"]);
    let mut out = Vec::new();
    admin::run(
        &typed.command,
        &h.database.pools("core"),
        None,
        &mut std::io::empty(),
        &mut out,
    )
    .await
    .unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "1 revoked\n");
    h.refused_soon(&app).await;
}

/// The sessions that listen for revocations in the test's own database.
const LISTENERS: &str = "from pg_stat_activity where datname = current_database() and query like 'listen%'";

#[tokio::test]
async fn a_service_that_cannot_hear_of_revocations_remembers_nothing() {
    let h = Harness::new().await;
    let count = format!("select count(*) {LISTENERS}");
    eventually("the service listens", Duration::from_secs(5), async || {
        h.database.count(&count).await == 1
    })
    .await;
    let (app, pipeline) = (h.call("app"), h.call("pipeline"));
    assert_eq!(app.get("/v1/me").await.code(), 200);
    // Nobody but a superuser connects any more: the line that is cut stays cut.
    let database =
        "do $$ begin execute format('alter database %I connection limit 0', current_database()); end $$";
    h.run(&format!(
        "{database}; select pg_terminate_backend(pid) {LISTENERS}"
    ))
    .await;
    let revoke = |program: &str| {
        format!("update core.access_tokens set revoked_at = now() where client_id = '{program}'")
    };
    h.run(&revoke("program-app")).await;
    h.refused_soon(&app).await;
    assert_eq!(h.database.count(&count).await, 0);
    for _ in 0..2 {
        assert_eq!(pipeline.get("/v1/me").await.code(), 200);
    }
    h.run(&revoke("program-pipeline")).await;
    assert_eq!(
        pipeline.get("/v1/me").await.code(),
        401,
        "at once, without a word of it"
    );
}
