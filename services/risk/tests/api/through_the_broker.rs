//! From a pipeline's prediction to the staff who are told: both services, one Postgres, one RabbitMQ.

use chrono::TimeDelta;
use serde_json::json;
use service::{Service, Settings};
use telemetry::Metrics;
use testkit::TestBus;

use crate::harness::{Harness, noon, prediction};

impl Harness {
    /// The social service beside it.
    fn social(&self, bus: &TestBus) -> Service {
        let settings = Settings::for_testing("social", self.database.url("social"), bus.url());
        let metrics = Metrics::isolated("social").unwrap();
        let config = social_service::Config::default();
        social_service::start(&settings, &config, self.clock.clone(), metrics).unwrap()
    }

    /// What social keeps of each client: the level, and how often an open episode of a model was triggered.
    async fn in_social(&self) -> Vec<String> {
        let sql = "select format('%s %s %s', p.user_id, coalesce(p.model_risk_level, 'none'),
                coalesce(e.trigger_count, 0)) as line
            from social.user_risk_profiles p
            left join social.escalations e on e.user_id = p.user_id and e.escalation_type = 'model_risk'
            order by p.user_id";
        let rows = self.database.query(sql).await;
        rows.iter().map(|row| row.get("line")).collect()
    }
}

#[tokio::test]
async fn what_models_say_reaches_staff_by_predictions_stages_and_time() {
    let bus = TestBus::new().await;
    let mut h = Harness::with_broker(bus.url()).await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    h.declare().await;
    h.register("1", "live").await;
    h.register("2", "shadow").await;
    let social = h.social(&bus);
    // Binds the inbox, so that events find it.
    let mut consumer = social.consumer();
    consumer.drain().await.unwrap();
    let mut relay = h.app.relay();

    h.says("client-a", 0.9, TimeDelta::hours(1)).await;
    for (user_id, version, probability) in [("client-b", "1", 0.6), ("client-b", "2", 0.95)] {
        let body = prediction(user_id, version, probability, noon() - TimeDelta::hours(1));
        assert_eq!(h.predict(&body).await.code(), 201);
    }
    relay.drain().await.unwrap();
    consumer.drain().await.unwrap();
    assert_eq!(h.in_social().await, ["client-a VERY_HIGH 1", "client-b HIGH 0"]);

    // The shadow takes over: whom it alone called very high is paged now, and the other one's word is no longer asked for.
    h.put_into("2", "live").await;
    while h.app.round("stages").await.unwrap() > 0 {}
    while h.app.round("stages").await.unwrap() > 0 {}
    relay.drain().await.unwrap();
    consumer.drain().await.unwrap();
    assert_eq!(h.in_social().await, ["client-a none 1", "client-b VERY_HIGH 1"]);

    h.clock.advance(TimeDelta::days(7));
    assert_eq!(h.app.round("levels").await.unwrap(), 1);
    relay.drain().await.unwrap();
    consumer.drain().await.unwrap();
    assert_eq!(h.in_social().await, ["client-a none 1", "client-b none 1"]);

    // A late prediction is history: it changes no level, and pages nobody.
    let late = prediction("client-a", "2", 0.95, noon() - TimeDelta::days(1));
    assert_eq!(h.predict(&late).await.code(), 201);
    relay.drain().await.unwrap();
    consumer.drain().await.unwrap();
    assert_eq!(h.in_social().await, ["client-a none 1", "client-b none 1"]);
    let events = h.events("risk.prediction.recorded").await;
    assert_eq!(events.last().unwrap()["is_current"], json!(false));
}
