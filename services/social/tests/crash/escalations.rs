//! A thousand crises, each triggered three times at once, while the service is killed twenty times: one episode each, the
//! page of each arrives under one id, and what nobody acknowledges goes on when it is due.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::{Client, Principals, Process, TestDb, WebhookSink, eventually, free_port};

use crate::{BETWEEN_TRIES, TRIES, WRITERS, Writing, post, spawn};

const EPISODES: usize = 1_000;
const TRIGGERS: usize = 3;
const KILLS_WHILE_RAISING: usize = 15;
const KILLS_WHILE_WAITING: usize = 5;
/// Of so many episodes nobody acknowledges one.
const UNACKNOWLEDGED: i64 = 500;
/// What is under way after the last fault has ended within this time.
const DRAIN: Duration = Duration::from_secs(60);

struct World {
    database: TestDb,
    principals: Principals,
    base: String,
    service: Process,
    receiver: WebhookSink,
}

impl World {
    async fn new() -> Self {
        let database = TestDb::new().await;
        let principals = Principals::plant(&database).await;
        let planted = format!(
            "insert into core.users (user_id, kind, username, display_name)
             select 'client-' || n, 'client', 'client-' || n, 'client' from generate_series(1, {EPISODES}) n;
             insert into social.user_risk_profiles (user_id, policy_version)
             select 'client-' || n, 'fusion_v2' from generate_series(1, {EPISODES}) n;
             insert into core.messages (user_id, message_text, conversation_type)
             select 'client-' || 1 + n / {TRIGGERS}, 'text', 'buddy' from generate_series(0, {EPISODES} * {TRIGGERS} - 1) n"
        );
        database.superuser().await.run(&planted).await;
        let listen = format!("127.0.0.1:{}", free_port());
        let settings = [
            (
                "RECOVERLY_SOCIAL_DATABASE_URL",
                database.url("social").expose_secret(),
            ),
            ("RECOVERLY_AMQP_URL", "amqp://127.0.0.1:1/none"),
            (
                "RECOVERLY_CURSOR_KEY",
                "a key of tests, thirty-two bytes and more",
            ),
            (
                "RECOVERLY_ERASURE_KEY",
                "another key of tests, as long as the first",
            ),
            (
                "RECOVERLY_CONTACT_KEY",
                "a third key of tests, as long as the others",
            ),
            ("RECOVERLY_DASHBOARD_URL", "https://desk.example/queue"),
            ("RECOVERLY_INSECURE_CALLBACKS", "true"),
            ("RECOVERLY_SOCIAL_LISTEN", &listen),
            ("RECOVERLY_LOG", "error"),
            ("RECOVERLY_LOG_FORMAT", "pretty"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let service = Process::serve(env!("CARGO_BIN_EXE_recoverly-social"), &settings);
        let mut world = Self {
            database,
            principals,
            base: format!("http://{listen}"),
            service,
            receiver: WebhookSink::new().await,
        };
        world.on_call_has_a_webhook().await;
        world
    }

    fn client(&self, name: &str) -> Client {
        Client::new(&self.base).with_token(self.principals.token(name))
    }

    async fn on_call_has_a_webhook(&mut self) {
        let oncall = self.client("oncall");
        let named = json!({"method": "webhook", "address": self.receiver.url()});
        let named = until_answered(&oncall, "/v1/contact-methods", &named).await;
        let code = self.receiver.request().await.json()["data"]["code"].clone();
        let path = format!("/v1/contact-methods/{}/verify", named["contact_method_id"]);
        until_answered(&oncall, &path, &json!({"code": code})).await;
    }

    /// Posts scores for every message, those of a client at the same time.
    fn trigger_all(&self) -> Writing {
        let pipeline = self.client("pipeline");
        let (next, done) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
        let writer = || {
            let (pipeline, next, done) = (pipeline.clone(), Arc::clone(&next), Arc::clone(&done));
            spawn(async move {
                loop {
                    let message_id = next.fetch_add(1, Ordering::Relaxed);
                    if message_id > EPISODES * TRIGGERS {
                        return;
                    }
                    post(&pipeline, message_id, 0.9).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Writing {
            writers: (0..WRITERS).map(|_| writer()).collect(),
            done,
        }
    }

    /// Acknowledges the other half of the episodes, then makes all due at the same time, soon; when that is.
    async fn acknowledge_half(&self) -> String {
        let oncall = self.client("oncall");
        let others =
            format!("select escalation_id from social.escalations order by 1 offset {UNACKNOWLEDGED}");
        for row in self.database.query(&others).await {
            let path = format!("/v1/escalations/{}/acknowledge", row.get::<_, i64>(0));
            until_answered(&oncall, &path, &json!({})).await;
        }
        let soon = self
            .database
            .query("select (now() + interval '2 seconds')::text")
            .await;
        let due: String = soon.first().unwrap().get(0);
        let sql = format!("update social.escalations set next_tier_at = '{due}'");
        self.database.superuser().await.run(&sql).await;
        due
    }

    /// Waits until the service is there again.
    async fn alive(&self) {
        let client = Client::new(&self.base);
        eventually("the service", DRAIN, async || {
            matches!(client.try_send(Method::GET, "/healthz", None).await, Ok(answer) if answer.code() == 200)
        })
        .await;
    }

    async fn count(&self, sql: &str) -> i64 {
        self.database.count(sql).await
    }

    /// The ids of all pages that came, those of a code left out.
    async fn arrived(&mut self) -> HashSet<String> {
        let mut ids = HashSet::new();
        while self.receiver.waiting() > 0 {
            ids.insert(self.receiver.request().await.id().to_owned());
        }
        ids
    }
}

/// Posts until it is taken.
async fn until_answered(client: &Client, path: &str, body: &Value) -> Value {
    for _ in 0..TRIES {
        match client
            .try_send(Method::POST, path, Some(body.to_string().into_bytes()))
            .await
        {
            Ok(answer) if answer.status.is_success() => return answer.json,
            Ok(answer) => assert_eq!(answer.code(), 503, "{}", answer.json),
            Err(_) => {}
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    panic!("{path} was never answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_crises_are_one_episode_each_and_reach_somebody_however_often_the_service_dies() {
    let mut world = World::new().await;
    let writing = world.trigger_all();
    for kill in 1..=KILLS_WHILE_RAISING {
        writing
            .reaches(kill * EPISODES * TRIGGERS / (KILLS_WHILE_RAISING + 2))
            .await;
        world.service.kill_and_restart();
    }
    writing.finish().await;
    let due = world.acknowledge_half().await;
    for _ in 0..KILLS_WHILE_WAITING {
        world.alive().await;
        world.service.kill_and_restart();
    }
    let next_tier = "select count(distinct escalation_id) from social.notification_deliveries where tier = 2";
    eventually("the next tier of what nobody has", DRAIN, async || {
        world.count(next_tier).await == UNACKNOWLEDGED
    })
    .await;
    // Who died left pages that it had taken: others take them when the lease is over.
    let pending = "select count(*) from social.notification_deliveries where status = 'pending'";
    eventually("every page was sent", DRAIN, async || {
        world.count(pending).await == 0
    })
    .await;

    let episodes = i64::try_from(EPISODES).unwrap();
    let one_each = "select count(*) from (
        select user_id from social.escalations where status in ('notified', 'acknowledged')
        group by user_id having count(*) = 1) e";
    assert_eq!(world.count(one_each).await, episodes);
    assert_eq!(
        world.count("select count(*) from social.escalations").await,
        episodes
    );
    let pages = "select delivery_id::text from social.notification_deliveries where method = 'webhook'";
    let pages: HashSet<String> = world
        .database
        .query(pages)
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(pages.len(), EPISODES);
    let arrived = world.arrived().await;
    assert!(pages.is_subset(&arrived), "every page arrived");
    assert_eq!(arrived.difference(&pages).count(), 0, "and under no other id");
    let late = format!(
        "select count(*) from social.notification_deliveries d join social.escalations e using (escalation_id)
         where d.tier = 2 and (e.status <> 'notified'
            or d.created_at not between '{due}' and '{due}'::timestamptz + interval '5 seconds')"
    );
    assert_eq!(world.count(&late).await, 0, "on time, and only what nobody has");
}
