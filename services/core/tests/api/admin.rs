//! The operator's commands, as they are typed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::Parser;
use core_service::admin;
use serde_json::{Value, json};
use service::Settings;
use uuid::Uuid;

use crate::harness::Harness;

#[derive(Parser)]
struct Typed {
    #[command(subcommand)]
    command: admin::Command,
}

impl Harness {
    /// Types a command; what it prints, or why it failed.
    pub(crate) async fn admin(&self, line: &str) -> Result<String, String> {
        self.admin_with(line, "").await
    }

    pub(crate) async fn admin_with(&self, line: &str, input: &str) -> Result<String, String> {
        let words = std::iter::once("test").chain(line.split_whitespace());
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        let (db, mut out) = (self.database.pools("core"), Vec::new());
        let key =
            web::ErasureKey::new(&Settings::for_testing("core", "x".into(), "x".into()).erasure_key).unwrap();
        let ran = admin::run(&typed.command, &db, Some(&key), &mut input.as_bytes(), &mut out).await;
        ran.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }
}

/// A file of its own, removed with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("recoverly-{}", Uuid::now_v7())))
    }

    fn file(&self) -> PathBuf {
        self.0.join("credentials.json")
    }

    fn sign_ins(&self) -> PathBuf {
        self.0.join("sign-ins.json")
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test]
async fn an_account_by_command_is_an_account_like_any_other() {
    let h = Harness::new().await;
    let line = "user --id staff-new --kind staff --username new --role counselor --role oncall";
    assert_eq!(h.admin(line).await.unwrap(), "staff account staff-new is made\n");
    assert_eq!(
        h.admin(line).await.unwrap(),
        "staff account staff-new is up to date\n"
    );
    assert_eq!(h.events("core.user.created").await.len(), 1);
    h.admin("user --id staff-new --kind staff --display-name N --role admin")
        .await
        .unwrap();
    let token = h.admin("token --user staff-new").await.unwrap();
    let caller = h.anonymous().with_token(token.trim());
    assert_eq!(caller.get("/v1/me").await.at("/roles"), &json!(["admin"]));
    let seen = caller.get("/v1/users/staff-new").await;
    assert_eq!(
        (seen.at("/username"), seen.at("/display_name")),
        (&json!("new"), &json!("N"))
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words_and_leaves_nothing() {
    let h = Harness::new().await;
    for (line, words) in [
        (
            "user --id client-x --kind client --role admin",
            "roles are for staff",
        ),
        ("user --id staff-admin --kind client", "is a staff account"),
        (
            "user --id client-x --kind client --username admin",
            "another account has this username",
        ),
        ("user --id a/b --kind client", "an id is"),
        (
            "program --id program-app --kind pipeline --name x",
            "is of another kind",
        ),
        ("token --user nobody", "there is no account nobody"),
        ("token --program nobody", "there is no program nobody"),
        ("token --user staff-admin --ttl-days 91", "91 is not in 1..=90"),
        (
            "token --program program-app --scope messages:eat",
            "it is the scope of no route",
        ),
        (
            "program --id x --kind app --name x --scope everything",
            "it is the scope of no route",
        ),
        (
            "token --user staff-admin --program program-app",
            "cannot be used with",
        ),
        ("token", "required"),
    ] {
        let refused = h.admin(line).await.unwrap_err();
        assert!(refused.contains(words), "{line}: {refused}");
    }
    assert_eq!(h.database.count("select count(*) from core.users").await, 6);
    assert_eq!(h.events("core.user.created").await.len(), 0);
}

#[tokio::test]
async fn a_token_is_shown_once_and_stored_as_a_hash() {
    let h = Harness::new().await;
    h.admin("program --id new-pipeline --kind pipeline --name New")
        .await
        .unwrap();
    let shown = h
        .admin("token --program new-pipeline --ttl-days 1 --json")
        .await
        .unwrap();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let token = shown["token"].as_str().expect("a token");
    assert!(token.starts_with("rcv_") && token.len() == 47);
    assert_eq!(shown["client_id"], "new-pipeline");
    let found =
        format!("select count(*) from core.access_tokens where token_hash = sha256('{token}'::bytea)");
    assert_eq!(h.database.count(&found).await, 1);
    let me = h.anonymous().with_token(token).get("/v1/me").await;
    assert_eq!(
        (me.at("/id"), me.at("/kind")),
        (&json!("new-pipeline"), &json!("pipeline"))
    );
    assert_eq!(
        h.admin_with("revoke --token-stdin", &format!("{token}\n"))
            .await
            .unwrap(),
        "1 revoked\n"
    );
    assert_eq!(
        h.admin_with("revoke --token-stdin", &format!("{token}\n"))
            .await
            .unwrap(),
        "0 revoked\n"
    );
    assert_eq!(h.admin("revoke --user staff-admin").await.unwrap(), "1 revoked\n");
}

#[tokio::test]
async fn a_token_by_command_can_be_limited_as_any_other() {
    let h = Harness::new().await;
    let token = h
        .admin("token --user staff-admin --scope users:read --scope caseload:write")
        .await
        .unwrap();
    let caller = h.anonymous().with_token(token.trim());
    assert_eq!(caller.get("/v1/users").await.code(), 200);
    let refused = caller.get("/v1/caseload").await;
    assert_eq!(
        (refused.code(), refused.at("/detail")),
        (403, &json!("This token lacks the scope caseload:read."))
    );
    h.admin("program --id program-app --kind app --name App --scope users:read")
        .await
        .unwrap();
    h.admin("program --id program-app --kind app --name Renamed")
        .await
        .unwrap();
    let too_much = h
        .admin("token --program program-app --scope users:write")
        .await
        .unwrap_err();
    assert_eq!(too_much, "program program-app has no such scope");
    let within = h.admin("token --program program-app").await.unwrap();
    let me = h.anonymous().with_token(within.trim()).get("/v1/me").await;
    assert_eq!(me.at("/scopes"), &json!(["users:read"]));
    let listed = h.call("admin").get("/v1/api-clients?limit=1").await;
    assert_eq!(
        (listed.at("/items/0/name"), listed.at("/items/0/scopes")),
        (&json!("Renamed"), &json!(["users:read"]))
    );
}

#[tokio::test]
async fn demo_credentials_are_one_of_each_kind_in_a_file_for_its_owner() {
    let h = Harness::new().await;
    let scratch = Scratch::new();
    let line = format!("demo-credentials --file {}", scratch.file().display());
    // The tests' own staff hold none of the demo's names.
    h.run("delete from core.users").await;
    h.admin(&line).await.unwrap();
    let mode = fs::metadata(scratch.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let credentials = scratch.read();
    let me = async |name: &str| {
        let token = credentials[name]["token"].as_str().expect("a token");
        h.anonymous().with_token(token).get("/v1/me").await
    };
    for (name, field, id, role) in [
        ("admin", "user_id", "staff-admin", Some("admin")),
        ("supervisor", "user_id", "staff-supervisor", Some("supervisor")),
        ("counselor", "user_id", "staff-counselor", Some("counselor")),
        (
            "counselor_other",
            "user_id",
            "staff-counselor-other",
            Some("counselor"),
        ),
        ("oncall", "user_id", "staff-oncall", Some("oncall")),
        ("auditor", "user_id", "staff-auditor", Some("auditor")),
        ("app", "client_id", "companion-app", None),
        ("pipeline", "client_id", "vader-pipeline", None),
        ("client", "user_id", "client-001", None),
    ] {
        assert_eq!(credentials[name][field], id);
        let me = me(name).await;
        assert_eq!(
            (me.at("/id"), me.at("/roles/0").as_str()),
            (&json!(id), role),
            "{name}"
        );
    }
    assert_eq!(credentials.as_object().unwrap().len(), 9);
    assert_eq!(h.events("core.user.created").await.len(), 7);
}

#[tokio::test]
async fn a_second_run_keeps_the_tokens_that_still_work() {
    let h = Harness::new().await;
    let scratch = Scratch::new();
    let line = format!("demo-credentials --file {}", scratch.file().display());
    h.run("delete from core.users").await;
    h.admin(&line).await.unwrap();
    let first = scratch.read();
    h.admin(&line).await.unwrap();
    assert_eq!(scratch.read(), first);
    h.admin("revoke --program vader-pipeline").await.unwrap();
    fs::set_permissions(scratch.file(), fs::Permissions::from_mode(0o644)).unwrap();
    h.admin(&line).await.unwrap();
    let second = scratch.read();
    assert_ne!(second["pipeline"], first["pipeline"]);
    assert_eq!(
        (&second["admin"], &second["client"]),
        (&first["admin"], &first["client"])
    );
    let mode = fs::metadata(scratch.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(scratch.file(), "not json").unwrap();
    h.admin(&line).await.unwrap();
    assert_eq!(scratch.read().as_object().unwrap().len(), 9);
    assert_eq!(h.events("core.user.created").await.len(), 7);
}

#[tokio::test]
async fn the_demo_s_people_sign_in_by_the_file_beside_and_keep_what_works() {
    let h = Harness::new().await;
    let scratch = Scratch::new();
    let line = format!("demo-credentials --file {}", scratch.file().display());
    h.run("delete from core.users").await;
    h.admin(&line).await.unwrap();
    let read = || -> Value { serde_json::from_slice(&fs::read(scratch.sign_ins()).unwrap()).unwrap() };
    let mode = fs::metadata(scratch.sign_ins()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = read();
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "admin",
            "auditor",
            "client",
            "counselor",
            "counselor_other",
            "oncall",
            "supervisor"
        ]
    );
    for (name, user_id) in [
        ("client", "client-001"),
        ("counselor_other", "staff-counselor-other"),
    ] {
        let entry = &first[name];
        assert_eq!(entry["user_id"], user_id);
        assert_eq!(entry["email"], format!("{user_id}@demo.example"));
        let password = entry["password"].as_str().unwrap();
        let person = h.tokens(&h.login(entry["email"].as_str().unwrap(), password).await);
        assert_eq!(person.caller.get("/v1/me").await.at("/id"), user_id);
    }
    h.admin(&line).await.unwrap();
    assert_eq!(read(), first);
    h.admin_with("password --user staff-oncall", "a pin by the sea\n")
        .await
        .unwrap();
    h.admin(&line).await.unwrap();
    let second = read();
    assert_ne!(second["oncall"]["password"], first["oncall"]["password"]);
    assert_eq!(second["admin"], first["admin"]);
}

#[tokio::test]
async fn an_address_by_command_is_one_and_nobody_else_s() {
    let h = Harness::new().await;
    h.admin("user --id staff-a --kind staff --email a@mail.example")
        .await
        .unwrap();
    h.admin("user --id staff-b --kind staff").await.unwrap();
    for (line, words) in [
        (
            "user --id staff-b --kind staff --email A@mail.example",
            "another account has this email",
        ),
        (
            "user --id staff-c --kind staff --email a@mail.example",
            "another account has this email",
        ),
        (
            "user --id staff-b --kind staff --email nobody",
            "no e-mail address",
        ),
    ] {
        let refused = h.admin(line).await.unwrap_err();
        assert!(refused.contains(words), "{line}: {refused}");
    }
}

#[tokio::test]
async fn an_account_is_erased_by_command() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let done = h.admin("erase --user client-a").await.unwrap();
    assert!(done.starts_with("account client-a is erased, "), "{done}");
    let again = h.admin("erase --user client-a").await.unwrap_err();
    assert_eq!(again, "there is no account client-a");
    let by = "select count(*) from core.erasures where requested_by = 'operator' and staff_id is null";
    assert_eq!(h.database.count(by).await, 1);
    assert_eq!(h.call("app").get("/v1/users/client-a").await.code(), 410);
    assert_eq!(h.events("core.user.erased").await.len(), 1);
}

#[tokio::test]
async fn whom_a_restore_brings_back_is_erased_again_by_the_export_that_was_kept_with_the_backup() {
    let mut h = Harness::new().await;
    for id in ["client-a", "client-b", "client-c", "client-d"] {
        h.client(id, &[]).await;
    }
    for id in ["client-a", "client-b", "client-c"] {
        h.admin(&format!("erase --user {id}")).await.unwrap();
    }
    let export = h.admin("export-erasures").await.unwrap();
    assert_eq!(export.lines().count(), 3);
    assert!(!export.contains("client-"), "{export}");
    // An older backup: it has two of the three people and knows of no erasure. The third came back by themself, later.
    h.run(
        "truncate core.erasures;
         insert into core.users (user_id, created_at) values ('client-a', now() - interval '1 year'),
            ('client-b', now() - interval '1 year'), ('client-c', now() + interval '1 minute')",
    )
    .await;
    assert_eq!(
        h.admin("replay-erasures").await.unwrap(),
        "0 accounts erased again\n"
    );
    let replayed = h.admin_with("replay-erasures --stdin", &export).await.unwrap();
    assert_eq!(
        replayed,
        "3 erasures recorded that were not known here\n2 accounts erased again\n"
    );
    let left = "select count(*) from core.users where user_id in ('client-a', 'client-b')";
    assert_eq!(h.database.count(left).await, 0);
    let stay = "select count(*) from core.users where user_id in ('client-c', 'client-d')";
    assert_eq!(h.database.count(stay).await, 2);
    let again = h.admin_with("replay-erasures --stdin", &export).await.unwrap();
    assert_eq!(
        again,
        "0 erasures recorded that were not known here\n0 accounts erased again\n"
    );
    assert_eq!(h.call("app").get("/v1/users/client-a").await.code(), 410);
}

#[tokio::test]
async fn lines_that_are_no_erasures_are_refused_by_their_number() {
    let h = Harness::new().await;
    let good = format!(
        "{{\"user_id_hmac\": \"{}\", \"requested_at\": \"2026-01-01T00:00:00Z\"}}\n",
        "ab".repeat(32)
    );
    for bad in [
        "client-a",
        "{}",
        "{\"user_id_hmac\": \"abcd\", \"requested_at\": \"2026-01-01T00:00:00Z\"}",
    ] {
        let refused = h
            .admin_with("replay-erasures --stdin", &format!("{good}{bad}\n"))
            .await
            .unwrap_err();
        assert_eq!(refused, "line 2 is no line of export-erasures");
    }
    assert_eq!(h.database.count("select count(*) from core.erasures").await, 0);
}
