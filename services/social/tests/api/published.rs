//! What leaves over RabbitMQ, read by a consumer that shares no code with us: `pika` and the official `cloudevents`
//! package.

use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde_json::json;
use testkit::{TestBus, eventually, workspace_root};

use crate::harness::{Harness, calm, scores};

/// Everything that one crisis and one answered nudge publish.
async fn a_day(h: &mut Harness) {
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    let crisis = h.writes("client-a", &scores(0.9, 0.2)).await;
    let id = crisis.at("/escalation_id").as_i64().unwrap();
    h.writes("client-b", &calm()).await;
    h.call("oncall")
        .post(&format!("/v1/escalations/{id}/acknowledge"), &json!({}))
        .await;
    h.call("oncall")
        .post(
            &format!("/v1/escalations/{id}/resolve"),
            &json!({"outcome": "spoke"}),
        )
        .await;
    h.app.round("release").await.unwrap();
    let nudges = h.call("client-b").get("/v1/users/client-b/nudges").await;
    let nudge = nudges.at("/items/0/nudge_id").as_i64().unwrap();
    let body = json!({"user_response": "accepted"});
    h.call("client-b")
        .post(&format!("/v1/nudges/{nudge}/viewed"), &json!({}))
        .await;
    h.call("client-b")
        .post(&format!("/v1/nudges/{nudge}/responded"), &body)
        .await;
    h.clock.advance(TimeDelta::days(7));
    while h.app.round("sweep").await.unwrap() > 0 {}
}

#[tokio::test]
async fn an_independent_consumer_reads_every_event() {
    let bus = TestBus::new().await;
    let mut h = Harness::with_broker(bus.url()).await;
    // Declares the exchange, so that the reader finds it.
    h.app.relay().drain().await.unwrap();
    let folder = std::env::temp_dir().join(format!("recoverly-watch-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).unwrap();
    let ready = folder.join("ready");
    a_day(&mut h).await;
    let written = h.database.count("select count(*) from social.outbox").await;
    let watcher = Command::new(workspace_root().join(".dev/venv/bin/python"))
        .arg(workspace_root().join("examples/events/watch.py"))
        .args([
            "--json",
            "--seconds",
            "30",
            "--count",
            &written.to_string(),
            "--ready-file",
        ])
        .arg(&ready)
        .env("RECOVERLY_AMQP_URL", bus.url().expose_secret())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the Python environment: run examples/setup.sh first");
    eventually("the reader is bound", Duration::from_secs(20), async || {
        ready.exists()
    })
    .await;
    let mut relay = h.app.relay();
    relay.drain().await.unwrap();
    let read = tokio::task::spawn_blocking(move || watcher.wait_with_output().unwrap())
        .await
        .unwrap();
    let (lines, complaints) = (
        String::from_utf8_lossy(&read.stdout),
        String::from_utf8_lossy(&read.stderr),
    );
    assert!(read.status.success(), "{complaints}");
    let mut types: Vec<String> = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(i64::try_from(types.len()).unwrap(), written);
    types.sort();
    types.dedup();
    assert_eq!(
        types,
        [
            "social.action.decided",
            "social.escalation.acknowledged",
            "social.escalation.notified",
            "social.escalation.raised",
            "social.escalation.resolved",
            "social.nudge.created",
            "social.nudge.responded",
            "social.nudge.sent",
            "social.nudge.viewed",
            "social.prediction.recorded",
            "social.profile.changed",
        ]
    );
    std::fs::remove_dir_all(folder).unwrap();
}
