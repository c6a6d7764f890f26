//! What the social service does when others tell it something.

use bus::{Broker, NewEvent, Outbox, Relay};
use chrono::TimeDelta;
use common::Event;
use common::contracts::MessageDeleted;
use serde_json::json;
use testkit::{TestBus, event, event_of};

use crate::harness::{Harness, noon, scores};

fn model_says(user_id: &str, level: &str, stage: &str, minutes_ago: i64) -> Event {
    let data = json!({
        "prediction_id": 1, "user_id": user_id, "model_name": "relapse", "model_version": "3", "stage": stage,
        "probability": 0.91, "risk_level": level, "predicted_at": noon() - TimeDelta::minutes(minutes_ago),
    });
    event_of("risk.prediction.recorded", data)
}

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
    let said = model_says("client-a", "VERY_HIGH", "live", 0);
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

#[tokio::test]
async fn a_live_model_that_says_very_high_escalates_and_never_changes_the_label() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.writes("client-a", &scores(0.1, 0.1)).await;
    h.app
        .consumer()
        .apply_events(&[model_says("client-a", "VERY_HIGH", "live", 0)])
        .await
        .unwrap();
    let list = h.call("counselor").get("/v1/risk-profiles").await;
    assert_eq!(list.at("/items/0/current_risk_label"), &json!("LOW_RISK"));
    assert_eq!(
        list.at("/items/0/open_escalations/0/escalation_type"),
        &json!("model_risk")
    );
    assert_eq!(h.events("social.escalation.raised").await.len(), 1);
}

#[tokio::test]
async fn a_live_model_that_says_high_is_a_reason_and_pages_nobody() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.app
        .consumer()
        .apply_events(&[model_says("client-a", "HIGH", "live", 0)])
        .await
        .unwrap();
    let list = h.call("counselor").get("/v1/risk-profiles").await;
    let reasons = list.at("/items/0/reasons").as_array().unwrap().clone();
    assert!(
        reasons.iter().any(|reason| reason["code"] == "model_risk"),
        "{reasons:?}"
    );
    assert_eq!(list.at("/items/0/open_escalations"), &json!([]));
}

#[tokio::test]
async fn a_shadow_model_and_a_late_prediction_change_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let said = [
        model_says("client-a", "MODERATE", "live", 0),
        model_says("client-a", "HIGH", "live", 5),
        model_says("client-a", "VERY_HIGH", "shadow", 0),
    ];
    for said in said {
        h.app.consumer().apply_events(&[said]).await.unwrap();
    }
    let profile = h.call("counselor").get("/v1/users/client-a/risk-profile").await;
    assert_eq!(profile.at("/model_risk_level"), &json!("MODERATE"));
    assert_eq!(
        h.database.count("select count(*) from social.escalations").await,
        0
    );
}

#[tokio::test]
async fn a_late_very_high_of_a_live_model_pages_nobody_today() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for said in [
        model_says("client-a", "LOW", "live", 0),
        model_says("client-a", "VERY_HIGH", "live", 60),
    ] {
        h.app.consumer().apply_events(&[said]).await.unwrap();
    }
    assert_eq!(
        h.database.count("select count(*) from social.escalations").await,
        0
    );
}

#[tokio::test]
async fn a_level_that_comes_before_its_account_is_announced_is_kept_and_one_of_an_erased_account_is_passed_over()
 {
    let h = Harness::new().await;
    h.database
        .superuser()
        .await
        .run("insert into core.users (user_id) values ('client-new')")
        .await;
    let said = [
        model_says("client-new", "VERY_HIGH", "live", 0),
        model_says("client-erased", "VERY_HIGH", "live", 0),
    ];
    assert_eq!(h.app.consumer().apply_events(&said).await.unwrap(), 2);
    let kept = "select count(*) from social.user_risk_profiles where model_risk_level = 'VERY_HIGH'";
    assert_eq!(h.database.count(kept).await, 1);
    assert_eq!(
        h.database.count("select count(*) from social.escalations").await,
        1
    );
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
