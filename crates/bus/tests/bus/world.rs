//! The servers of one test: a schema of its own in Postgres, a virtual host of its own in RabbitMQ.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Broker, Consumer, HandleError, Handlers, NewEvent, Outbox, Relay, with};
use common::Event;
use db::{Actor, Db, Row, Settings, Tx};
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::proxy::Proxy;

pub(crate) const CREATED: &str = "core.user.created";
pub(crate) const RECORDED: &str = "social.prediction.recorded";
/// Nothing here takes longer, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const COMMON_TABLES: &str = include_str!("../../../../migrations/social/V001__common.sql");

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) broker: Broker,
    pub(crate) outbox: Outbox,
    pub(crate) to_broker: Proxy,
    pub(crate) to_postgres: Proxy,
    admin: Db,
    amqp: Url,
    schema: &'static str,
}

impl World {
    pub(crate) async fn new() -> Self {
        let name: &'static str = Box::leak(format!("t{}", Uuid::now_v7().simple()).into_boxed_str());
        let postgres = setting("RECOVERLY_ADMIN_DATABASE_URL");
        let admin = database(&postgres, name);
        let setup = admin.begin(&Actor::Staff("setup".into())).await.unwrap();
        setup.batch(&schema(name)).await.unwrap();
        setup.commit().await.unwrap();
        let amqp = virtual_host(name).await;
        let to_broker = Proxy::before(host(&amqp)).await;
        let to_postgres = Proxy::before(host(&postgres)).await;
        Self {
            db: database(&through(&to_postgres, &postgres), name),
            broker: Broker::new(through(&to_broker, &amqp).as_str().into(), "social").unwrap(),
            outbox: Outbox::new(name),
            to_broker,
            to_postgres,
            admin,
            amqp,
            schema: name,
        }
    }

    /// Writes events the way a request does.
    pub(crate) async fn write(&self, events: &[NewEvent]) {
        let tx = self.db.begin_worker().await.unwrap();
        self.outbox.enqueue(&tx, events.to_vec());
        tx.commit().await.unwrap();
    }

    pub(crate) fn relay(&self) -> Relay {
        Relay::new(self.broker.clone(), self.db.clone(), &self.outbox)
    }

    pub(crate) fn consumer(&self, recorder: &Recorder) -> Consumer {
        let handlers = Handlers::new()
            .on(CREATED, with(recorder.clone(), record))
            .on(RECORDED, with(recorder.clone(), record));
        Consumer::new(self.broker.clone(), self.db.clone(), handlers)
    }

    /// Runs a query beside the proxies; `{s}` is the schema.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Row> {
        let sql = sql.replace("{s}", self.schema);
        self.admin.worker_query(&sql, &[]).await.unwrap()
    }

    pub(crate) async fn count(&self, what: &str) -> i64 {
        let rows = self
            .rows(&format!("select count(*) as n from {{s}}.{what}"))
            .await;
        rows[0].try_get("n").unwrap()
    }

    /// A channel beside the proxy.
    pub(crate) async fn channel(&self) -> lapin::Channel {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(self.amqp.as_str(), properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        channel
    }

    /// Puts bytes into the inbox as another publisher would.
    pub(crate) async fn publish(&self, body: &[u8]) {
        let channel = self.channel().await;
        let queue = bus::topology::inbox_queue("social").as_str().into();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let confirm = channel
            .basic_publish("".into(), queue, options, body, properties)
            .await
            .unwrap();
        assert!(confirm.await.unwrap().is_ack());
    }

    /// A queue that sees every event.
    pub(crate) async fn watch(&self) -> Watch {
        bus::topology::declare_for(&self.broker, &[CREATED, RECORDED])
            .await
            .unwrap();
        let channel = self.channel().await;
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare("watch".into(), options, FieldTable::default())
            .await
            .unwrap();
        let (queue, exchange) = ("watch".into(), bus::topology::EVENTS_EXCHANGE.into());
        let options = QueueBindOptions::default();
        channel
            .queue_bind(queue, exchange, "#".into(), options, FieldTable::default())
            .await
            .unwrap();
        Watch(channel)
    }

    /// Lets the inbox hold one event.
    pub(crate) async fn shrink_the_inbox(&self) {
        let policy =
            r#"{"pattern": "^social.inbox$", "apply-to": "queues", "definition": {"max-length": 1}}"#;
        manage(
            Method::PUT,
            format!("/api/policies/{}/small", self.schema),
            policy,
        )
        .await;
    }

    /// Waits until the query counts `n`.
    pub(crate) async fn until(&self, n: i64, what: &str) {
        eventually(async || self.count(what).await == n).await;
    }
}

impl Drop for World {
    /// Takes everything away again, on a runtime of its own since the test's is ending. A failed test leaves it
    /// for a look.
    fn drop(&mut self) {
        let name = self.schema;
        if std::thread::panicking() {
            eprintln!("left for a look: schema and virtual host {name}");
            return;
        }
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                manage(Method::DELETE, format!("/api/vhosts/{name}"), "").await;
                let admin = database(&setting("RECOVERLY_ADMIN_DATABASE_URL"), name);
                let tx = admin.begin(&Actor::Staff("setup".into())).await.unwrap();
                let role = format!("recoverly_{name}_worker");
                let sql = format!("drop schema {name} cascade; drop owned by {role}; drop role {role}");
                tx.batch(&sql).await.unwrap();
                tx.commit().await.unwrap();
            });
        });
        cleaning.join().unwrap();
    }
}

pub(crate) struct Watch(lapin::Channel);

impl Watch {
    pub(crate) async fn next(&self) -> Option<lapin::message::Delivery> {
        let message = self
            .0
            .basic_get("watch".into(), BasicGetOptions::default())
            .await
            .unwrap()?;
        message.ack(BasicAckOptions::default()).await.unwrap();
        Some(message.delivery)
    }

    pub(crate) async fn count(&self) -> usize {
        let mut count = 0;
        while self.next().await.is_some() {
            count += 1;
        }
        count
    }
}

/// What the handlers saw.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    pub(crate) poison_tries: Arc<AtomicUsize>,
    pub(crate) cured: Arc<AtomicUsize>,
}

/// Writes one row an event; refuses poison, and is always cut off on slow ones.
async fn record(recorder: &Recorder, tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let any = |kind: &str| events.iter().any(|event| event.data[kind] == json!(true));
    if any("poison") && recorder.cured.load(Ordering::SeqCst) == 0 {
        if events.len() == 1 {
            recorder.poison_tries.fetch_add(1, Ordering::SeqCst);
        }
        return Err(HandleError::other("no such rule"));
    }
    if any("slow") {
        return Err(db::Error::Unavailable("statement timeout".into()).into());
    }
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let sql = format!(
        "insert into {}.effects (event_id) select unnest($1::uuid[])",
        tx.schema()
    );
    tx.execute(&sql, &[&ids]).await?;
    Ok(())
}

pub(crate) fn created(user: &str) -> NewEvent {
    NewEvent::new(
        CREATED,
        Some(user.into()),
        &json!({"user_id": user, "kind": "client"}),
    )
    .unwrap()
}

pub(crate) fn created_many(count: usize) -> Vec<NewEvent> {
    (0..count).map(|n| created(&format!("client-{n}"))).collect()
}

pub(crate) fn poison() -> NewEvent {
    NewEvent::new(CREATED, None, &json!({"poison": true})).unwrap()
}

pub(crate) async fn eventually(condition: impl AsyncFn() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

fn setting(name: &str) -> Url {
    let missing = || panic!("{name} is not set: make up, then read .dev/test/env");
    std::env::var(name).unwrap_or_else(|_| missing()).parse().unwrap()
}

fn database(url: &Url, schema: &'static str) -> Db {
    Db::new(&Settings {
        url: url.as_str().into(),
        schema,
        people_connections_max: 2,
        server_threads: 1,
        worker_connections_max: 4,
        session_parameters: Vec::new(),
    })
    .unwrap()
}

fn schema(name: &str) -> String {
    let tables = COMMON_TABLES.replace("social.", &format!("{name}."));
    // No constraint on effects: an event applied twice must show.
    format!(
        "create schema {name};
         {tables}
         create table {name}.effects (event_id uuid not null);
         create role recoverly_{name}_worker;
         grant usage on schema {name} to recoverly_{name}_worker;
         grant all on all tables in schema {name} to recoverly_{name}_worker;"
    )
}

async fn virtual_host(name: &str) -> Url {
    let mut amqp = setting("RECOVERLY_AMQP_URL");
    manage(Method::PUT, format!("/api/vhosts/{name}"), "{}").await;
    let rights = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
    let path = format!("/api/permissions/{name}/{}", amqp.username());
    manage(Method::PUT, path, rights).await;
    amqp.set_path(name);
    amqp
}

async fn manage(method: Method, path: String, body: &'static str) {
    let mut url = setting("RECOVERLY_AMQP_MANAGEMENT_URL").join(&path).unwrap();
    let (user, password) = (url.username().to_owned(), url.password().unwrap().to_owned());
    url.set_username("").unwrap();
    url.set_password(None).unwrap();
    let request = reqwest::Client::new()
        .request(method, url)
        .basic_auth(user, Some(password));
    let request = request.header("content-type", "application/json").body(body);
    request.send().await.unwrap().error_for_status().unwrap();
}

fn host(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

fn through(proxy: &Proxy, url: &Url) -> Url {
    let mut url = url.clone();
    url.set_host(Some(&proxy.address.ip().to_string())).unwrap();
    url.set_port(Some(proxy.address.port())).unwrap();
    url
}
