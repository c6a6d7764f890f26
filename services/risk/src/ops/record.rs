//! Storing predictions, one or a thousand: a fixed number of round trips, whatever their number.
//!
//! The clients are locked first. What was captured and predicted is stored; where something stood already, it is compared.
//! Then levels are settled, and explanations and events go with the commit.

use std::collections::{BTreeSet, HashMap};

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::contracts::ModelPredictionRecorded;
use common::{LevelCause, ModelRiskLevel, ModelStage, Probability};
use db::Tx;

use super::capture::capture;
use super::known::{Known, Made, Ready};
use super::settle_levels::{Levels, settle_levels};
use crate::domain::prediction::NewPrediction;
use crate::domain::snapshot::Snapshot;
use crate::error::Error;
use crate::store::explanations::{self, are_same};
use crate::store::predictions::{self, Key, New, Standing};

/// What became of one prediction.
pub(crate) type Outcome = Result<Recorded, Error>;

/// A prediction that stands.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) prediction_id: i64,
    pub(crate) snapshot_id: i64,
    pub(crate) user_id: String,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) risk_level: ModelRiskLevel,
    pub(crate) threshold: Probability,
    pub(crate) stage: ModelStage,
    /// Whether it was stored now; a repeat finds the row that stands.
    pub(crate) is_new: bool,
}

/// Stores what is new and may be stored; says of each, in the order given, what became of it.
pub(crate) async fn record(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    given: &[NewPrediction],
) -> Result<Vec<Outcome>, Error> {
    let known = Known::read(tx, given, now).await?;
    let checked: Vec<Result<Ready<'_>, Error>> = given.iter().map(|new| known.check(new)).collect();
    let mut good: Vec<Placed<'_>> = Vec::with_capacity(given.len());
    let mut refused: Vec<Option<Error>> = Vec::with_capacity(given.len());
    for placed in place(tx, checked, now).await? {
        match placed {
            Ok(placed) => {
                good.push(placed);
                refused.push(None);
            }
            Err(error) => refused.push(Some(error)),
        }
    }
    let decided = decide(tx, &good, now).await?;
    finish(tx, outbox, now, good.iter().zip(&decided)).await?;
    let mut decided = decided.into_iter();
    let outcome = |refused: Option<Error>| match refused {
        Some(error) => Err(error),
        None => decided.next().unwrap_or(Err(Error::NoClient)),
    };
    Ok(refused.into_iter().map(outcome).collect())
}

/// A prediction whose snapshot stands.
struct Placed<'a> {
    ready: Ready<'a>,
    row: New<'a>,
}

/// Stores the snapshots that came with predictions.
async fn place<'a>(
    tx: &Tx,
    checked: Vec<Result<Ready<'a>, Error>>,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Result<Placed<'a>, Error>>, Error> {
    let brought: Vec<&Snapshot> = checked
        .iter()
        .flatten()
        .filter_map(|ready| match &ready.made_of {
            Made::New(snapshot) => Some(snapshot),
            Made::Stored(_) => None,
        })
        .collect();
    let mut captured = capture(tx, &brought, now).await?.into_iter();
    let mut snapshot_of = |ready: &Ready<'_>| match &ready.made_of {
        Made::Stored(stored) => Ok(stored.snapshot_id),
        Made::New(_) => captured
            .next()
            .unwrap_or(Err(Error::NoClient))
            .map(|captured| captured.snapshot_id),
    };
    Ok(checked
        .into_iter()
        .map(|ready| {
            let ready = ready?;
            let snapshot_id = snapshot_of(&ready)?;
            Ok(Placed {
                row: row(&ready, snapshot_id),
                ready,
            })
        })
        .collect())
}

fn row<'a>(ready: &Ready<'a>, snapshot_id: i64) -> New<'a> {
    let given = ready.given;
    let (risk_level, threshold) = ready.version.level(given.probability);
    New {
        key: Key {
            snapshot_id,
            model_name: &given.model_name,
            model_version: &given.model_version,
        },
        user_id: &given.user_id,
        predicted_at: ready.predicted_at,
        horizon_days: given.horizon.days(),
        probability: given.probability,
        risk_level,
        threshold,
        stage: ready.version.stage,
        metadata: given.metadata.as_ref(),
    }
}

/// Stores each that is new; compares the others with what stands.
async fn decide(tx: &Tx, placed: &[Placed<'_>], now: Option<DateTime<Utc>>) -> Result<Vec<Outcome>, Error> {
    let mut firsts: HashMap<Key<'_>, usize> = HashMap::new();
    for (position, placed) in placed.iter().enumerate() {
        firsts.entry(placed.row.key).or_insert(position);
    }
    let once: Vec<&New<'_>> = placed
        .iter()
        .enumerate()
        .filter(|(position, placed)| firsts.get(&placed.row.key) == Some(position))
        .map(|(_, placed)| &placed.row)
        .collect();
    if once.is_empty() {
        return Ok(Vec::new());
    }
    let stored = predictions::insert(tx, &once, now).await?;
    let mut new: HashMap<usize, i64> = HashMap::new();
    for row in &stored {
        let key = Key {
            snapshot_id: row.snapshot_id,
            model_name: &row.model_name,
            model_version: &row.model_version,
        };
        new.extend(firsts.get(&key).map(|position| (*position, row.prediction_id)));
    }
    let standing = stands(tx, placed, &new).await?;
    Ok(placed
        .iter()
        .enumerate()
        .map(|(position, one)| {
            if let Some(id) = new.get(&position) {
                return Ok(recorded(one, *id, true));
            }
            // Given twice: the first of them is what stands, and its explanations are not stored yet.
            let first = firsts.get(&one.row.key).copied().unwrap_or(position);
            if let (Some(id), Some(first)) = (new.get(&first), placed.get(first)) {
                return if is_same(first, one) {
                    Ok(recorded(first, *id, false))
                } else {
                    Err(Error::PredictionDiffers)
                };
            }
            match standing.get(&position) {
                Some(outcome) => outcome.clone().ok_or(Error::PredictionDiffers),
                None => Err(Error::NoClient),
            }
        })
        .collect())
}

/// What stands in the places of those that are not new: the prediction, or none where it says something else.
async fn stands(
    tx: &Tx,
    placed: &[Placed<'_>],
    new: &HashMap<usize, i64>,
) -> Result<HashMap<usize, Option<Recorded>>, Error> {
    let rest: Vec<usize> = (0..placed.len())
        .filter(|position| !new.contains_key(position))
        .collect();
    let of = |position: &usize| placed.get(*position);
    let rows: Vec<&New<'_>> = rest.iter().filter_map(of).map(|placed| &placed.row).collect();
    let found = predictions::standing(tx, &rows).await?;
    let ids: Vec<i64> = found.iter().map(|standing| standing.prediction_id).collect();
    let explained = explanations::of(tx, &ids).await?;
    let told = |standing: Standing| {
        let position = *rest.get(standing.position)?;
        let placed = of(&position)?;
        let given = placed.ready.given;
        let lines = explained
            .get(&standing.prediction_id)
            .map_or(&[][..], Vec::as_slice);
        // A repeat that names no time is the same as the first, whenever that was.
        let is_same = standing.is_same
            && given.predicted_at.is_none_or(|at| at == standing.predicted_at)
            && are_same(lines, &placed.ready.explanations);
        let stands = Recorded {
            predicted_at: standing.predicted_at,
            risk_level: standing.risk_level,
            threshold: standing.threshold,
            stage: standing.stage,
            ..recorded(placed, standing.prediction_id, false)
        };
        Some((position, is_same.then_some(stands)))
    };
    Ok(found.into_iter().filter_map(told).collect())
}

fn is_same(first: &Placed<'_>, repeat: &Placed<'_>) -> bool {
    let (one, other) = (first.ready.given, repeat.ready.given);
    one.user_id == other.user_id
        && one.horizon == other.horizon
        && one.probability == other.probability
        && one.metadata == other.metadata
        && other.predicted_at.is_none_or(|at| at == first.ready.predicted_at)
        && first.ready.explanations == repeat.ready.explanations
}

fn recorded(placed: &Placed<'_>, prediction_id: i64, is_new: bool) -> Recorded {
    let row = &placed.row;
    Recorded {
        prediction_id,
        snapshot_id: row.key.snapshot_id,
        user_id: row.user_id.to_owned(),
        predicted_at: row.predicted_at,
        risk_level: row.risk_level,
        threshold: row.threshold,
        stage: row.stage,
        is_new,
    }
}

/// Settles levels, and leaves explanations and events to the commit.
async fn finish<'a>(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    told: impl Iterator<Item = (&'a Placed<'a>, &'a Outcome)>,
) -> Result<(), Error> {
    let new: Vec<(&Placed<'_>, &Recorded)> = told
        .filter_map(|(placed, outcome)| Some((placed, outcome.as_ref().ok()?)))
        .filter(|(_, recorded)| recorded.is_new)
        .collect();
    let acting: BTreeSet<&str> = new
        .iter()
        .filter(|(_, recorded)| recorded.stage == ModelStage::Live)
        .map(|(_, recorded)| recorded.user_id.as_str())
        .collect();
    let acting: Vec<&str> = acting.into_iter().collect();
    let levels = settle_levels(tx, &acting, LevelCause::Prediction, now).await?;
    let mut explained = explanations::New::default();
    let mut events = Vec::with_capacity(new.len() + levels.events.len());
    for (placed, recorded) in new {
        let ready = &placed.ready;
        explained.add(
            recorded.prediction_id,
            &ready.explanations,
            ready.made_of.features(),
        );
        events.push(prediction_recorded(placed, recorded, &levels)?);
    }
    explained.store(tx);
    events.extend(levels.events);
    outbox.enqueue(tx, events);
    Ok(())
}

fn prediction_recorded(placed: &Placed<'_>, recorded: &Recorded, levels: &Levels) -> Result<NewEvent, Error> {
    let given = placed.ready.given;
    let data = ModelPredictionRecorded {
        prediction_id: recorded.prediction_id,
        user_id: recorded.user_id.clone(),
        model_name: given.model_name.clone(),
        model_version: given.model_version.clone(),
        stage: recorded.stage.as_str().to_owned(),
        probability: given.probability.as_f64(),
        risk_level: recorded.risk_level,
        predicted_at: recorded.predicted_at,
        // Of a shadow nobody asks whether it pages.
        is_current: (recorded.stage == ModelStage::Live)
            .then(|| levels.current.contains(&recorded.prediction_id)),
    };
    Ok(NewEvent::of(Some(recorded.user_id.clone()), &data)?)
}
