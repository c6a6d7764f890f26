//! A risk service of its own for each test: its database, its port, its clock.

use chrono::{DateTime, TimeDelta, Utc};
use risk_service::Config;
use secrecy::SecretString;
use serde_json::{Value, json};
use service::{Clock, Service, Settings};
use telemetry::Metrics;
use testkit::{Answer, Client, Principals, TestDb};

pub(crate) struct Harness {
    pub(crate) database: TestDb,
    pub(crate) principals: Principals,
    pub(crate) app: Service,
    pub(crate) clock: Clock,
}

/// The features that tests declare.
pub(crate) const FEATURES: &str = "engagement-1";
/// The model that tests register.
pub(crate) const MODEL: &str = "relapse-7d";

/// Noon on a day without a change of clocks.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// Three features: how much a client writes, how a client sleeps, and whether a client lives alone.
pub(crate) fn feature_set(version: &str) -> Value {
    json!({
        "version": version,
        "features": [
            {"name": "messages_7d", "type": "integer", "minimum": 0, "maximum": 10_000,
             "texts": {"raises": "They write less than before.", "lowers": "They stay in touch."}},
            {"name": "sleep_hours", "type": "number", "minimum": 0, "maximum": 24, "nullable": true},
            {"name": "lives_alone", "type": "boolean", "subgroup": true},
        ],
    })
}

/// Values of [`feature_set`].
pub(crate) fn features() -> Value {
    json!({"messages_7d": 12, "sleep_hours": 6.5, "lives_alone": true})
}

/// A version of [`MODEL`]: MODERATE from 0.3 on, HIGH from 0.5, VERY_HIGH from 0.8.
pub(crate) fn model(version: &str) -> Value {
    json!({
        "model_name": MODEL, "version": version, "feature_set_version": FEATURES,
        "thresholds": {"moderate": 0.3, "high": 0.5, "very_high": 0.8},
    })
}

/// What a version of [`MODEL`] says of a client, seven days ahead, by features captured then.
pub(crate) fn prediction(user_id: &str, version: &str, probability: f64, at: DateTime<Utc>) -> Value {
    json!({
        "user_id": user_id, "model_name": MODEL, "model_version": version, "probability": probability,
        "horizon_days": 7, "predicted_at": at, "features": features(), "source": "nightly",
    })
}

impl Harness {
    /// Starts without a broker: its URL leads nowhere, and nothing runs by itself.
    pub(crate) async fn new() -> Self {
        Self::with_broker(SecretString::from("amqp://127.0.0.1:1/none")).await
    }

    pub(crate) async fn with_broker(amqp_url: SecretString) -> Self {
        let database = TestDb::new().await;
        let principals = Principals::plant(&database).await;
        let clock = Clock::standing_at(noon());
        let settings = Settings::for_testing("risk", database.url("risk"), amqp_url);
        let metrics = Metrics::isolated("risk").unwrap();
        let app = risk_service::start(&settings, &Config::default(), clock.clone(), metrics).unwrap();
        Self {
            database,
            principals,
            app,
            clock,
        }
    }

    /// The same with client-a in the counselor's caseload, [`FEATURES`] declared, and version 1 of [`MODEL`] live.
    pub(crate) async fn with_model() -> Self {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        h.declare().await;
        h.register("1", "live").await;
        h
    }

    /// Plants a client in the caseload of these staff.
    pub(crate) async fn client(&mut self, user_id: &str, staff: &[&str]) {
        self.principals.client(&self.database, user_id, staff).await;
    }

    /// The supervisor's team has the counselor.
    pub(crate) async fn team(&self) {
        let sql = "
            insert into core.teams (name) values ('theirs');
            insert into core.team_members (team_id, staff_id, part)
            select team_id, 'staff-supervisor', 'supervisor' from core.teams
            union all select team_id, 'staff-counselor', 'member' from core.teams";
        self.database.superuser().await.run(sql).await;
    }

    /// Declares [`FEATURES`].
    pub(crate) async fn declare(&self) {
        let pipeline = self.call("pipeline");
        let answer = pipeline.post("/v1/feature-sets", &feature_set(FEATURES)).await;
        assert_eq!(answer.code(), 201, "{}", answer.json);
    }

    /// Registers a version of [`MODEL`] and puts it into that stage.
    pub(crate) async fn register(&self, version: &str, stage: &str) {
        let answer = self.call("pipeline").post("/v1/models", &model(version)).await;
        assert_eq!(answer.code(), 201, "{}", answer.json);
        if stage != "shadow" {
            self.put_into(version, stage).await;
        }
    }

    /// Puts a version of [`MODEL`] into that stage.
    pub(crate) async fn put_into(&self, version: &str, stage: &str) {
        let path = format!("/v1/models/{MODEL}/{version}/stage");
        let answer = self.call("admin").post(&path, &json!({"stage": stage})).await;
        assert_eq!(answer.code(), 200, "{}", answer.json);
    }

    /// A caller by the name of its principal.
    pub(crate) fn call(&self, name: &str) -> Client {
        Client::new(&self.app.base_url()).with_token(self.principals.token(name))
    }

    /// So long before the clock of the test.
    pub(crate) fn ago(&self, by: TimeDelta) -> DateTime<Utc> {
        self.clock.fixed().unwrap() - by
    }

    /// Posts a prediction as the pipeline.
    pub(crate) async fn predict(&self, body: &Value) -> Answer {
        self.call("pipeline").post("/v1/predictions", body).await
    }

    /// The live version says this of a client so long ago; returns the prediction's id.
    pub(crate) async fn says(&self, user_id: &str, probability: f64, ago: TimeDelta) -> i64 {
        let body = prediction(user_id, "1", probability, self.ago(ago));
        let answer = self.predict(&body).await;
        assert_eq!(answer.code(), 201, "{}", answer.json);
        answer.at("/prediction_id").as_i64().unwrap()
    }

    /// What the outbox holds, by type.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let sql = format!("select data from risk.outbox where event_type = '{event_type}' order by id");
        self.database
            .query(&sql)
            .await
            .iter()
            .map(|row| row.get("data"))
            .collect()
    }
}
