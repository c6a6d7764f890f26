//! Writing dead letters down.

use common::Event;
use db::Db;
use uuid::Uuid;

use crate::metrics::Metrics;

/// Longer reasons are cut.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// An event that is given up.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) body: &'a [u8],
    /// Of the delivery: an envelope that cannot be read has no type of its own.
    pub(crate) routing_key: &'a str,
    pub(crate) reason: String,
    pub(crate) attempts: i64,
}

/// The table of dead letters of one consumer.
#[derive(Clone)]
pub(crate) struct Letters {
    db: Db,
    metrics: Metrics,
    consumer: &'static str,
    insert: String,
}

impl Letters {
    pub(crate) fn new(consumer: &'static str, db: Db, metrics: Metrics) -> Self {
        // A letter may be written again when its acknowledgement was lost: the hash of the body tells.
        let insert = format!(
            "insert into {}.dead_letters
               (consumer, event_id, event_type, subject, body, reason, attempts, body_hash)
             select $1, d.event_id, left(d.event_type, 100), left(d.subject, 255), d.body, d.reason,
               d.attempts, sha256(d.body)
             from unnest($2::uuid[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::int[])
               as d(event_id, event_type, subject, body, reason, attempts)
             on conflict (consumer, event_id, body_hash) do nothing",
            db.schema()
        );
        Self {
            db,
            metrics,
            consumer,
            insert,
        }
    }

    /// Writes all letters by one statement. Whatever the bodies hold, it fails only when Postgres does.
    pub(crate) async fn bury(&self, letters: &[Letter<'_>]) -> Result<(), db::Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let events: Vec<Option<Event>> = letters.iter().map(|l| Event::decode(l.body).ok()).collect();
        let ids: Vec<Option<Uuid>> = events.iter().map(|e| e.as_ref().map(|e| e.id)).collect();
        let types: Vec<String> = events
            .iter()
            .zip(letters)
            .map(|(event, letter)| storable(event.as_ref().map_or(letter.routing_key, |e| &e.event_type)))
            .collect();
        let subjects: Vec<Option<String>> = events
            .iter()
            .map(|event| event.as_ref()?.subject.as_deref().map(storable))
            .collect();
        let bodies: Vec<&[u8]> = letters.iter().map(|l| l.body).collect();
        let reasons: Vec<String> = letters.iter().map(|l| reason(&l.reason)).collect();
        let attempts: Vec<i32> = letters
            .iter()
            .map(|l| i32::try_from(l.attempts).unwrap_or(i32::MAX))
            .collect();
        self.db
            .worker_query(
                &self.insert,
                &[
                    &self.consumer,
                    &ids,
                    &types,
                    &subjects,
                    &bodies,
                    &reasons,
                    &attempts,
                ],
            )
            .await?;
        self.metrics.dead_letters(letters.len());
        for ((letter, event_id), event_type) in letters.iter().zip(&ids).zip(&types) {
            tracing::error!(
                ?event_id,
                event_type,
                reason = letter.reason,
                "event is a dead letter"
            );
        }
        Ok(())
    }
}

/// A reason as the table takes it.
pub(crate) fn reason(text: &str) -> String {
    storable(text).chars().take(REASON_CHARACTERS_MAX).collect()
}

/// Postgres' text holds every character but NUL.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
