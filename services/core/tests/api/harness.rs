//! A core service of its own for each test: its database, its port.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use core_service::Config;
use secrecy::SecretString;
use serde_json::{Value, json};
use service::{Service, Settings};
use telemetry::Metrics;
use testkit::{Answer, Client, Principals, TestDb, workspace_root};

pub(crate) struct Harness {
    pub(crate) database: TestDb,
    pub(crate) principals: Principals,
    pub(crate) app: Service,
    /// The copy of the audit's seals.
    pub(crate) anchor: PathBuf,
}

/// A broker's URL that leads nowhere.
const NO_BROKER: &str = "amqp://127.0.0.1:1/none";

fn settings(database: &TestDb, amqp_url: SecretString) -> Settings {
    Settings::for_testing("core", database.url("core"), amqp_url)
}

fn start(settings: &Settings, config: Config) -> Service {
    core_service::start(settings, config, Metrics::isolated("core").unwrap()).unwrap()
}

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

/// Asks until the answer has this status: the service hears of tokens that others changed in its own time.
pub(crate) async fn comes_to_answer(caller: &Client, path: &str, code: u16) {
    let asked = async { while caller.get(path).await.code() != code {} };
    let heard = tokio::time::timeout(Duration::from_secs(5), asked).await;
    assert!(heard.is_ok(), "{path} still does not answer {code}");
}

impl Harness {
    /// Starts without a broker: its URL leads nowhere, and nothing runs by itself.
    pub(crate) async fn new() -> Self {
        Self::with_broker(NO_BROKER.into()).await
    }

    pub(crate) async fn with_broker(amqp_url: SecretString) -> Self {
        Self::with(amqp_url, |config| config).await
    }

    /// Starts with other settings.
    pub(crate) async fn with_config(change: impl FnOnce(Config) -> Config) -> Self {
        Self::with(NO_BROKER.into(), change).await
    }

    async fn with(amqp_url: SecretString, change: impl FnOnce(Config) -> Config) -> Self {
        let database = TestDb::new().await;
        let principals = Principals::plant(&database).await;
        let anchor = std::env::temp_dir().join(format!("recoverly-anchor-{}", uuid::Uuid::now_v7()));
        let config = change(Config::for_testing(anchor.clone()));
        let app = start(&settings(&database, amqp_url), config);
        Self {
            database,
            principals,
            app,
            anchor,
        }
    }

    /// Another process of the same service.
    pub(crate) fn replica(&self) -> Service {
        self.replica_with(|config| config)
    }

    /// Another process with other settings.
    pub(crate) fn replica_with(&self, change: impl FnOnce(Config) -> Config) -> Service {
        let config = Config::for_testing(self.anchor.clone());
        start(&settings(&self.database, NO_BROKER.into()), change(config))
    }

    /// Another process with so few connections for pipelines and jobs.
    pub(crate) fn replica_with_workers(&self, worker_connections_max: usize) -> Service {
        let mut settings = settings(&self.database, NO_BROKER.into());
        settings.database.worker_connections_max = worker_connections_max;
        start(&settings, Config::for_testing(self.anchor.clone()))
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
            "select core.grant_temporary_access(array['staff-{staff}'], array['{user_id}'], 'escalation', array[1])"
        );
        self.run(&sql).await;
    }

    /// A counselor of others who is on call and sees a client for an escalation alone: their last messages are open.
    pub(crate) async fn helper_in_a_crisis(&self, user_id: &str) -> Client {
        self.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
            .await;
        self.crisis(user_id, "counselor_other").await;
        let helper = self.call("counselor_other");
        let messages = helper.get(&format!("/v1/users/{user_id}/messages")).await;
        assert_eq!(messages.code(), 200, "the escalation opens them");
        helper
    }

    /// Returns when so many wait for a lock.
    pub(crate) async fn so_many_wait(&self, count: i64) {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        let wait = async {
            while self.database.count(waiting).await < count {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(waited.is_ok(), "no {count} wait for a lock");
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

    /// The audit rows that a query finds, oldest first: `what` is a condition on `e`.
    pub(crate) async fn audited(&self, what: &str) -> Vec<Value> {
        let sql = format!(
            "select to_jsonb(e) || jsonb_build_object('people', array(
                 select r.user_id from core.subject_refs r where r.subject_ref = any (e.subject_refs) order by r.user_id),
                 'who', (select r.user_id from core.subject_refs r where r.subject_ref::varchar = e.actor)) as entry
             from core.audit_events e where {what} order by e.id"
        );
        let rows = self.database.query(&sql).await;
        rows.iter().map(|row| row.get("entry")).collect()
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

impl Drop for Harness {
    fn drop(&mut self) {
        std::fs::remove_file(&self.anchor).ok();
    }
}
