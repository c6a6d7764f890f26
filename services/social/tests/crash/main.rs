//! A thousand predictions while the service is killed and the broker stopped: every acknowledged one is there once,
//! and every event is applied once.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod escalations;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Broker, Consumer, HandleError, Handlers, Outbox, Relay, topology};
use common::Event;
use common::contracts::{Contract, PredictionRecorded};
use db::{Db, Tx};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use service::{Clock, Settings};
use social_service::Config;
use telemetry::Metrics;
use testkit::{Client, Principals, Process, Stack, TestBus, TestDb, eventually, free_port};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CLIENTS: usize = 50;
const MESSAGES: usize = 1_000;
/// Who writes the last message, after which nothing else is under way.
const LAST_CLIENT: &str = "client-last";
const WRITERS: usize = 16;
const KILLS: usize = 5;
/// The kill after which the broker is stopped, and the one after which it is started again.
const BROKER_GONE: std::ops::RangeInclusive<usize> = 2..=4;
/// After the last fault the outbox is empty within this time.
const DRAIN: Duration = Duration::from_secs(15);
/// A write is tried again for so long before the test gives up.
const TRIES: usize = 600;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Counts every event, as another service would: in the transaction of its inbox row.
async fn count(tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    for event in events {
        let data: PredictionRecorded = event.data()?;
        tx.execute(
            "insert into causal.daily_risk (user_id, day, predictions, risk_score_sum_millionths)
             values ($1, '2000-01-01', 1, 0)
             on conflict (user_id, day) do update set predictions = daily_risk.predictions + 1",
            &[&data.user_id],
        )
        .await?;
    }
    Ok(())
}

/// Half of the clients get high scores: each needs one episode.
fn risk_of(message_id: usize) -> f64 {
    let is_in_crisis = message_id <= MESSAGES && (message_id - 1) % CLIENTS < CLIENTS / 2;
    if is_in_crisis { 0.9 } else { 0.1 }
}

/// Posts until it is acknowledged; what was not answered is simply posted again.
async fn post(client: &Client, message_id: usize, risk: f64) {
    let body = json!({
        "p_craving": 0.0, "p_relapse": 0.0, "p_negative_mood": 0.0, "p_neutral": 0.0, "p_toxic": 0.0,
        "p_isolation": 0.0, "risk_score": risk, "model_version": "m1",
    });
    let path = format!("/v1/messages/{message_id}/predictions");
    for _ in 0..TRIES {
        match client
            .try_send(Method::POST, &path, Some(body.to_string().into_bytes()))
            .await
        {
            Ok(answer) if answer.status.is_success() => return,
            Ok(answer) => assert_eq!(answer.code(), 503, "{}", answer.json),
            Err(_) => {}
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    panic!("message {message_id} was never acknowledged");
}

/// The servers, the data and the other service's counter.
struct World {
    stack: Stack,
    bus: TestBus,
    database: TestDb,
    principals: Principals,
    stop: watch::Sender<bool>,
    consuming: Option<JoinHandle<()>>,
}

impl World {
    async fn new() -> Self {
        let stack = Stack::up("chaos", &["rabbitmq"]);
        let bus = TestBus::on_profile("chaos").await;
        let database = TestDb::new().await;
        let mut principals = Principals::plant(&database).await;
        for n in 0..CLIENTS {
            principals
                .client(&database, &format!("client-{n}"), &["counselor"])
                .await;
        }
        let messages = format!(
            "insert into core.messages (user_id, message_text, conversation_type)
             select 'client-' || (n % {CLIENTS}), 'text', 'buddy' from generate_series(0, {MESSAGES} - 1) n"
        );
        database.superuser().await.run(&messages).await;
        principals.client(&database, LAST_CLIENT, &[]).await;
        let last = format!(
            "insert into core.messages (user_id, message_text, conversation_type) values ('{LAST_CLIENT}', 'text', 'buddy')"
        );
        database.superuser().await.run(&last).await;
        let stop = watch::Sender::new(false);
        Self {
            stack,
            bus,
            database,
            principals,
            stop,
            consuming: None,
        }
    }

    fn broker(&self, service: &'static str) -> Broker {
        Broker::new(self.bus.url(), service).unwrap()
    }

    /// Lets the other service count.
    fn consume(&mut self) {
        let handlers = Handlers::new().on(PredictionRecorded::TYPE, count);
        let consumer = Consumer::new(self.broker("causal"), self.database.pools("causal"), handlers);
        self.consuming = Some(spawn(consumer.run(self.stop.subscribe())));
    }

    /// Waits for the counter's end; every promise that was not kept.
    async fn finish(self) -> Vec<String> {
        let broken = self.broken_promises().await;
        if let Some(consuming) = self.consuming {
            consuming.await.unwrap();
        }
        broken
    }

    fn settings(&self, listen: &str) -> Vec<(String, String)> {
        [
            (
                "RECOVERLY_SOCIAL_DATABASE_URL",
                self.database.url("social").expose_secret(),
            ),
            ("RECOVERLY_AMQP_URL", self.bus.url().expose_secret()),
            (
                "RECOVERLY_CURSOR_KEY",
                "a key of tests, thirty-two bytes and more",
            ),
            (
                "RECOVERLY_ERASURE_KEY",
                "another key of tests, as long as the first",
            ),
            ("RECOVERLY_SOCIAL_LISTEN", listen),
            ("RECOVERLY_LOG", "error"),
            ("RECOVERLY_LOG_FORMAT", "pretty"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Posts every message's scores, many at a time.
    fn write_all(&self, base: &str) -> Writing {
        let pipeline = Client::new(base).with_token(self.principals.token("pipeline"));
        let (next, done) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
        let writer = || {
            let (pipeline, next, done) = (pipeline.clone(), Arc::clone(&next), Arc::clone(&done));
            spawn(async move {
                loop {
                    let message_id = next.fetch_add(1, Ordering::Relaxed);
                    if message_id > MESSAGES {
                        return;
                    }
                    post(&pipeline, message_id, risk_of(message_id)).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Writing {
            writers: (0..WRITERS).map(|_| writer()).collect(),
            done,
        }
    }

    /// Waits until nothing is on its way any more: a last prediction is sent after all others, through the same
    /// outbox and queue, and everything before it has arrived when it does.
    async fn settle(&self, base: &str) {
        let pipeline = Client::new(base).with_token(self.principals.token("pipeline"));
        eventually("an empty outbox", DRAIN, async || {
            self.count("select count(*) from social.outbox where published_at is null")
                .await
                == 0
        })
        .await;
        post(&pipeline, MESSAGES + 1, risk_of(MESSAGES + 1)).await;
        let arrived = format!("select count(*) from causal.daily_risk where user_id = '{LAST_CLIENT}'");
        eventually("the last event", DRAIN, async || self.count(&arrived).await == 1).await;
        self.stop.send_replace(true);
    }

    async fn count(&self, sql: &str) -> i64 {
        self.database.count(sql).await
    }

    /// Every promise that was not kept.
    async fn broken_promises(&self) -> Vec<String> {
        // With the last one.
        let messages = i64::try_from(MESSAGES + 1).unwrap();
        let in_crisis = i64::try_from(CLIENTS / 2).unwrap();
        let of_type = "select count(*) from social.outbox where event_type = 'social.prediction.recorded'";
        let open = "from social.escalations where status in ('pending', 'notified', 'acknowledged')";
        let told = "select count(*) from social.notification_deliveries where relation = 'counselor'";
        let promises = [
            (
                "stored",
                self.count("select count(*) from social.message_predictions")
                    .await,
                messages,
            ),
            (
                "stored once",
                self.count("select count(distinct message_id) from social.message_predictions")
                    .await,
                messages,
            ),
            ("one event a prediction", self.count(of_type).await, messages),
            (
                "each event applied once",
                self.count("select coalesce(sum(predictions), 0)::int8 from causal.daily_risk")
                    .await,
                messages,
            ),
            (
                "an episode per client who needs one",
                self.count(&format!("select count(distinct user_id) {open}"))
                    .await,
                in_crisis,
            ),
            (
                "no second episode",
                self.count(&format!("select count(*) {open}")).await,
                in_crisis,
            ),
            ("nobody told twice", self.count(told).await, in_crisis),
        ];
        promises
            .into_iter()
            .filter(|(_, found, expected)| found != expected)
            .map(|(promise, found, expected)| format!("{promise}: {found} instead of {expected}"))
            .collect()
    }
}

/// Writes under way.
struct Writing {
    writers: Vec<JoinHandle<()>>,
    done: Arc<AtomicUsize>,
}

impl Writing {
    /// Until so many writes have been acknowledged.
    async fn reaches(&self, share: usize) {
        let deadline = Duration::from_secs(60);
        eventually("the next share of writes", deadline, async || {
            self.done.load(Ordering::Relaxed) >= share
        })
        .await;
    }

    async fn finish(self) {
        for writer in self.writers {
            writer.await.unwrap();
        }
    }
}

fn spawn<F: Future<Output: Send> + Send + 'static>(task: F) -> JoinHandle<F::Output> {
    #[expect(clippy::disallowed_methods, reason = "joined before the test ends")]
    tokio::spawn(task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_cut_off_nothing_acknowledged_is_lost_or_doubled() {
    let mut world = World::new().await;
    world.consume();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut service = Process::serve(env!("CARGO_BIN_EXE_recoverly-social"), &world.settings(&listen));
    let base = format!("http://{listen}");
    let writing = world.write_all(&base);
    // A fault each time another share of the writes has been acknowledged, so that all of them hit live traffic.
    for kill in 1..=KILLS {
        writing.reaches(kill * MESSAGES / (KILLS + 2)).await;
        if kill == *BROKER_GONE.start() {
            world.stack.stop("rabbitmq");
        }
        service.kill_and_restart();
        if kill == *BROKER_GONE.end() {
            world.stack.start("rabbitmq");
        }
    }
    writing.finish().await;
    world.settle(&base).await;
    assert_eq!(world.finish().await, Vec::<String>::new());
}

/// Writes everything while the other service's inbox is full, then makes room; every promise that was not kept.
async fn promises_broken_by_a_full_inbox(relay: fn(Broker, Db, &Outbox) -> Relay) -> Vec<String> {
    let mut world = World::new().await;
    topology::declare_for(&world.broker("causal"), &[PredictionRecorded::TYPE])
        .await
        .unwrap();
    let full = json!({
        "pattern": "^causal\\.inbox$", "apply-to": "queues",
        "definition": {"max-length": 1, "overflow": "reject-publish"},
    });
    let policy = format!("policies/{}/full", world.bus.vhost());
    world.bus.call(Method::PUT, &policy, Some(full)).await;
    let settings = Settings::for_testing("social", world.database.url("social"), world.bus.url());
    let metrics = Metrics::isolated("social").unwrap();
    let service = social_service::start(&settings, &Config::default(), Clock::database(), metrics).unwrap();
    let relay = relay(
        world.broker("social"),
        world.database.pools("social"),
        &Outbox::new("social"),
    );
    let relaying = spawn(relay.run(world.stop.subscribe()));
    world.write_all(&service.base_url()).finish().await;
    eventually("every event was tried", DRAIN, async || {
        world
            .count("select count(*) from social.outbox where attempts = 0")
            .await
            == 0
    })
    .await;
    world.bus.call(Method::DELETE, &policy, None).await;
    world.consume();
    world.settle(&service.base_url()).await;
    relaying.await.unwrap();
    service.stop().await;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inbox_delays_events_and_loses_none() {
    assert_eq!(
        promises_broken_by_a_full_inbox(Relay::new).await,
        Vec::<String>::new()
    );
}

/// The same writes and the same look, with the one mechanism taken away that keeps events from being lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_marks_before_the_confirm_breaks_the_promise() {
    let broken = promises_broken_by_a_full_inbox(Relay::marking_before_confirm_for_negative_control).await;
    assert!(
        broken
            .iter()
            .any(|promise| promise.starts_with("each event applied once")),
        "{broken:?}"
    );
}
