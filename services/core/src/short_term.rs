//! Short-term memory: the last turns of a thread, kept in Redis so that the next reply finds them at once.
//!
//! Postgres is the truth. A window counts only where it ends with the thread's last turn; else it is built anew. So Redis
//! may be flushed, away or behind, and nobody is told a window that lacks a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::thread::{Turn, Window};
use crate::store::threads::Place;

/// What Redis is given for an answer, connection included: a request must not wait for a cache.
const MAX_WAIT_MILLISECONDS: u64 = 100;
/// How long a connection may take, which is made in the background once it was given up by who needed it first.
const MAX_CONNECT_MILLISECONDS: u64 = 1_000;
/// How long Redis is left alone after it did not answer.
const PAUSE_MILLISECONDS: u64 = 1_000;
/// Keys that one step of a sweep looks at, about.
const SCAN_KEYS: usize = 1_000;
/// Steps of a sweep in one round.
const MAX_SCAN_STEPS: usize = 20;
/// Keys that are deleted by one command, at most.
const MAX_DELETED_KEYS: usize = 1_000;

/// In front of client, role and thread.
const KEY: &str = "memory:short_term:";

/// Appends a turn behind the one that must be the last, or lets go of a window that ends with another.
/// Key; the turn before (0 where it is the first), the turn, how many are kept, for how many seconds.
const APPEND: &str = "
    local last = redis.call('LINDEX', KEYS[1], -1)
    local before = tonumber(ARGV[1])
    if last and cjson.decode(last).reply_id ~= before then
        return redis.call('DEL', KEYS[1])
    end
    if not last and before ~= 0 then
        return 0
    end
    redis.call('RPUSH', KEYS[1], ARGV[2])
    redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
    return redis.call('EXPIRE', KEYS[1], ARGV[4])";

/// Puts a window in place of an older one. Key; seconds, its last turn, its turns.
const REPLACE: &str = "
    local last = redis.call('LINDEX', KEYS[1], -1)
    if last and cjson.decode(last).reply_id > tonumber(ARGV[2]) then
        return 0
    end
    redis.call('DEL', KEYS[1])
    for turn = 3, #ARGV do
        redis.call('RPUSH', KEYS[1], ARGV[turn])
    end
    return redis.call('EXPIRE', KEYS[1], ARGV[1])";

/// How short-term memory is kept.
#[derive(Clone, Debug)]
pub struct ShortTermConfig {
    /// Redis.
    pub url: SecretString,
    /// In front of every key.
    pub prefix: String,
    /// Turns of a window.
    pub turns: u32,
    /// How long a window lives after its last turn, in seconds.
    pub seconds: u32,
}

/// The way to the windows. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct ShortTerm(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    config: ShortTermConfig,
    began: Instant,
    /// Milliseconds after `began` until which Redis is left alone.
    rests_until: AtomicU64,
    works: AtomicBool,
    /// Where the next sweep begins.
    sweep_from: AtomicU64,
}

/// Redis did not do it.
#[derive(Debug, thiserror::Error)]
#[error("Redis does not answer")]
pub(crate) struct Away;

/// A thread of which a window is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) user_id: String,
    pub(crate) role: String,
    pub(crate) thread_id: String,
}

impl Kept {
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            user_id: &self.user_id,
            role: &self.role,
            thread_id: &self.thread_id,
        }
    }
}

impl ShortTerm {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// Where the URL is none.
    pub(crate) fn new(config: ShortTermConfig) -> Result<Self, redis::RedisError> {
        let client = redis::Client::open(config.url.expose_secret())?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_millis(MAX_CONNECT_MILLISECONDS)))
            .set_response_timeout(None)
            .set_number_of_retries(0);
        Ok(Self(Arc::new(Inner {
            connection: ConnectionManager::new_lazy_with_config(client, settings)?,
            config,
            began: Instant::now(),
            rests_until: AtomicU64::new(0),
            works: AtomicBool::new(true),
            sweep_from: AtomicU64::new(0),
        })))
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// Where it does not.
    pub(crate) async fn ping(&self) -> Result<(), Away> {
        self.ask::<String>(&redis::cmd("PING")).await.map(drop)
    }

    /// Turns of a window.
    pub(crate) fn turns(&self) -> i64 {
        i64::from(self.0.config.turns)
    }

    /// The window as Redis has it; nothing where it has none or is away.
    pub(crate) async fn get(&self, place: Place<'_>) -> Vec<Turn> {
        let mut command = redis::cmd("LRANGE");
        command.arg(self.key(place)).arg(0).arg(-1);
        let found: Vec<String> = self.ask(&command).await.unwrap_or_default();
        let turns = found.iter().map(|turn| serde_json::from_str(turn));
        turns.collect::<Result<_, _>>().unwrap_or_default()
    }

    /// Appends a turn that is stored to the window as it was before. Where that fails, the window ends with another turn
    /// than the thread, and is built anew by whoever reads it.
    pub(crate) async fn append(&self, place: Place<'_>, before: Window, turn: &Turn) {
        let Ok(text) = serde_json::to_string(turn) else {
            return;
        };
        let mut command = self.script(APPEND, place);
        command
            .arg(before.last())
            .arg(text)
            .arg(self.0.config.turns)
            .arg(self.0.config.seconds);
        self.ask::<i64>(&command).await.ok();
    }

    /// Puts a window there that was built from what is stored.
    pub(crate) async fn replace(&self, place: Place<'_>, turns: &[Turn]) {
        let Some(last) = turns.last() else { return };
        let texts: Result<Vec<String>, _> = turns.iter().map(serde_json::to_string).collect();
        let Ok(texts) = texts else { return };
        let mut command = self.script(REPLACE, place);
        command.arg(self.0.config.seconds).arg(last.reply_id).arg(texts);
        self.ask::<i64>(&command).await.ok();
    }

    /// Lets go of windows. Where Redis is away, a sweep finds them again if their threads are gone.
    pub(crate) async fn forget<'a>(&self, places: impl IntoIterator<Item = Place<'a>>) {
        let keys: Vec<String> = places.into_iter().map(|place| self.key(place)).collect();
        for keys in keys.chunks(MAX_DELETED_KEYS) {
            let mut command = redis::cmd("UNLINK");
            command.arg(keys);
            if self.ask::<i64>(&command).await.is_err() {
                return;
            }
        }
    }

    /// Some of the threads of which windows are kept, beginning where the last call ended.
    ///
    /// # Errors
    /// Where Redis is away.
    pub(crate) async fn some_kept(&self) -> Result<Vec<Kept>, Away> {
        let start = format!("{}{KEY}", self.0.config.prefix);
        let mut kept = Vec::new();
        for _ in 0..MAX_SCAN_STEPS {
            let mut command = redis::cmd("SCAN");
            command
                .arg(self.0.sweep_from.load(Ordering::Relaxed))
                .arg("MATCH")
                .arg(format!("{start}*"))
                .arg("COUNT")
                .arg(SCAN_KEYS);
            let (next, keys): (u64, Vec<String>) = self.ask(&command).await?;
            self.0.sweep_from.store(next, Ordering::Relaxed);
            kept.extend(
                keys.iter()
                    .filter_map(|key| kept_under(key.strip_prefix(&start)?)),
            );
            if next == 0 {
                break;
            }
        }
        Ok(kept)
    }

    fn key(
        &self,
        Place {
            user_id,
            role,
            thread_id,
        }: Place<'_>,
    ) -> String {
        let prefix = &self.0.config.prefix;
        format!("{prefix}{KEY}{user_id}:{role}:{thread_id}")
    }

    fn script(&self, script: &str, place: Place<'_>) -> redis::Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(self.key(place));
        command
    }

    /// Asks twice: the first command after a restart of Redis meets a connection that is gone.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Away> {
        if self.now() < self.0.rests_until.load(Ordering::Relaxed) {
            return Err(Away);
        }
        let mut connection = self.0.connection.clone();
        let twice = async {
            match command.query_async(&mut connection).await {
                Err(error) if error.is_io_error() => command.query_async(&mut connection).await,
                done => done,
            }
        };
        let done = tokio::time::timeout(Duration::from_millis(MAX_WAIT_MILLISECONDS), twice).await;
        let works = matches!(done, Ok(Ok(_)));
        if self.0.works.swap(works, Ordering::Relaxed) != works {
            tracing::warn!(works, "short-term memory comes or goes");
        }
        if !works {
            let until = self.now() + PAUSE_MILLISECONDS;
            self.0.rests_until.store(until, Ordering::Relaxed);
        }
        done.map_err(|_| Away)?.map_err(|_| Away)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a key names behind its beginning; no id holds a colon.
fn kept_under(names: &str) -> Option<Kept> {
    let mut names = names.split(':').map(str::to_owned);
    let kept = Kept {
        user_id: names.next()?,
        role: names.next()?,
        thread_id: names.next()?,
    };
    names.next().is_none().then_some(kept)
}
