//! Short-term memory: Redis keeps the last turns, Postgres says which they are.

use std::time::{Duration, Instant};

use core_service::{Config, ShortTermConfig};
use futures::future::join_all;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::{Answer, Client, Servers, redis_prefix};

use crate::clerk::{deleted, deliver, taking_webhooks};
use crate::harness::{Harness, column};
use crate::threads::{MAIN, turn};
use crate::turns::insist;

/// A service with a part of Redis of its own.
struct World {
    h: Harness,
    redis: MultiplexedConnection,
    prefix: String,
}

/// The same settings with the tests' Redis.
fn with_redis(config: Config, prefix: &str) -> Config {
    Config {
        short_term: ShortTermConfig {
            url: Servers::get().redis_url.clone(),
            prefix: prefix.to_owned(),
            ..config.short_term
        },
        ..config
    }
}

impl World {
    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn with(change: impl FnOnce(ShortTermConfig) -> ShortTermConfig) -> Self {
        Self::with_config(|config| Config {
            short_term: change(config.short_term.clone()),
            ..config
        })
        .await
    }

    async fn with_config(change: impl FnOnce(Config) -> Config) -> Self {
        let prefix = redis_prefix();
        let mut h = Harness::with_config(|config| change(with_redis(config, &prefix))).await;
        h.client("client-a", &["counselor"]).await;
        let redis = redis::Client::open(Servers::get().redis_url.expose_secret()).unwrap();
        Self {
            h,
            redis: redis.get_multiplexed_async_connection().await.unwrap(),
            prefix,
        }
    }

    fn client(&self) -> Client {
        self.h.call("client-a")
    }

    async fn say(&self, thread: &str, number: usize) -> Answer {
        let sent = turn(&format!("said {number}"), &format!("replied {number}"));
        self.client().post(&format!("{thread}/turns"), &sent).await
    }

    /// What the window shows, by the number of each turn.
    async fn window(&self, thread: &str) -> Vec<usize> {
        let shown = self.client().get(&format!("{thread}/short-term")).await;
        assert_eq!(shown.code(), 200);
        let number = |text: &Value| {
            text.as_str()
                .unwrap()
                .strip_prefix("said ")
                .unwrap()
                .parse()
                .unwrap()
        };
        column(&shown, "user_message").iter().map(number).collect()
    }

    fn key(&self, place: &str) -> String {
        format!("{}memory:short_term:{place}", self.prefix)
    }

    /// The key of [`MAIN`].
    fn main(&self) -> String {
        self.key("client-a:companion:main")
    }

    /// What Redis keeps of the thread, by the number of each turn.
    async fn kept(&mut self, key: &str) -> Vec<usize> {
        let turns: Vec<String> = self.redis.lrange(key, 0, -1).await.unwrap();
        let number = |turn: &String| {
            let turn: Value = serde_json::from_str(turn).unwrap();
            turn["user_message"]
                .as_str()
                .unwrap()
                .strip_prefix("said ")
                .unwrap()
                .parse()
                .unwrap()
        };
        turns.iter().map(number).collect()
    }

    async fn keys(&mut self) -> Vec<String> {
        self.redis.keys(format!("{}*", self.prefix)).await.unwrap()
    }
}

#[tokio::test]
async fn the_last_twenty_turns_are_kept_under_the_seed_s_key_for_half_an_hour() {
    let mut w = World::new().await;
    for number in 0..22 {
        w.say(MAIN, number).await;
    }
    let last: Vec<usize> = (2..22).collect();
    let key = w.main();
    assert_eq!(w.keys().await, std::slice::from_ref(&key));
    assert_eq!(w.kept(&key).await, last);
    assert_eq!(w.window(MAIN).await, last);
    let ttl: i64 = w.redis.ttl(&key).await.unwrap();
    assert!((1_790..=1_800).contains(&ttl), "{ttl}");
    let _: bool = w.redis.expire(&key, 100).await.unwrap();
    w.window(MAIN).await;
    let ttl: i64 = w.redis.ttl(&key).await.unwrap();
    assert!(ttl <= 100, "a read renews nothing");
    w.say(MAIN, 22).await;
    let ttl: i64 = w.redis.ttl(&key).await.unwrap();
    assert!(ttl > 1_790, "a write renews it: {ttl}");
}

#[tokio::test]
async fn how_many_turns_and_how_long_is_a_setting() {
    let mut w = World::with(|config| ShortTermConfig {
        turns: 3,
        seconds: 60,
        ..config
    })
    .await;
    for number in 0..5 {
        w.say(MAIN, number).await;
    }
    let key = w.main();
    assert_eq!(w.kept(&key).await, [2, 3, 4]);
    let ttl: i64 = w.redis.ttl(&key).await.unwrap();
    assert!((50..=60).contains(&ttl), "{ttl}");
    let _: i64 = w.redis.del(&key).await.unwrap();
    assert_eq!(w.window(MAIN).await, [2, 3, 4], "also when it is built anew");
}

#[tokio::test]
async fn the_window_is_read_from_redis_where_it_ends_as_the_thread_does() {
    let mut w = World::new().await;
    w.say(MAIN, 0).await;
    let key = w.main();
    let kept: String = w.redis.lindex(&key, 0).await.unwrap();
    let _: () = w
        .redis
        .lset(&key, 0, kept.replace("said 0", "said 7"))
        .await
        .unwrap();
    assert_eq!(w.window(MAIN).await, [7]);
}

#[tokio::test]
async fn a_flush_rebuilds_the_window() {
    let mut w = World::new().await;
    for number in 0..25 {
        w.say(MAIN, number).await;
    }
    let (key, last) = (w.main(), (5..25).collect::<Vec<_>>());
    let _: i64 = w.redis.del(&key).await.unwrap();
    assert_eq!(w.window(MAIN).await, last);
    assert_eq!(w.kept(&key).await, last);
    let ttl: i64 = w.redis.ttl(&key).await.unwrap();
    assert!(ttl > 1_790, "{ttl}");
}

#[tokio::test]
async fn a_turn_after_a_flush_is_not_taken_for_the_whole_window() {
    let mut w = World::new().await;
    w.say(MAIN, 0).await;
    let key = w.main();
    let _: i64 = w.redis.del(&key).await.unwrap();
    w.say(MAIN, 1).await;
    assert_eq!(w.kept(&key).await, Vec::<usize>::new());
    assert_eq!(w.window(MAIN).await, [0, 1]);
}

#[tokio::test]
async fn a_turn_that_redis_missed_leaves_no_gap() {
    let mut w = World::new().await;
    for number in 0..3 {
        w.say(MAIN, number).await;
    }
    let key = w.main();
    // The last turn never came to Redis.
    let _: Option<String> = w.redis.rpop(&key, None).await.unwrap();
    w.say(MAIN, 3).await;
    assert_eq!(
        w.kept(&key).await,
        Vec::<usize>::new(),
        "what has a gap is let go of"
    );
    assert_eq!(w.window(MAIN).await, [0, 1, 2, 3]);
    let _: Option<String> = w.redis.rpop(&key, None).await.unwrap();
    assert_eq!(w.window(MAIN).await, [0, 1, 2, 3], "also without a further turn");
    assert_eq!(w.kept(&key).await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_window_that_is_built_never_replaces_a_newer_one() {
    let mut w = World::new().await;
    w.say(MAIN, 0).await;
    let key = w.main();
    let kept: String = w.redis.lindex(&key, 0).await.unwrap();
    let id = serde_json::from_str::<Value>(&kept).unwrap()["reply_id"]
        .as_i64()
        .unwrap();
    // What a turn left there that was stored after the window was read from Postgres.
    let newer = kept.replace(&format!("\"reply_id\":{id}"), &format!("\"reply_id\":{}", id + 2));
    let _: () = w
        .redis
        .lset(&key, 0, newer.replace("said 0", "said 1"))
        .await
        .unwrap();
    assert_eq!(w.window(MAIN).await, [0]);
    assert_eq!(w.kept(&key).await, [1]);
}

#[tokio::test]
async fn nothing_before_it_was_forgotten_comes_back() {
    let mut w = World::new().await;
    for number in 0..3 {
        w.say(MAIN, number).await;
    }
    let key = w.main();
    let before: Vec<String> = w.redis.lrange(&key, 0, -1).await.unwrap();
    assert_eq!(w.client().delete(&format!("{MAIN}/short-term")).await.code(), 204);
    assert_eq!(w.keys().await, Vec::<String>::new());
    assert_eq!(w.window(MAIN).await, Vec::<usize>::new());
    w.say(MAIN, 3).await;
    assert_eq!(w.kept(&key).await, [3]);
    // Whoever built the window while it was forgotten may have kept all of it.
    let all = [before, w.redis.lrange(&key, 0, -1).await.unwrap()].concat();
    let _: i64 = w.redis.del(&key).await.unwrap();
    let _: i64 = w.redis.rpush(&key, all).await.unwrap();
    assert_eq!(w.window(MAIN).await, [3]);
    let _: i64 = w.redis.del(&key).await.unwrap();
    assert_eq!(w.window(MAIN).await, [3]);
    let history = w.client().get(&format!("{MAIN}/messages")).await;
    assert_eq!(history.items().len(), 8, "the messages stay");
}

#[tokio::test]
async fn a_window_is_brought_to_mind_before_it_is_asked_for() {
    let mut w = World::new().await;
    w.say(MAIN, 0).await;
    let key = w.main();
    let _: i64 = w.redis.del(&key).await.unwrap();
    let warmed = w.client().post(&format!("{MAIN}/short-term"), &json!({})).await;
    assert_eq!((warmed.code(), warmed.items().len()), (200, 1));
    assert_eq!(w.kept(&key).await, [0]);
    let _: bool = w.redis.expire(&key, 100).await.unwrap();
    w.client().post(&format!("{MAIN}/short-term"), &json!({})).await;
    let ttl: i64 = w.redis.ttl(&key).await.unwrap();
    assert!(ttl > 1_790, "{ttl}");
    assert_eq!(
        w.h.call("counselor")
            .post(&format!("{MAIN}/short-term"), &json!({}))
            .await
            .code(),
        403
    );
}

#[tokio::test]
async fn a_deleted_thread_leaves_no_window_for_the_next_of_its_name() {
    let mut w = World::new().await;
    w.say(MAIN, 0).await;
    let kept: Vec<String> = w.redis.lrange(w.main(), 0, -1).await.unwrap();
    assert_eq!(w.client().delete(MAIN).await.code(), 204);
    assert_eq!(w.keys().await, Vec::<String>::new());
    // Redis was away then.
    let _: i64 = w.redis.rpush(w.main(), kept).await.unwrap();
    w.client().put(MAIN, &json!({})).await;
    assert_eq!(w.window(MAIN).await, Vec::<usize>::new());
    w.say(MAIN, 1).await;
    assert_eq!(w.window(MAIN).await, [1]);
}

#[tokio::test]
async fn fifty_parallel_turns_of_two_processes_make_one_window() {
    let mut w = World::new().await;
    let prefix = w.prefix.clone();
    let other = w.h.replica_with(|config| with_redis(config, &prefix));
    let clients = [
        w.client(),
        Client::new(&other.base_url()).with_token(w.h.principals.token("client-a")),
    ];
    let path = format!("{MAIN}/turns");
    let turns = (0..50).map(|number| insist(&clients[number % 2], &path, number));
    join_all(turns).await;
    let history = w
        .client()
        .get(&format!("{MAIN}/messages?limit=200&order=asc"))
        .await;
    let said = |text: &Value| text.as_str()?.strip_prefix("said ")?.parse().ok();
    let said: Vec<usize> = column(&history, "message_text").iter().filter_map(said).collect();
    assert_eq!(said.len(), 50);
    assert_eq!(w.window(MAIN).await, said[30..]);
    let key = w.main();
    assert_eq!(w.kept(&key).await, said[30..]);
    other.stop().await;
}

#[tokio::test]
async fn without_redis_turns_are_stored_and_the_window_is_read_from_postgres() {
    // The settings of tests lead to a closed port.
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let client = h.call("client-a");
    let begun = Instant::now();
    for number in 0..10 {
        let stored = client
            .post(
                &format!("{MAIN}/turns"),
                &turn(&format!("said {number}"), "replied"),
            )
            .await;
        assert_eq!(stored.code(), 201);
    }
    let window = client.get(&format!("{MAIN}/short-term")).await;
    assert_eq!((window.code(), window.items().len()), (200, 10));
    assert_eq!(
        client
            .post(&format!("{MAIN}/short-term"), &json!({}))
            .await
            .items()
            .len(),
        10
    );
    assert_eq!(client.delete(&format!("{MAIN}/short-term")).await.code(), 204);
    assert_eq!(client.get(&format!("{MAIN}/short-term")).await.items().len(), 0);
    assert_eq!(client.delete(MAIN).await.code(), 204);
    assert_eq!(h.app.round("forget_windows").await.unwrap(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let ready = h.anonymous().get("/readyz").await;
    assert_eq!((ready.code(), ready.at("/checks/redis")), (200, &json!("down")));
}

#[tokio::test]
async fn a_redis_that_does_not_answer_holds_nobody_up() {
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let w = World::with(|config| ShortTermConfig {
        url: url.into(),
        ..config
    })
    .await;
    // The first asks and gives up; for a second nobody asks again.
    w.say(MAIN, 0).await;
    let begun = Instant::now();
    for number in 1..4 {
        assert_eq!(w.say(MAIN, number).await.code(), 201);
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(w.window(MAIN).await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn readiness_shows_a_redis_that_answers() {
    let w = World::new().await;
    assert_eq!(
        w.h.anonymous().get("/readyz").await.at("/checks/redis"),
        &json!("ok")
    );
}

#[tokio::test]
async fn who_leaves_leaves_no_key() {
    let mut w = World::new().await;
    w.h.client("client-b", &[]).await;
    w.say(MAIN, 0).await;
    w.say("/v1/threads/client-a/study_guide/main", 1).await;
    let other = "/v1/threads/client-b/companion/main/turns";
    w.h.call("client-b").post(other, &turn("said 2", "replied")).await;
    assert_eq!(w.keys().await.len(), 3);
    let left = w.client().delete("/v1/users/client-a/opt-out").await;
    assert_eq!(left.code(), 200);
    assert_eq!(w.keys().await, [w.key("client-b:companion:main")]);
}

#[tokio::test]
async fn whom_clerk_deletes_leaves_no_key() {
    let mut w = World::with_config(taking_webhooks).await;
    w.h.run("update core.users set clerk_user_id = 'user_a' where user_id = 'client-a'")
        .await;
    w.say(MAIN, 0).await;
    assert_eq!(w.keys().await, [w.main()]);
    assert_eq!(deliver(&w.h, &[deleted("msg_1", "user_a")]).await, [204]);
    assert_eq!(w.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_an_erasure_left_behind_is_found_and_nothing_else() {
    let mut w = World::new().await;
    w.say(MAIN, 0).await;
    // A push that raced the erasure; a thread that is gone; keys of others.
    for place in ["client-gone:companion:main", "client-a:companion:gone"] {
        let _: i64 = w.redis.rpush(w.key(place), "{}").await.unwrap();
    }
    let foreign = [
        format!("{}other", w.prefix),
        w.key("client-gone:companion:main:more"),
    ];
    for key in &foreign {
        let _: () = w.redis.set(key, "x").await.unwrap();
    }
    let mut gone = 0;
    // Rounds go through the keys of everybody, some at a time.
    for _ in 0..20 {
        gone += w.h.app.round("forget_windows").await.unwrap();
    }
    assert_eq!(gone, 2);
    let mut keys = w.keys().await;
    keys.sort();
    let mut expected = vec![w.main(), foreign[0].clone(), foreign[1].clone()];
    expected.sort();
    assert_eq!(keys, expected);
    for key in keys {
        let _: i64 = w.redis.del(key).await.unwrap();
    }
}

#[tokio::test]
async fn of_a_turn_whose_term_is_over_neither_the_title_nor_the_window_stays() {
    let mut w = World::new().await;
    w.say(MAIN, 1).await;
    let other = "/v1/threads/client-a/companion/other";
    w.client().put(other, &json!({"title": "Sleep"})).await;
    w.say(other, 2).await;
    assert_eq!(w.keys().await.len(), 2);
    w.h.run("update core.messages set timestamp = now() - interval '731 days 1 minute'")
        .await;
    assert_eq!(w.h.app.round("end_terms").await.unwrap(), 4);
    assert_eq!(w.keys().await, Vec::<String>::new());
    assert_eq!(w.window(MAIN).await, Vec::<usize>::new());
    assert_eq!(w.client().get(MAIN).await.at("/title"), &json!(""));
    assert_eq!(
        w.client().get(other).await.at("/title"),
        &json!("Sleep"),
        "chosen, not said"
    );
    w.h.run("update core.chat_threads set updated_at = now() - interval '731 days'")
        .await;
    assert_eq!(
        w.h.app.round("end_terms").await.unwrap(),
        2,
        "nothing is left in them"
    );
    assert_eq!(w.client().get(other).await.code(), 404);
}
