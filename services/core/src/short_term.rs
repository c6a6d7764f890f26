//! Short-term memory: the last turns of a thread, kept in Redis so that the next reply finds them at once.
//!
//! Postgres is the truth. A window counts only where it ends with the thread's last turn; else it is built anew. So Redis
//! may be flushed, away or behind, and nobody is told a window that lacks a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::thread::Turn;
use crate::store::threads::{Held, Place};

/// What Redis is given for an answer, connection included: a request must not wait for a cache.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How long it is left alone after it did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// Keys that a step of a sweep looks at.
const SCAN_KEYS: usize = 500;

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
}

/// Redis did not do it.
#[derive(Debug)]
pub(crate) struct Away;

impl ShortTerm {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// Where the URL is none.
    pub(crate) fn new(config: ShortTermConfig) -> Result<Self, redis::RedisError> {
        let client = redis::Client::open(config.url.expose_secret())?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_number_of_retries(1);
        Ok(Self(Arc::new(Inner {
            connection: ConnectionManager::new_lazy_with_config(client, settings)?,
            config,
            began: Instant::now(),
            rests_until: AtomicU64::new(0),
            works: AtomicBool::new(true),
        })))
    }

    /// Whether Redis did what it was last asked.
    pub(crate) fn works(&self) -> bool {
        self.0.works.load(Ordering::Relaxed)
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

    /// Appends a turn that is stored. Where that fails, the window ends with another turn than the thread, and is built
    /// anew by whoever reads it.
    pub(crate) async fn append(&self, place: Place<'_>, before: &Held, turn: &Turn) {
        let Ok(text) = serde_json::to_string(turn) else {
            return;
        };
        // Behind what was forgotten, the window begins anew.
        let last = if before.last_turn_id > before.window_from {
            before.last_turn_id
        } else {
            0
        };
        let mut command = self.script(APPEND, place);
        command
            .arg(last)
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

    /// Lets go of windows. Where Redis is away, they are found again by [`Self::people`].
    pub(crate) async fn forget(&self, user_id: &str, threads: &[(String, String)]) {
        if threads.is_empty() {
            return;
        }
        let mut command = redis::cmd("DEL");
        for (role, thread_id) in threads {
            command.arg(self.key(Place {
                user_id,
                role,
                thread_id,
            }));
        }
        self.ask::<i64>(&command).await.ok();
    }

    /// A step through all windows: each key with the person in it, and where the next step begins; 0 at the end.
    ///
    /// # Errors
    /// Where Redis is away.
    pub(crate) async fn people(&self, cursor: u64) -> Result<(u64, Vec<(String, String)>), Away> {
        let start = format!("{}memory:short_term:", self.0.config.prefix);
        let mut command = redis::cmd("SCAN");
        command
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{start}*"))
            .arg("COUNT")
            .arg(SCAN_KEYS);
        let (next, keys): (u64, Vec<String>) = self.ask(&command).await?;
        let named = keys.into_iter().filter_map(|key| {
            let person = key.strip_prefix(&start)?.split(':').next()?.to_owned();
            Some((key, person))
        });
        Ok((next, named.collect()))
    }

    /// Deletes keys of [`Self::people`].
    ///
    /// # Errors
    /// Where Redis is away.
    pub(crate) async fn delete(&self, keys: &[String]) -> Result<u64, Away> {
        let mut command = redis::cmd("DEL");
        command.arg(keys);
        self.ask(&command).await
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
        format!("{prefix}memory:short_term:{user_id}:{role}:{thread_id}")
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
                Err(error) if !error.is_timeout() => command.query_async(&mut connection).await,
                done => done,
            }
        };
        let done = tokio::time::timeout(2 * TIMEOUT, twice).await;
        let works = matches!(done, Ok(Ok(_)));
        if self.0.works.swap(works, Ordering::Relaxed) != works {
            tracing::warn!(works, "short-term memory comes or goes");
        }
        if !works {
            let pause = u64::try_from(PAUSE.as_millis()).unwrap_or_default();
            self.0.rests_until.store(self.now() + pause, Ordering::Relaxed);
        }
        done.map_err(|_| Away)?.map_err(|_| Away)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
