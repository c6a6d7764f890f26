//! Storing predictions: the main job's transaction, for one prediction or a thousand.

use std::collections::{BTreeSet, HashMap, HashSet};

use bus::{NewEvent, Outbox};
use chrono::{DateTime, TimeDelta, Utc};
use common::contracts::PredictionRecorded;
use common::{Probability, SenderRole};
use db::{Row, Tx};

use super::decide::Action;
use super::recompute::{Recompute, Recomputed, recompute};
use crate::domain::policy::{Policy, Thresholds};
use crate::domain::prediction::NewPrediction;
use crate::domain::profile::{Profile, Standing};
use crate::domain::windows::SHORT_DAYS;
use crate::error::Error;
use crate::store::predictions::{self, Existing, Insert};
use crate::store::{messages, policies, profiles};

/// What became of one prediction.
pub(crate) type Outcome = Result<Recorded, Error>;

/// A prediction that stands.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) id: i64,
    pub(crate) risk_score: Probability,
    /// Whether it was stored now; a repeat finds the row that stands.
    pub(crate) is_new: bool,
    /// The client's profile after everything of this transaction.
    pub(crate) profile: Profile,
    pub(crate) escalation_id: Option<i64>,
    pub(crate) actions: Vec<Action>,
}

/// What the transaction found once it had locked the profiles.
struct Found {
    policy: Policy,
    /// The database's clock once the locks were held.
    read_at: DateTime<Utc>,
    standings: Vec<Standing>,
    messages: HashMap<i64, messages::Message>,
    existing: HashMap<i64, Vec<Existing>>,
}

/// What a transaction of predictions reads first, in this order and in one round trip: what exists already is read
/// after the profiles are locked. `ids` holds one parameter, the ids of the messages.
pub(crate) fn lookups<'a>(ids: db::Params<'a>) -> [(&'static str, db::Params<'a>); 4] {
    [
        (profiles::LOCK_AUTHORS, ids),
        (messages::FIND, ids),
        (predictions::EXISTING, ids),
        (policies::ACTIVE, &[]),
    ]
}

/// The ids that [`lookups`] wants.
pub(crate) fn message_ids(given: &[NewPrediction]) -> Vec<i64> {
    given.iter().map(|prediction| prediction.message_id).collect()
}

impl Found {
    fn from_rows(rows: &[Vec<Row>]) -> Result<Self, db::Error> {
        let [locked, found, existing, policy] = rows else {
            return Err(db::Error::Row("the lookups have four results".to_owned()));
        };
        let mut messages = HashMap::new();
        for row in found {
            let message = messages::from_row(row)?;
            messages.insert(message.message_id, message);
        }
        let mut by_message: HashMap<i64, Vec<Existing>> = HashMap::new();
        for row in existing {
            let prediction = predictions::existing_from_row(row)?;
            by_message
                .entry(prediction.message_id)
                .or_default()
                .push(prediction);
        }
        Ok(Self {
            policy: policies::from_rows(policy)?,
            read_at: policies::read_at(policy)?,
            standings: locked
                .iter()
                .map(profiles::standing_from_row)
                .collect::<Result<_, _>>()?,
            messages,
            existing: by_message,
        })
    }
}

/// A message may be scored before its author's account was announced: the profile is made here, then, and everything
/// is read again, because only with the profile locked does what exists stand still.
async fn with_profiles(
    tx: &Tx,
    found: Found,
    message_ids: &[i64],
    now: Option<DateTime<Utc>>,
) -> Result<Found, db::Error> {
    let locked: HashSet<&str> = found
        .standings
        .iter()
        .map(|standing| standing.user_id.as_str())
        .collect();
    let authors: BTreeSet<&str> = found
        .messages
        .values()
        .map(|message| message.user_id.as_str())
        .collect();
    let missing: Vec<&str> = authors
        .into_iter()
        .filter(|author| !locked.contains(author))
        .collect();
    if missing.is_empty() {
        return Ok(found);
    }
    profiles::create(tx, &missing, now).await?;
    Found::from_rows(&tx.pipeline(&lookups(&[&message_ids])).await?)
}

/// The predictions that are to be stored, sorted out from those that stand already or cannot be.
#[derive(Default)]
struct Sorted {
    /// What each prediction given came to, in their order.
    fates: Vec<Fate>,
    inserts: Vec<Insert>,
    /// Stored predictions that no longer count.
    superseded: Vec<i64>,
}

enum Fate {
    Refused(Error),
    Stands {
        id: i64,
        user_id: String,
        risk_score: Probability,
    },
    /// The n-th of the inserts.
    Stored {
        insert: usize,
        is_new: bool,
    },
}

/// Stores the predictions that can be, recomputes the profiles of their clients, and says what became of each, in
/// the order given. `found` is what [`lookups`] yielded in the same transaction.
pub(crate) async fn record(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    given: &[NewPrediction],
    found: &[Vec<Row>],
) -> Result<Vec<Outcome>, Error> {
    let found = with_profiles(tx, Found::from_rows(found)?, &message_ids(given), now).await?;
    let instant = now.unwrap_or(found.read_at);
    let sorted = sort(given, &found, instant);
    let ids = predictions::insert(tx, &sorted.inserts).await?;
    predictions::supersede(tx, &sorted.superseded).await?;
    let mut events = Vec::with_capacity(ids.len());
    for (insert, id) in sorted.inserts.iter().zip(&ids) {
        events.push(prediction_recorded(insert, *id)?);
    }
    // A repeat answers with the profile as well, computed anew like the others: it is exact either way.
    let touched = touched_users(&sorted);
    let standings = found
        .standings
        .into_iter()
        .filter(|standing| touched.contains(&standing.user_id))
        .collect();
    let high_risk_evidence = high_risk_users(&sorted.inserts, &found.policy.thresholds, instant);
    let what = Recompute {
        policy: &found.policy,
        standings,
        high_risk_evidence,
        now,
    };
    let recomputed = recompute(tx, outbox, what, events).await?;
    Ok(sorted
        .fates
        .into_iter()
        .map(|fate| outcome(fate, &sorted.inserts, &ids, &recomputed))
        .collect())
}

fn touched_users(sorted: &Sorted) -> HashSet<String> {
    let standing = sorted.fates.iter().filter_map(|fate| match fate {
        Fate::Stands { user_id, .. } => Some(user_id.clone()),
        Fate::Refused(_) | Fate::Stored { .. } => None,
    });
    standing
        .chain(sorted.inserts.iter().map(|insert| insert.user_id.clone()))
        .collect()
}

fn sort(given: &[NewPrediction], found: &Found, now: DateTime<Utc>) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen: HashMap<(i64, &str), usize> = HashMap::new();
    for prediction in given {
        let fate = sort_one(prediction, found, now, &mut sorted, &mut seen);
        sorted.fates.push(fate);
    }
    settle_versions(&mut sorted, &found.existing);
    sorted
}

fn sort_one<'g>(
    prediction: &'g NewPrediction,
    found: &Found,
    now: DateTime<Utc>,
    sorted: &mut Sorted,
    seen: &mut HashMap<(i64, &'g str), usize>,
) -> Fate {
    let Some(message) = found.messages.get(&prediction.message_id) else {
        return Fate::Refused(Error::NotFound);
    };
    if message.sender_role != SenderRole::User {
        return Fate::Refused(Error::NotOwnMessage);
    }
    let mut existing = found.existing.get(&prediction.message_id).into_iter().flatten();
    if let Some(standing) = existing.find(|standing| standing.model_version == prediction.model_version) {
        let same = standing.scores == prediction.scores
            && standing.risk_score == prediction.risk_score
            && prediction
                .timestamp
                .is_none_or(|timestamp| timestamp == standing.timestamp);
        return if same {
            let user_id = message.user_id.clone();
            Fate::Stands {
                id: standing.id,
                user_id,
                risk_score: standing.risk_score,
            }
        } else {
            Fate::Refused(Error::PredictionDiffers)
        };
    }
    let insert = Insert {
        message_id: message.message_id,
        user_id: message.user_id.clone(),
        timestamp: prediction.timestamp.unwrap_or(now),
        message_timestamp: message.timestamp,
        scores: prediction.scores,
        risk_score: prediction.risk_score,
        conversation_type: message.conversation_type,
        model_version: prediction.model_version.clone(),
        superseded: false,
        traceparent: prediction.traceparent.clone(),
    };
    let key = (prediction.message_id, prediction.model_version.as_str());
    if let Some(earlier) = seen.get(&key).copied() {
        let same = sorted
            .inserts
            .get(earlier)
            .is_some_and(|first| is_same(first, &insert, prediction.timestamp));
        return if same {
            Fate::Stored {
                insert: earlier,
                is_new: false,
            }
        } else {
            Fate::Refused(Error::PredictionDiffers)
        };
    }
    seen.insert(key, sorted.inserts.len());
    sorted.inserts.push(insert);
    Fate::Stored {
        insert: sorted.inserts.len() - 1,
        is_new: true,
    }
}

/// A repeat that names no time is the same as the first, whenever that was.
fn is_same(first: &Insert, repeat: &Insert, given: Option<DateTime<Utc>>) -> bool {
    first.scores == repeat.scores
        && first.risk_score == repeat.risk_score
        && given.is_none_or(|timestamp| timestamp == first.timestamp)
}

/// Of several predictions of one message the one with the greatest (timestamp, id) counts. New ids are greater
/// than stored ones and follow the order of the inserts.
fn settle_versions(sorted: &mut Sorted, existing: &HashMap<i64, Vec<Existing>>) {
    let mut winners: HashMap<i64, usize> = HashMap::new();
    for position in 0..sorted.inserts.len() {
        let Some(insert) = sorted.inserts.get(position) else {
            continue;
        };
        let (message_id, timestamp) = (insert.message_id, insert.timestamp);
        let standing = existing
            .get(&message_id)
            .into_iter()
            .flatten()
            .find(|standing| !standing.superseded);
        let rival = winners.get(&message_id).copied();
        let rival_timestamp = rival
            .and_then(|rival| sorted.inserts.get(rival))
            .map(|rival| rival.timestamp);
        let wins = match (rival_timestamp, standing) {
            (Some(rival), _) => timestamp >= rival,
            (None, Some(standing)) => timestamp >= standing.timestamp,
            (None, None) => true,
        };
        let loser = if wins { rival } else { Some(position) };
        if wins {
            winners.insert(message_id, position);
            if let (None, Some(standing)) = (rival, standing) {
                sorted.superseded.push(standing.id);
            }
        }
        if let Some(loser) = loser.and_then(|loser| sorted.inserts.get_mut(loser)) {
            loser.superseded = true;
        }
    }
}

/// Clients of whom a high-risk message of the last 7 days was scored just now.
fn high_risk_users(inserts: &[Insert], thresholds: &Thresholds, now: DateTime<Utc>) -> HashSet<String> {
    inserts
        .iter()
        .filter(|insert| !insert.superseded && is_in_short_window(insert.message_timestamp, now))
        .filter(|insert| {
            insert.risk_score >= thresholds.high
                || insert.scores.p_relapse >= thresholds.relapse
                || insert.scores.p_craving >= thresholds.craving
        })
        .map(|insert| insert.user_id.clone())
        .collect()
}

fn is_in_short_window(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at > now - TimeDelta::days(SHORT_DAYS) && at <= now
}

fn prediction_recorded(insert: &Insert, id: i64) -> Result<NewEvent, Error> {
    let data = PredictionRecorded {
        prediction_id: id,
        message_id: insert.message_id,
        user_id: insert.user_id.clone(),
        message_timestamp: insert.message_timestamp,
        model_version: insert.model_version.clone(),
        risk_score: insert.risk_score.as_f64(),
        p_isolation: insert.scores.p_isolation.as_f64(),
    };
    Ok(NewEvent::of(Some(insert.user_id.clone()), &data)?.caused_by(insert.traceparent.clone()))
}

fn outcome(fate: Fate, inserts: &[Insert], ids: &[i64], recomputed: &Recomputed) -> Outcome {
    let (id, user_id, risk_score, is_new) = match fate {
        Fate::Refused(error) => return Err(error),
        Fate::Stands {
            id,
            user_id,
            risk_score,
        } => (id, user_id, risk_score, false),
        Fate::Stored { insert, is_new } => {
            let (row, id) = inserts.get(insert).zip(ids.get(insert)).ok_or(Error::NotFound)?;
            (*id, row.user_id.clone(), row.risk_score, is_new)
        }
    };
    let profile = recomputed
        .profiles
        .get(&user_id)
        .cloned()
        .ok_or(Error::NotFound)?;
    let actions = if is_new {
        recomputed.decisions.actions.get(&user_id).cloned()
    } else {
        None
    };
    let escalation_id = if is_new {
        recomputed.decisions.escalations.get(&user_id).copied()
    } else {
        None
    };
    Ok(Recorded {
        id,
        risk_score,
        is_new,
        profile,
        escalation_id,
        actions: actions.unwrap_or_default(),
    })
}
