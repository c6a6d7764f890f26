//! What the social service does when others tell it something.

use bus::{Broker, NewEvent, Outbox, Relay};
use chrono::TimeDelta;
use common::contracts::MessageDeleted;
use serde_json::json;
use testkit::{TestBus, event, event_of};

use crate::harness::{Harness, noon, scores};
use crate::model_risk::predicted;

#[tokio::test]
async fn a_new_client_has_an_unknown_profile_and_a_new_staff_user_none() {
    let h = Harness::new().await;
    h.database
        .superuser()
        .await
        .run("insert into core.users (user_id) values ('client-new')")
        .await;
    let created = |id: &str| {
        event_of(
            "core.user.created",
            json!({"user_id": id, "kind": "client", "created_at": noon()}),
        )
    };
    let both = [created("client-new"), created("staff-admin")];
    assert_eq!(h.app.consumer().apply_events(&both).await.unwrap(), 2);
    let rows = h
        .database
        .query("select user_id, current_risk_label from social.user_risk_profiles")
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>("current_risk_label"), "UNKNOWN");
}

#[tokio::test]
async fn an_event_delivered_twice_is_applied_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let said = predicted(1, "client-a", "VERY_HIGH", "live");
    for expected in [1, 0] {
        assert_eq!(
            h.app
                .consumer()
                .apply_events(std::slice::from_ref(&said))
                .await
                .unwrap(),
            expected
        );
    }
    let rows = h
        .database
        .query("select trigger_count from social.escalations")
        .await;
    assert_eq!(rows[0].get::<_, i32>("trigger_count"), 1);
}

#[tokio::test]
async fn a_message_counts_although_nobody_scored_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = h.message("client-a", TimeDelta::hours(1)).await;
    let data = json!({
        "message_id": id, "user_id": "client-a", "timestamp": noon() - TimeDelta::hours(1),
        "conversation_type": "buddy", "sender_role": "user",
    });
    h.app
        .consumer()
        .apply_events(&[event_of("core.message.created", data)])
        .await
        .unwrap();
    let profile = h.call("counselor").get("/v1/users/client-a/risk-profile").await;
    assert_eq!(profile.at("/buddy_messages_7d"), &json!(1));
    assert_eq!(profile.at("/days_since_last_buddy_msg"), &json!(0));
    assert_eq!(profile.at("/current_risk_label"), &json!("UNKNOWN"));
}

/// That these messages of a client are gone.
fn gone(user_id: &str, message_ids: &[i64]) -> MessageDeleted {
    MessageDeleted {
        user_id: user_id.to_owned(),
        message_ids: message_ids.to_vec(),
    }
}

impl Harness {
    async fn predicted(&self) -> i64 {
        let sql = "select count(*) from social.message_predictions";
        self.database.count(sql).await
    }

    /// The label of `client-a`, its greatest score of 7 days, and its own messages of them.
    async fn told_of_client_a(&self) -> serde_json::Value {
        let profile = self
            .call("counselor")
            .get("/v1/users/client-a/risk-profile")
            .await;
        let told = ["current_risk_label", "short_max_risk_score", "total_messages_7d"];
        told.map(|field| profile.at(&format!("/{field}")).clone())
            .to_vec()
            .into()
    }
}

#[tokio::test]
async fn what_was_said_of_a_deleted_message_goes_and_the_profile_with_it_at_once() {
    let bus = TestBus::new().await;
    let mut h = Harness::with_broker(bus.url()).await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.1, 0.1)).await;
    let crisis = h.message("client-a", TimeDelta::hours(1)).await;
    h.predict(crisis, &scores(0.9, 0.1)).await;
    assert_eq!(h.told_of_client_a().await, json!(["HIGH_RISK", 0.9, 2]));
    // Binds the inbox, so that the event finds it.
    let mut consumer = h.app.consumer();
    consumer.drain().await.unwrap();
    let db = h.database.pools("core");
    let outbox = Outbox::new("core");
    let tx = db.begin_worker().await.unwrap();
    tx.execute("delete from core.messages where message_id = $1", &[&crisis])
        .await
        .unwrap();
    let told = NewEvent::of(Some("client-a".to_owned()), &gone("client-a", &[crisis])).unwrap();
    outbox.enqueue(&tx, vec![told]);
    tx.commit().await.unwrap();
    let broker = Broker::new(bus.url(), "core").unwrap();
    Relay::new(broker, db, &outbox).drain().await.unwrap();
    consumer.drain().await.unwrap();
    assert_eq!(h.told_of_client_a().await, json!(["LOW_RISK", 0.1, 1]));
    assert_eq!(h.predicted().await, 1);
    assert_eq!(
        h.events("social.profile.changed").await.last().unwrap()["current_risk_label"],
        "LOW_RISK"
    );
}

#[tokio::test]
async fn what_was_said_of_a_message_that_is_nobody_s_any_more_goes_however_often_it_is_told() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.1, 0.1)).await;
    let crisis = h.message("client-a", TimeDelta::hours(1)).await;
    h.predict(crisis, &scores(0.9, 0.1)).await;
    h.database
        .superuser()
        .await
        .run(&format!(
            "update core.messages set user_id = null, anonymized_at = now() where message_id = {crisis}"
        ))
        .await;
    let told = event(&gone("client-a", &[crisis]));
    let again = event(&gone("client-a", &[crisis]));
    for (events, applied) in [(vec![told.clone(), again], 2), (vec![told], 0)] {
        let consumer = h.app.consumer();
        assert_eq!(consumer.apply_events(&events).await.unwrap(), applied);
        assert_eq!(h.predicted().await, 1);
        assert_eq!(h.told_of_client_a().await, json!(["LOW_RISK", 0.1, 1]));
    }
    assert_eq!(h.predict(crisis, &scores(0.9, 0.1)).await.code(), 404);
}

#[tokio::test]
async fn of_a_deleted_message_only_its_own_client_loses_predictions() {
    let mut h = Harness::new().await;
    for id in ["client-a", "client-b"] {
        h.client(id, &["counselor"]).await;
    }
    h.writes("client-a", &scores(0.9, 0.1)).await;
    let other = h.message("client-b", TimeDelta::zero()).await;
    h.predict(other, &scores(0.9, 0.1)).await;
    let told = [
        event(&gone("client-a", &[other])),
        event(&gone("somebody-who-left", &[other])),
    ];
    assert_eq!(h.app.consumer().apply_events(&told).await.unwrap(), 2);
    assert_eq!(h.predicted().await, 2);
}
