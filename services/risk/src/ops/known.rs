//! What must be known before a prediction is stored: its client, its model, what it was made of, and the time.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::{ModelStage, Probability};
use db::{Params, Row, Tx};
use web::FieldError;

use crate::domain::feature::{BadFeature, FeatureSet};
use crate::domain::level::Thresholds;
use crate::domain::prediction::{Explanation, MadeOf, NewPrediction};
use crate::domain::snapshot::{Features, NewSnapshot, Snapshot, SnapshotKey};
use crate::error::Error;
use crate::store::feature_snapshots::{self, Stored};
use crate::store::model_versions::{self, OF_PREDICTIONS};
use crate::store::{client_levels, clients, feature_sets, word};

/// A version that is asked about, with the features it reads.
pub(crate) struct Version {
    model_name: String,
    version: String,
    pub(crate) stage: ModelStage,
    pub(crate) thresholds: Thresholds,
    set: FeatureSet,
}

/// Everything that predictions refer to, as it stands now.
pub(crate) struct Known {
    now: DateTime<Utc>,
    clients: HashSet<String>,
    versions: Vec<Version>,
    snapshots: HashMap<i64, Stored>,
}

/// A prediction that may be stored.
pub(crate) struct Ready<'a> {
    pub(crate) given: &'a NewPrediction,
    pub(crate) version: &'a Version,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) made_of: Made<'a>,
    pub(crate) explanations: Vec<Explanation>,
}

/// What a prediction is made of, checked.
pub(crate) enum Made<'a> {
    Stored(&'a Stored),
    New(Snapshot),
}

impl Made<'_> {
    pub(crate) fn features(&self) -> &Features {
        match self {
            Self::Stored(stored) => &stored.features,
            Self::New(snapshot) => &snapshot.features,
        }
    }
}

impl Known {
    /// Locks the clients, before anything of theirs is looked at, and reads what the predictions refer to, in one round trip.
    pub(crate) async fn read(
        tx: &Tx,
        given: &[NewPrediction],
        now: Option<DateTime<Utc>>,
    ) -> Result<Self, Error> {
        let users: BTreeSet<&str> = given.iter().map(|new| new.user_id.as_str()).collect();
        let users: Vec<&str> = users.into_iter().collect();
        let models: BTreeSet<(&str, &str)> = given
            .iter()
            .map(|new| (new.model_name.as_str(), new.model_version.as_str()))
            .collect();
        let (names, versions): (Vec<&str>, Vec<&str>) = models.into_iter().unzip();
        let snapshots: Vec<i64> = given.iter().filter_map(|new| new.made_of.stored()).collect();
        let locked: Params<'_> = &[&users, &now];
        let of_users: Params<'_> = &[&users];
        let mut results = tx
            .pipeline(&[
                (client_levels::MISSING, locked),
                (client_levels::LOCK, of_users),
                (clients::OF_IDS, of_users),
                (OF_PREDICTIONS, &[&names, &versions]),
                (feature_snapshots::OF_IDS, &[&snapshots]),
                (clients::CLOCK, &[&now]),
            ])
            .await?
            .into_iter()
            .skip(2);
        let mut next = || results.next().unwrap_or_default();
        let (clients, versions, snapshots, clock) = (next(), next(), next(), next());
        let clock = clock
            .first()
            .ok_or_else(|| db::Error::Row("no clock".to_owned()))?;
        Ok(Self {
            clients: clients
                .iter()
                .map(|row| row.try_get("user_id"))
                .collect::<Result<_, _>>()
                .map_err(db::Error::from)?,
            versions: versions.iter().map(version).collect::<Result<_, _>>()?,
            snapshots: snapshots
                .iter()
                .map(|row| feature_snapshots::from_row(row).map(|stored| (stored.snapshot_id, stored)))
                .collect::<Result<_, _>>()?,
            now: clock.try_get("now").map_err(db::Error::from)?,
        })
    }

    /// Holds a prediction against what is known.
    ///
    /// # Errors
    /// Why it may not be stored.
    pub(crate) fn check<'a>(&'a self, given: &'a NewPrediction) -> Result<Ready<'a>, Error> {
        if !self.clients.contains(&given.user_id) {
            return Err(Error::NoClient);
        }
        let version = self
            .versions
            .iter()
            .find(|known| known.model_name == given.model_name && known.version == given.model_version)
            .ok_or_else(|| invalid("/model_version", NOT_REGISTERED))?;
        if version.stage == ModelStage::Retired {
            return Err(Error::Retired);
        }
        let (predicted_at, made_of) = match &given.made_of {
            MadeOf::Snapshot(id) => self.stored(given, version, *id)?,
            MadeOf::Features(new) => self.brought(given, version, new)?,
        };
        let explanations = given
            .explained(&version.set, made_of.features())
            .map_err(|faults| {
                let errors = faults.into_iter().map(|fault| FieldError {
                    pointer: fault.pointer,
                    detail: fault.detail,
                });
                web::Problem::invalid(errors.collect())
            })?;
        Ok(Ready {
            given,
            version,
            predicted_at,
            made_of,
            explanations,
        })
    }

    fn stored<'a>(
        &'a self,
        given: &NewPrediction,
        version: &Version,
        id: i64,
    ) -> Result<(DateTime<Utc>, Made<'a>), Error> {
        let snapshot = self
            .snapshots
            .get(&id)
            .filter(|snapshot| snapshot.key.user_id == given.user_id)
            .ok_or_else(|| invalid("/snapshot_id", NOT_THEIRS))?;
        if snapshot.key.feature_set_version != version.set.version {
            let other = &snapshot.key.feature_set_version;
            return Err(invalid(
                "/snapshot_id",
                format!("is of {other}, and this version reads {}", version.set.version),
            ));
        }
        let predicted_at = self.predicted_at(given, snapshot.key.captured_at);
        if predicted_at < snapshot.key.captured_at {
            return Err(invalid("/predicted_at", BEFORE_CAPTURE));
        }
        Ok((predicted_at, Made::Stored(snapshot)))
    }

    fn brought<'a>(
        &self,
        given: &NewPrediction,
        version: &Version,
        new: &NewSnapshot,
    ) -> Result<(DateTime<Utc>, Made<'a>), Error> {
        let set = &version.set;
        if let Some(other) = new
            .feature_set_version
            .as_ref()
            .filter(|other| **other != set.version)
        {
            return Err(invalid(
                "/feature_set_version",
                format!("is {other}, and this version reads {}", set.version),
            ));
        }
        let features = checked(set, new.features.clone())?;
        let predicted_at = self.predicted_at(given, new.captured_at.unwrap_or(self.now));
        let key = SnapshotKey {
            user_id: given.user_id.clone(),
            feature_set_version: set.version.clone(),
            captured_at: new.captured_at.unwrap_or(predicted_at),
            source: new.source.clone(),
        };
        Ok((predicted_at, Made::New(Snapshot { key, features })))
    }

    /// By default now; not before the features, whose clock may be ahead of ours by minutes.
    fn predicted_at(&self, given: &NewPrediction, captured_at: DateTime<Utc>) -> DateTime<Utc> {
        given.predicted_at.unwrap_or(self.now.max(captured_at))
    }
}

impl Version {
    /// The level of a probability, and from where on it is very high.
    pub(crate) fn level(&self, probability: Probability) -> (common::ModelRiskLevel, Probability) {
        (self.thresholds.level(probability), self.thresholds.very_high())
    }
}

const NOT_REGISTERED: &str = "is no registered version of this model; post it to /v1/models first";
const NOT_THEIRS: &str = "is no snapshot of this client; post it, or give features";
const BEFORE_CAPTURE: &str = "must not be before the snapshot was captured";

fn invalid(pointer: &str, detail: impl Into<String>) -> Error {
    web::Problem::invalid_field(pointer, detail).into()
}

/// Features in their canonical form.
///
/// # Errors
/// 422 that names all that is wrong with them.
pub(crate) fn checked(set: &FeatureSet, features: Features) -> Result<Features, web::Problem> {
    set.check(features).map_err(|bad| {
        let told = |bad: BadFeature| FieldError {
            pointer: web::pointer("/features", &bad.name),
            detail: bad.fault,
        };
        web::Problem::invalid(bad.into_iter().map(told).collect())
    })
}

fn version(row: &Row) -> Result<Version, db::Error> {
    Ok(Version {
        model_name: row.try_get("model_name")?,
        version: row.try_get("version")?,
        stage: word(row, "stage")?,
        thresholds: model_versions::thresholds(row)?,
        set: feature_sets::set_from_row(row)?,
    })
}
