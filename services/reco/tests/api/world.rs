//! The service under test on a database of its own, and events as its inbox would bring them.

use common::Event;
use common::contracts::Contract;
use service::{Service, Settings};
use telemetry::Metrics;
use testkit::{Client, Principals, Servers, TestDb};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) app: Service,
    pub(crate) http: Client,
    pub(crate) database: TestDb,
}

impl World {
    /// A started service and clients `client-a` and `client-b`.
    pub(crate) async fn new() -> Self {
        let database = TestDb::new().await;
        let mut principals = Principals::plant(&database).await;
        principals.client(&database, "client-a", &[]).await;
        principals.client(&database, "client-b", &[]).await;
        // The broker is named but never called: events are handed to the consumer.
        let settings = Settings::for_testing("reco", database.url("reco"), Servers::get().amqp_url.clone());
        let app = reco_service::start(&settings, Metrics::isolated("reco").unwrap()).unwrap();
        let http = Client::new(&app.base_url());
        Self { app, http, database }
    }

    /// One batch of the consumer; how many events were new.
    pub(crate) async fn deliver(&self, events: &[Event]) -> usize {
        self.app.consumer().apply_events(events).await.expect("applied")
    }
}

/// An event as the relay would publish it.
pub(crate) fn event<T: Contract>(data: &T) -> Event {
    Event {
        id: Uuid::now_v7(),
        source: "/recoverly/test".to_owned(),
        event_type: T::TYPE.to_owned(),
        subject: None,
        time: chrono::Utc::now(),
        dataschema: None,
        sequence: None,
        traceparent: None,
        data: serde_json::to_value(data).unwrap(),
    }
}
