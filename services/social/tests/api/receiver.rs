//! Webhooks looked at with the official library of Standard Webhooks.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Webhook, workspace_root};

/// Whether the official library finds each of these signed by the secret.
pub(crate) async fn verified(secret: &str, received: &[&Webhook]) -> Vec<bool> {
    let list: Vec<Value> = received
        .iter()
        .map(|one| json!({"headers": one.headers, "body": one.body}))
        .collect();
    let root = workspace_root();
    let mut program = Command::new(root.join(".dev/venv/bin/python"));
    program
        .arg(root.join("services/social/tests/python/webhook_receiver.py"))
        .env("WEBHOOK_SECRET", secret)
        .env("RECEIVED", Value::from(list).to_string());
    let ran = tokio::task::spawn_blocking(move || program.output())
        .await
        .unwrap();
    let ran = ran.expect("the Python environment: run examples/setup.sh first");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}
