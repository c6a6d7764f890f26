//! A thousand predictions while the service is killed and the broker stopped: every acknowledged one is there once,
//! and every event is applied once.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Broker, Consumer, HandleError, Handlers};
use common::Event;
use common::contracts::{Contract, PredictionRecorded};
use db::Tx;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use testkit::{Client, Principals, Process, Stack, TestBus, TestDb, eventually, free_port};
use tokio::sync::watch;

const CLIENTS: usize = 50;
const MESSAGES: usize = 1_000;
const WRITERS: usize = 16;
const KILLS: usize = 5;
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

async fn plant(database: &TestDb, principals: &mut Principals) {
    for n in 0..CLIENTS {
        principals
            .client(database, &format!("client-{n}"), &["counselor"])
            .await;
    }
    database
        .superuser()
        .await
        .run(&format!(
            "insert into core.messages (user_id, message_text, conversation_type)
             select 'client-' || (n % {CLIENTS}), 'text', 'buddy' from generate_series(0, {MESSAGES} - 1) n"
        ))
        .await;
}

/// Half of the clients get high scores: each needs one episode.
fn is_in_crisis(message_id: usize) -> bool {
    (message_id - 1) % CLIENTS < CLIENTS / 2
}

/// Posts until it is acknowledged; what was not answered is simply posted again.
async fn post(client: &Client, message_id: usize) {
    let risk = if is_in_crisis(message_id) { 0.9 } else { 0.1 };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_cut_off_nothing_acknowledged_is_lost_or_doubled() {
    let stack = Stack::up("chaos", &["rabbitmq"]);
    let bus = TestBus::on_profile("chaos").await;
    let database = TestDb::new().await;
    let mut principals = Principals::plant(&database).await;
    plant(&database, &mut principals).await;
    let listen = format!("127.0.0.1:{}", free_port());
    let mut service = Process::serve(
        env!("CARGO_BIN_EXE_recoverly-social"),
        &[
            (
                "RECOVERLY_SOCIAL_DATABASE_URL",
                database.url("social").expose_secret(),
            ),
            ("RECOVERLY_AMQP_URL", bus.url().expose_secret()),
            (
                "RECOVERLY_CURSOR_KEY",
                "a key of tests, thirty-two bytes and more",
            ),
            ("RECOVERLY_SOCIAL_LISTEN", &listen),
            ("RECOVERLY_LOG", "error"),
            ("RECOVERLY_LOG_FORMAT", "pretty"),
        ],
    );
    let (stop, stopped) = watch::channel(false);
    let broker = Broker::new(bus.url(), "causal").unwrap();
    let handlers = Handlers::new().on(PredictionRecorded::TYPE, count);
    let consumer = Consumer::new(broker, database.pools("causal"), handlers);
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let consuming = tokio::spawn(consumer.run(stopped));

    let pipeline = Client::new(&format!("http://{listen}")).with_token(principals.token("pipeline"));
    let next = Arc::new(AtomicUsize::new(1));
    let done = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (pipeline, next, done) = (pipeline.clone(), Arc::clone(&next), Arc::clone(&done));
            #[expect(clippy::disallowed_methods, reason = "joined below")]
            tokio::spawn(async move {
                loop {
                    let message_id = next.fetch_add(1, Ordering::Relaxed);
                    if message_id > MESSAGES {
                        return;
                    }
                    post(&pipeline, message_id).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // A fault each time another share of the writes has been acknowledged, so that all of them hit live traffic.
    let mut faults = 0;
    let reached = |share: usize| {
        let done = Arc::clone(&done);
        async move {
            eventually("the next share of writes", Duration::from_secs(60), async || {
                done.load(Ordering::Relaxed) >= share
            })
            .await;
        }
    };
    for kill in 1..=KILLS {
        reached(kill * MESSAGES / (KILLS + 2)).await;
        if kill == 2 {
            stack.stop("rabbitmq");
        }
        service.kill_and_restart();
        faults += 1;
        if kill == 4 {
            stack.start("rabbitmq");
        }
    }
    assert_eq!(faults, KILLS);
    for writer in writers {
        writer.await.unwrap();
    }

    eventually("an empty outbox", DRAIN, async || {
        database
            .count("select count(*) from social.outbox where published_at is null")
            .await
            == 0
    })
    .await;
    eventually("every event applied", DRAIN, async || {
        database
            .count("select coalesce(sum(predictions), 0)::int8 from causal.daily_risk")
            .await
            >= i64::try_from(MESSAGES).unwrap()
    })
    .await;
    stop.send_replace(true);
    consuming.await.unwrap();

    let messages = i64::try_from(MESSAGES).unwrap();
    let count = async |sql: &str| database.count(sql).await;
    assert_eq!(
        count("select count(*) from social.message_predictions").await,
        messages
    );
    assert_eq!(
        count("select count(distinct message_id) from social.message_predictions").await,
        messages
    );
    let of_type = "select count(*) from social.outbox where event_type = 'social.prediction.recorded'";
    assert_eq!(count(of_type).await, messages, "one event a prediction");
    assert_eq!(
        count("select sum(predictions)::int8 from causal.daily_risk").await,
        messages,
        "each event is applied once"
    );
    let open = database
        .query("select user_id from social.escalations where status <> 'resolved'")
        .await;
    let open: Vec<String> = open.iter().map(|row| row.get("user_id")).collect();
    let clients: BTreeSet<&String> = open.iter().collect();
    assert_eq!(
        (open.len(), clients.len()),
        (CLIENTS / 2, CLIENTS / 2),
        "one open episode per client who needs one"
    );
    let told = "select count(*) from social.notification_deliveries where relation = 'counselor'";
    assert_eq!(
        count(told).await,
        i64::try_from(CLIENTS / 2).unwrap(),
        "nobody is told twice"
    );
}
