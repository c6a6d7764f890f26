//! What is kept for years ends when its term is over: messages are nobody's after two, disclosures go after three, audit rows
//! after six.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::domain::redaction::Redaction;
use crate::error::Error;
use crate::ops::tell_deleted::{Deleted, tell_deleted};
use crate::state::State;
use crate::store::messages::Ended;
use crate::store::threads::Place;
use crate::store::{audit, disclosures, messages, threads};

/// Messages that end in one round: their texts are read.
const MAX_MESSAGES: i64 = 200;
/// Disclosures that go in one round.
const MAX_DISCLOSURES: i64 = 1_000;

/// Threads that go in one round.
const MAX_THREADS: i64 = 1_000;

/// One round; how many messages, empty threads, disclosures and months of the audit ended.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let messages = end_messages(state).await?;
    let tx = state.db.begin_worker().await?;
    let threads = threads::delete_left(&tx, MAX_THREADS, state.message_days).await?;
    tx.commit().await?;
    let tx = state.db.begin_worker().await?;
    let disclosures = disclosures::delete_ended(&tx, MAX_DISCLOSURES).await?;
    tx.commit().await?;
    // By itself: it gives up where it would have to wait for those who write.
    let tx = state.db.begin_worker().await?;
    let months = audit::drop_partitions(&tx).await?;
    tx.commit().await?;
    Ok(messages + threads + disclosures + months)
}

/// Anonymises messages, and tells that they are gone: for everybody else they are.
async fn end_messages(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let ended = messages::lock_ended(&tx, MAX_MESSAGES, state.message_days).await?;
    if ended.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let ids: Vec<i64> = ended.iter().map(|message| message.message_id).collect();
    messages::anonymize(&tx, &ids, &redacted(&ended)).await?;
    let in_threads = ended.iter().filter_map(|message| message.thread.as_ref());
    let of_threads: Vec<Uuid> = in_threads.map(|thread| thread.id).collect();
    threads::forget_titles(&tx, &of_threads, &ids).await?;
    tell_deleted(&tx, &state.outbox, &by_client(&ended))?;
    tx.commit().await?;
    // Where Redis is away, the windows go by themselves, long after their last turn.
    state.short_term.forget(ended.iter().filter_map(place)).await;
    Ok(ended.len() as u64)
}

/// The thread of a message, whose window in short-term memory may still hold its text.
fn place(ended: &Ended) -> Option<Place<'_>> {
    ended.thread.as_ref().map(|thread| Place {
        user_id: &ended.user_id,
        role: &thread.role,
        thread_id: &thread.thread_id,
    })
}

/// Their texts without what names their people, whom many have in common.
fn redacted(ended: &[Ended]) -> Vec<String> {
    let mut known: HashMap<&[String], Redaction> = HashMap::new();
    ended
        .iter()
        .map(|message| {
            known
                .entry(&message.names)
                .or_insert_with(|| Redaction::of(&message.names))
                .apply(&message.message_text)
        })
        .collect()
}

fn by_client(ended: &[Ended]) -> Vec<Deleted> {
    let mut clients: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for message in ended {
        clients
            .entry(&message.user_id)
            .or_default()
            .push(message.message_id);
    }
    let deleted = |(user_id, message_ids): (&str, Vec<i64>)| Deleted {
        user_id: user_id.to_owned(),
        message_ids,
    };
    clients.into_iter().map(deleted).collect()
}
