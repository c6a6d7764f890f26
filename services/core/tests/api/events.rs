//! What this service hears of others, and what leaves it.

use chrono::Utc;
use common::Event;
use common::contracts::PredictionRecorded;
use serde_json::json;
use testkit::{TestBus, event};

use crate::harness::{Harness, message};

/// The event of a prediction that social stored.
fn recorded(message_id: i64, model_version: &str) -> Event {
    event(&PredictionRecorded {
        prediction_id: 1,
        message_id,
        user_id: "client-a".to_owned(),
        message_timestamp: Utc::now(),
        model_version: model_version.to_owned(),
        risk_score: 0.5,
        p_isolation: 0.5,
    })
}

impl Harness {
    /// Applies the events of predictions of these messages and model versions.
    pub(crate) async fn scored(&self, pairs: &[(i64, &str)]) {
        let events: Vec<Event> = pairs.iter().map(|(id, version)| recorded(*id, version)).collect();
        self.app.consumer().apply_events(&events).await.unwrap();
    }
}

#[tokio::test]
async fn a_prediction_s_event_is_applied_once_and_the_first_time_stays() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let written = h.messages("client-a", 1).await;
    let (event, same_again) = (recorded(written[0], "m1"), recorded(written[0], "m1"));
    let consumer = h.app.consumer();
    assert_eq!(
        consumer.apply_events(&[event.clone(), same_again]).await.unwrap(),
        2
    );
    h.run("update core.message_scoring set scored_at = '2026-01-01'")
        .await;
    assert_eq!(consumer.apply_events(&[event]).await.unwrap(), 0);
    h.scored(&[(written[0], "m1")]).await;
    let kept = "select count(*) from core.message_scoring where scored_at = '2026-01-01'";
    assert_eq!(h.database.count(kept).await, 1);
}

#[tokio::test]
async fn a_prediction_of_a_message_that_is_gone_is_passed_over() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let written = h.messages("client-a", 1).await;
    h.scored(&[(written[0] + 1000, "m1"), (written[0], "m1")]).await;
    assert_eq!(
        h.database
            .count("select count(*) from core.message_scoring")
            .await,
        1
    );
}

#[tokio::test]
async fn events_leave_by_the_broker() {
    let bus = TestBus::new().await;
    let mut h = Harness::with_broker(bus.url()).await;
    h.client("client-a", &[]).await;
    h.call("admin")
        .post("/v1/users", &json!({"user_id": "client-b", "kind": "client"}))
        .await;
    h.call("client-a")
        .post("/v1/messages", &message("client-a", "text"))
        .await;
    let mut relay = h.app.relay();
    relay.drain().await.unwrap();
    assert_eq!(
        h.database
            .count("select count(*) from core.outbox where published_at is null")
            .await,
        0
    );
    assert_eq!(h.database.count("select count(*) from core.outbox").await, 2);
}
