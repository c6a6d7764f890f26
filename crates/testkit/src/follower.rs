//! A service that follows what others say: on a database of its own, with events as its inbox would bring them.

use chrono::Utc;
use common::Event;
use common::contracts::Contract;
use serde_json::Value;
use service::{Service, Settings, StartError};
use telemetry::Metrics;
use uuid::Uuid;

use crate::{Client, Principals, Servers, TestDb};

/// A started service, and its database with clients `client-a` and `client-b`.
pub struct Follower {
    /// The service.
    pub app: Service,
    /// A caller without a token.
    pub http: Client,
    /// Its database.
    pub database: TestDb,
    pub(crate) name: &'static str,
}

impl Follower {
    /// Starts the service of this name.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(
        name: &'static str,
        start: impl FnOnce(&Settings, Metrics) -> Result<Service, StartError>,
    ) -> Self {
        let database = TestDb::new().await;
        let mut principals = Principals::plant(&database).await;
        principals.client(&database, "client-a", &[]).await;
        principals.client(&database, "client-b", &[]).await;
        // The broker is named but never called: events are handed to the consumer.
        let settings = Settings::for_testing(name, database.url(name), Servers::get().amqp_url.clone());
        let metrics = Metrics::isolated(name).expect("metrics");
        let app = start(&settings, metrics).expect("the service");
        let http = Client::new(&app.base_url());
        Self {
            app,
            http,
            database,
            name,
        }
    }

    /// One batch of the consumer; how many events were new.
    ///
    /// # Panics
    /// When the batch is not applied.
    pub async fn deliver(&self, events: &[Event]) -> usize {
        self.app.consumer().apply_events(events).await.expect("applied")
    }

    /// The column `line` of a query, as the superuser.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self.database.query(sql).await;
        rows.iter().map(|row| row.get("line")).collect()
    }
}

/// An event as the relay would publish it, at the time of the test.
///
/// # Panics
/// When the data is not JSON.
#[must_use]
pub fn event<T: Contract>(data: &T) -> Event {
    event_of(T::TYPE, serde_json::to_value(data).expect("JSON"))
}

/// The same with data that no contract of ours need know.
#[must_use]
pub fn event_of(event_type: &str, data: Value) -> Event {
    Event {
        id: Uuid::now_v7(),
        source: "/recoverly/test".to_owned(),
        event_type: event_type.to_owned(),
        subject: None,
        time: Utc::now(),
        dataschema: None,
        sequence: None,
        traceparent: None,
        data,
    }
}
