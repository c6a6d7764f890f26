//! A social service of its own for each test: its database, its port, its clock.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use service::{Clock, Service, Settings};
use social_service::Config;
use telemetry::Metrics;
use testkit::{Answer, Client, Principals, TestDb};

pub(crate) struct Harness {
    pub(crate) database: TestDb,
    pub(crate) principals: Principals,
    pub(crate) app: Service,
    pub(crate) clock: Clock,
    next_message: i64,
}

/// The scores of a message that nothing is wrong with.
pub(crate) fn calm() -> Value {
    scores(0.1, 0.1)
}

/// Scores with this risk, and this isolation.
pub(crate) fn scores(risk: f64, isolation: f64) -> Value {
    json!({
        "p_craving": 0.0, "p_relapse": 0.0, "p_negative_mood": 0.0, "p_neutral": 0.0, "p_toxic": 0.0,
        "p_isolation": isolation, "risk_score": risk, "model_version": "m1",
    })
}

/// Noon on a day without a change of clocks: no quiet hours in UTC.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

impl Harness {
    /// Starts without a broker: its URL leads nowhere, and nothing runs by itself.
    pub(crate) async fn new() -> Self {
        Self::with_broker(SecretString::from("amqp://127.0.0.1:1/none")).await
    }

    pub(crate) async fn with_broker(amqp_url: SecretString) -> Self {
        Self::with_config(amqp_url, &Config::default()).await
    }

    pub(crate) async fn with_config(amqp_url: SecretString, config: &Config) -> Self {
        let database = TestDb::new().await;
        let principals = Principals::plant(&database).await;
        let clock = Clock::standing_at(noon());
        let settings = Settings::for_testing("social", database.url("social"), amqp_url);
        let metrics = Metrics::isolated("social").unwrap();
        let app = social_service::start(&settings, config, clock.clone(), metrics).unwrap();
        Self {
            database,
            principals,
            app,
            clock,
            next_message: 0,
        }
    }

    /// Plants a client in the caseload of these staff.
    pub(crate) async fn client(&mut self, user_id: &str, staff: &[&str]) {
        self.principals.client(&self.database, user_id, staff).await;
        // As of the clock of the test, not of the machine.
        self.database
            .superuser()
            .await
            .run(&format!(
                "update social.user_risk_profiles set risk_label_since = '{0}', computed_at = '{0}'
                 where user_id = '{user_id}'",
                noon().to_rfc3339()
            ))
            .await;
    }

    /// A caller by the name of its principal.
    pub(crate) fn call(&self, name: &str) -> Client {
        Client::new(&self.app.base_url()).with_token(self.principals.token(name))
    }

    /// Plants a message that a client wrote so long ago; returns its id.
    pub(crate) async fn message(&mut self, user_id: &str, ago: TimeDelta) -> i64 {
        self.message_of(user_id, ago, "buddy", "user").await
    }

    pub(crate) async fn message_of(
        &mut self,
        user_id: &str,
        ago: TimeDelta,
        kind: &str,
        sender: &str,
    ) -> i64 {
        self.next_message += 1;
        let at = self.clock.fixed().unwrap() - ago;
        let sql = format!(
            "insert into core.messages (message_id, user_id, message_text, timestamp, conversation_type, sender_role)
             overriding system value values ({}, '{user_id}', 'text', '{}', '{kind}', '{sender}')",
            self.next_message,
            at.to_rfc3339()
        );
        self.database.superuser().await.run(&sql).await;
        self.next_message
    }

    /// Posts the scores of a message as the pipeline.
    pub(crate) async fn predict(&self, message_id: i64, scores: &Value) -> Answer {
        self.call("pipeline")
            .post(&format!("/v1/messages/{message_id}/predictions"), scores)
            .await
    }

    /// A message of now, scored at once.
    pub(crate) async fn writes(&mut self, user_id: &str, scores: &Value) -> Answer {
        let message_id = self.message(user_id, TimeDelta::zero()).await;
        let answer = self.predict(message_id, scores).await;
        assert_eq!(answer.code(), 201, "{}", answer.json);
        answer
    }

    /// What the outbox holds, by type.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let sql = format!("select data from social.outbox where event_type = '{event_type}' order by id");
        self.database
            .query(&sql)
            .await
            .iter()
            .map(|row| row.get("data"))
            .collect()
    }
}
