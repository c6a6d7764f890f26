//! A core service of its own for each test: its database, its port.

use std::process::Command;

use core_service::OwnSettings;
use secrecy::SecretString;
use serde_json::{Value, json};
use service::{Service, Settings};
use telemetry::Metrics;
use testkit::{Answer, Client, Principals, TestDb, workspace_root};

pub(crate) struct Harness {
    pub(crate) database: TestDb,
    pub(crate) principals: Principals,
    pub(crate) app: Service,
}

/// A URL that leads nowhere.
const NO_BROKER: &str = "amqp://127.0.0.1:1/none";

/// A message of a client to a peer.
pub(crate) fn message(user_id: &str, text: &str) -> Value {
    json!({"user_id": user_id, "message_text": text, "conversation_type": "buddy"})
}

/// The pointers of a refusal's faults, in the order of the answer.
pub(crate) fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.at("/errors").as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap().to_owned())
        .collect()
}

/// One field of every item of a list.
pub(crate) fn column(answer: &Answer, field: &str) -> Vec<Value> {
    answer.items().iter().map(|item| item[field].clone()).collect()
}

impl Harness {
    /// Starts without a broker: its URL leads nowhere, and nothing runs by itself.
    pub(crate) async fn new() -> Self {
        Self::with(SecretString::from(NO_BROKER), &OwnSettings::default()).await
    }

    pub(crate) async fn with_broker(amqp_url: SecretString) -> Self {
        Self::with(amqp_url, &OwnSettings::default()).await
    }

    /// As [`Self::new`], with settings of core's own.
    pub(crate) async fn with_settings(own: &OwnSettings) -> Self {
        Self::with(SecretString::from(NO_BROKER), own).await
    }

    async fn with(amqp_url: SecretString, own: &OwnSettings) -> Self {
        let database = TestDb::new().await;
        let principals = Principals::plant(&database).await;
        let settings = Settings::for_testing("core", database.url("core"), amqp_url);
        let app = core_service::start(&settings, own, Metrics::isolated("core").unwrap()).unwrap();
        Self {
            database,
            principals,
            app,
        }
    }

    /// Plants a client in the caseload of these staff.
    pub(crate) async fn client(&mut self, user_id: &str, staff: &[&str]) {
        self.principals.client(&self.database, user_id, staff).await;
    }

    /// Plants so many messages that a client wrote, a minute apart, the last one now; returns their ids, oldest first.
    pub(crate) async fn messages(&self, user_id: &str, count: i64) -> Vec<i64> {
        let sql = format!(
            "insert into core.messages (user_id, message_text, timestamp, conversation_type)
             select '{user_id}', 'text ' || n, now() - make_interval(mins => {count} - n), 'buddy'
             from generate_series(1, {count}) as n order by n
             returning message_id"
        );
        let mut ids: Vec<i64> = self
            .database
            .query(&sql)
            .await
            .iter()
            .map(|row| row.get("message_id"))
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Lets staff see a client as social does while an escalation lasts.
    pub(crate) async fn crisis(&self, user_id: &str, staff: &str) {
        let sql = format!(
            "insert into core.temporary_access (staff_id, client_id, cause, reference, until)
             values ('staff-{staff}', '{user_id}', 'escalation', 1, 'infinity')"
        );
        self.run(&sql).await;
    }

    /// A caller by the name of its principal.
    pub(crate) fn call(&self, name: &str) -> Client {
        self.anonymous().with_token(self.principals.token(name))
    }

    /// The app on behalf of a client.
    pub(crate) fn app_for(&self, user_id: &str) -> Client {
        self.call("app").with_header("x-on-behalf-of", user_id)
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(&self.app.base_url())
    }

    /// The data of the events of a type that wait in the outbox, in the order of writing.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let sql = format!("select data from core.outbox where event_type = '{event_type}' order by id");
        self.database
            .query(&sql)
            .await
            .iter()
            .map(|row| row.get("data"))
            .collect()
    }

    /// Runs a program of `tests/python` against the service; what it prints.
    pub(crate) async fn python(&self, script: &str, environment: &[(&str, &str)]) -> String {
        let root = workspace_root();
        let mut program = Command::new(root.join(".dev/venv/bin/python"));
        program
            .arg(root.join("services/core/tests/python").join(script))
            .env("RECOVERLY_CORE_URL", self.app.base_url())
            .envs(environment.iter().copied());
        let ran = tokio::task::spawn_blocking(move || program.output())
            .await
            .unwrap();
        let ran = ran.expect("the Python environment: run examples/setup.sh first");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs statements as the superuser.
    pub(crate) async fn run(&self, sql: &str) {
        self.database.superuser().await.run(sql).await;
    }
}
