//! Storing predictions: the main job's transaction, for one prediction or a thousand.
//!
//! One round trip locks the profiles, stores what is new, and reads what the profiles are made of; the commit takes the
//! rest along. Only where a message had a prediction before, or its author no profile, more is asked in between.

use std::collections::{BTreeSet, HashMap, HashSet};

use bus::{NewEvent, Outbox};
use chrono::{DateTime, TimeDelta, Utc};
use common::contracts::PredictionRecorded;
use common::{Probability, SenderRole};
use db::{Db, Params, Row, ToSql, Tx};

use super::decide::Action;
use super::recompute::{Recompute, Recomputed, recompute};
use crate::domain::policy::Thresholds;
use crate::domain::prediction::NewPrediction;
use crate::domain::profile::Profile;
use crate::domain::windows::SHORT_DAYS;
use crate::error::Error;
use crate::store::predictions::{self, Columns, Existing, Stored};
use crate::store::{policies, profiles, windows};

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

/// The first round trip of a transaction that records predictions.
pub(crate) struct Opening {
    columns: Columns,
}

/// What the opening found: what became of each prediction, and what the profiles are made of now.
pub(crate) struct Opened {
    stored: Vec<Stored>,
    what: Recompute,
}

/// The parameters of the opening's statements.
struct Sent<'a> {
    authors: [&'a (dyn ToSql + Sync); 1],
    counted: [&'a (dyn ToSql + Sync); 2],
    given: [&'a (dyn ToSql + Sync); 11],
}

impl Opening {
    pub(crate) fn new(given: &[NewPrediction], now: Option<DateTime<Utc>>) -> Self {
        Self {
            columns: Columns::new(given, now),
        }
    }

    /// Begins a transaction with it.
    pub(crate) async fn begin(&self, db: &Db) -> Result<(Tx, Opened), db::Error> {
        let sent = self.sent();
        let (tx, results) = db.begin_worker_with(&sent.statements()).await?;
        Ok((tx, Opened::from_rows(results)?))
    }

    /// Runs it in a transaction that has begun.
    pub(crate) async fn run(&self, tx: &Tx) -> Result<Opened, db::Error> {
        let sent = self.sent();
        Opened::from_rows(tx.pipeline(&sent.statements()).await?)
    }

    fn sent(&self) -> Sent<'_> {
        Sent {
            authors: [self.columns.message_ids()],
            counted: [self.columns.message_ids(), self.columns.now()],
            given: self.columns.params(),
        }
    }
}

impl Sent<'_> {
    /// In this order: what stands is asked once the profiles are locked, and counted once the new is stored.
    fn statements(&self) -> [(&str, Params<'_>); 5] {
        let [messages, scored] = windows::of_authors().with(&self.counted);
        [
            (profiles::LOCK_AUTHORS, &self.authors),
            (predictions::STORE, &self.given),
            messages,
            scored,
            (policies::ACTIVE, &[]),
        ]
    }
}

impl Opened {
    fn from_rows(mut results: Vec<Vec<Row>>) -> Result<Self, db::Error> {
        let stored = if results.len() > 1 {
            results.remove(1)
        } else {
            Vec::new()
        };
        Ok(Self {
            stored: stored
                .iter()
                .map(predictions::stored_from_row)
                .collect::<Result<_, _>>()?,
            what: Recompute::from_rows(&results)?,
        })
    }
}

/// What a prediction came to.
enum Fate {
    Refused(Error),
    Recorded { id: i64, user_id: String, is_new: bool },
}

/// Says what became of each prediction, in the order given, and recomputes the profiles of their clients. `opened` is
/// what [`Opening`] yielded for them in the same transaction.
pub(crate) async fn record(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    given: &[NewPrediction],
    opened: Opened,
) -> Result<Vec<Outcome>, Error> {
    let Opened { stored, mut what } = opened;
    let all_locked = lock_all(tx, &mut what, &stored, now).await?;
    let existing = predictions::existing(tx, &contested(&stored, all_locked)).await?;
    let superseded = settle_versions(tx, &existing).await?;
    read_again(tx, &mut what, &stored, &superseded, now).await?;
    let fates = fates(given, &stored, &existing);
    let touched: HashSet<&str> = fates.iter().filter_map(Fate::user_id).collect();
    what.standings
        .retain(|standing| touched.contains(standing.user_id.as_str()));
    let mut events = Vec::with_capacity(given.len());
    for (prediction, stored) in stored_anew(given, &stored) {
        events.push(prediction_recorded(prediction, stored)?);
        let instant = what.readings.get(&stored.user_id).map(|readings| readings.now);
        let counts = stored.id.is_some_and(|id| !superseded.contains_key(&id));
        if counts && instant.is_some_and(|now| is_high_risk(prediction, stored, now, &what.policy.thresholds))
        {
            what.high_risk_evidence.insert(stored.user_id.clone());
        }
    }
    let recomputed = recompute(tx, outbox, what, events).await?;
    Ok(fates
        .into_iter()
        .zip(given)
        .map(|(fate, prediction)| outcome(fate, prediction, &recomputed))
        .collect())
}

/// A message may be scored before its author's account was announced: the profile is made here, then, and all are locked.
/// Returns whether they were already when the predictions were stored.
async fn lock_all(
    tx: &Tx,
    what: &mut Recompute,
    stored: &[Stored],
    now: Option<DateTime<Utc>>,
) -> Result<bool, db::Error> {
    let locked: HashSet<&str> = what
        .standings
        .iter()
        .map(|standing| standing.user_id.as_str())
        .collect();
    let authors: BTreeSet<&str> = stored.iter().map(|stored| stored.user_id.as_str()).collect();
    if authors.iter().all(|author| locked.contains(author)) {
        return Ok(true);
    }
    let authors: Vec<&str> = authors.into_iter().collect();
    profiles::create(tx, &authors, now).await?;
    *what = Recompute::lock(tx, &authors, now).await?;
    Ok(false)
}

/// Reads the windows again of the clients of whom a prediction counts no more.
async fn read_again(
    tx: &Tx,
    what: &mut Recompute,
    stored: &[Stored],
    superseded: &HashMap<i64, i64>,
    now: Option<DateTime<Utc>>,
) -> Result<(), db::Error> {
    let messages: HashSet<&i64> = superseded.values().collect();
    let clients: BTreeSet<&str> = stored
        .iter()
        .filter(|stored| messages.contains(&stored.message_id))
        .map(|stored| stored.user_id.as_str())
        .collect();
    if !clients.is_empty() {
        let clients: Vec<&str> = clients.into_iter().collect();
        what.readings.extend(windows::read(tx, &clients, now).await?);
    }
    Ok(())
}

/// The messages of which more must be known: one that had a prediction before, or got several now. What was stored before
/// all profiles were locked may have met with another's that was not to be seen yet.
fn contested(stored: &[Stored], all_locked: bool) -> Vec<i64> {
    let mut seen = HashSet::new();
    stored
        .iter()
        .filter(|stored| stored.sender_role == SenderRole::User)
        .filter(|stored| {
            let repeated = !seen.insert(stored.message_id);
            repeated || !all_locked || stored.is_contested || stored.id.is_none()
        })
        .map(|stored| stored.message_id)
        .collect()
}

/// Of several predictions of one message one counts. Returns those that did and do no more, each with its message.
async fn settle_versions(tx: &Tx, existing: &[Existing]) -> Result<HashMap<i64, i64>, db::Error> {
    let mut by_message: HashMap<i64, Vec<&Existing>> = HashMap::new();
    for prediction in existing {
        by_message
            .entry(prediction.message_id)
            .or_default()
            .push(prediction);
    }
    let superseded: HashMap<i64, i64> = by_message
        .iter()
        .flat_map(|(message_id, versions)| superseded(versions).into_iter().map(|id| (id, *message_id)))
        .collect();
    predictions::supersede(tx, &superseded.keys().copied().collect::<Vec<_>>()).await?;
    Ok(superseded)
}

/// Of the predictions of one message, those that count although they are not the one with the greatest (timestamp, id).
fn superseded(versions: &[&Existing]) -> Vec<i64> {
    let winner = versions
        .iter()
        .map(|version| (version.timestamp, version.id))
        .max();
    versions
        .iter()
        .filter(|version| !version.superseded && Some((version.timestamp, version.id)) != winner)
        .map(|version| version.id)
        .collect()
}

fn fates(given: &[NewPrediction], stored: &[Stored], existing: &[Existing]) -> Vec<Fate> {
    let by_position: HashMap<usize, &Stored> =
        stored.iter().map(|stored| (stored.position, stored)).collect();
    let standing: HashMap<(i64, &str), &Existing> = existing
        .iter()
        .map(|prediction| {
            (
                (prediction.message_id, prediction.model_version.as_str()),
                prediction,
            )
        })
        .collect();
    let mut seen = HashSet::new();
    let fate = |(position, prediction): (usize, &NewPrediction)| {
        let Some(stored) = by_position.get(&position) else {
            return Fate::Refused(Error::NotFound);
        };
        if stored.sender_role != SenderRole::User {
            return Fate::Refused(Error::NotOwnMessage);
        }
        let recorded = |id, is_new| Fate::Recorded {
            id,
            user_id: stored.user_id.clone(),
            is_new,
        };
        let key = (prediction.message_id, prediction.model_version.clone());
        match (stored.id, seen.insert(key)) {
            (Some(id), true) => recorded(id, true),
            // Given twice, or stored earlier: the row that stands decides.
            _ => match standing.get(&(prediction.message_id, prediction.model_version.as_str())) {
                Some(standing) if is_same(standing, prediction) => recorded(standing.id, false),
                Some(_) => Fate::Refused(Error::PredictionDiffers),
                None => Fate::Refused(Error::NotFound),
            },
        }
    };
    given.iter().enumerate().map(fate).collect()
}

/// A repeat that names no time is the same as the first, whenever that was.
fn is_same(standing: &Existing, repeat: &NewPrediction) -> bool {
    standing.scores == repeat.scores
        && standing.risk_score == repeat.risk_score
        && repeat
            .timestamp
            .is_none_or(|timestamp| timestamp == standing.timestamp)
}

/// The predictions that were stored now, each once.
fn stored_anew<'a>(
    given: &'a [NewPrediction],
    stored: &'a [Stored],
) -> impl Iterator<Item = (&'a NewPrediction, &'a Stored)> {
    let mut seen = HashSet::new();
    stored
        .iter()
        .filter(move |stored| stored.id.is_some_and(|id| seen.insert(id)))
        .filter_map(|stored| Some((given.get(stored.position)?, stored)))
}

/// Whether the message is of the last 7 days and high-risk by its scores.
fn is_high_risk(
    prediction: &NewPrediction,
    stored: &Stored,
    now: DateTime<Utc>,
    thresholds: &Thresholds,
) -> bool {
    let at = stored.message_timestamp;
    let scores = &prediction.scores;
    at > now - TimeDelta::days(SHORT_DAYS)
        && at <= now
        && thresholds.is_high_risk(prediction.risk_score, scores.p_relapse, scores.p_craving)
}

fn prediction_recorded(prediction: &NewPrediction, stored: &Stored) -> Result<NewEvent, Error> {
    let data = PredictionRecorded {
        prediction_id: stored.id.unwrap_or_default(),
        message_id: prediction.message_id,
        user_id: stored.user_id.clone(),
        message_timestamp: stored.message_timestamp,
        model_version: prediction.model_version.clone(),
        risk_score: prediction.risk_score.as_f64(),
        p_isolation: prediction.scores.p_isolation.as_f64(),
    };
    Ok(NewEvent::of(Some(stored.user_id.clone()), &data)?.caused_by(prediction.traceparent.clone()))
}

impl Fate {
    fn user_id(&self) -> Option<&str> {
        match self {
            Self::Refused(_) => None,
            Self::Recorded { user_id, .. } => Some(user_id),
        }
    }
}

fn outcome(fate: Fate, prediction: &NewPrediction, recomputed: &Recomputed) -> Outcome {
    let (id, user_id, is_new) = match fate {
        Fate::Refused(error) => return Err(error),
        Fate::Recorded { id, user_id, is_new } => (id, user_id, is_new),
    };
    let decisions = &recomputed.decisions;
    Ok(Recorded {
        id,
        risk_score: prediction.risk_score,
        is_new,
        profile: recomputed
            .profiles
            .get(&user_id)
            .cloned()
            .ok_or(Error::NotFound)?,
        escalation_id: is_new
            .then(|| decisions.escalations.get(&user_id).copied())
            .flatten(),
        actions: is_new
            .then(|| decisions.actions.get(&user_id).cloned())
            .flatten()
            .unwrap_or_default(),
    })
}
