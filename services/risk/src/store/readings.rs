//! What live versions have said of a client over time, and where that led.

use chrono::{DateTime, Utc};
use common::ModelRiskLevel;
use db::Row;

use super::{optional_word, probability};
use crate::domain::level::Reading;

/// A client's level as it was settled.
pub(crate) struct Current {
    /// The clock it is read by.
    pub(crate) now: DateTime<Utc>,
    /// Null while no live version's word holds.
    pub(crate) level: Option<ModelRiskLevel>,
    /// Since when; none where nothing was ever said.
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) valid_until: Option<DateTime<Utc>>,
    pub(crate) by: Option<By>,
}

/// The prediction that a level is by.
pub(crate) struct By {
    pub(crate) prediction_id: i64,
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    pub(crate) predicted_at: DateTime<Utc>,
    pub(crate) horizon_days: i16,
    pub(crate) probability: f64,
}

/// One row. `$1` the client, `$2` now.
pub(crate) const CURRENT: &str = "
    select clock.now, c.risk_level, c.level_since, c.valid_until, p.prediction_id, p.model_name, p.model_version,
        p.predicted_at, p.horizon_days, p.probability
    from (select coalesce($2::timestamptz, now()) as now) as clock
    left join risk.client_levels c on c.user_id = $1
    left join risk.model_predictions p on p.prediction_id = c.prediction_id";

pub(crate) fn current_from_row(row: &Row) -> Result<Current, db::Error> {
    let prediction_id: Option<i64> = row.try_get("prediction_id")?;
    let by = |prediction_id| {
        Ok::<_, db::Error>(By {
            prediction_id,
            model_name: row.try_get("model_name")?,
            model_version: row.try_get("model_version")?,
            predicted_at: row.try_get("predicted_at")?,
            horizon_days: row.try_get("horizon_days")?,
            probability: row.try_get("probability")?,
        })
    };
    Ok(Current {
        now: row.try_get("now")?,
        level: optional_word(row, "risk_level")?,
        since: row.try_get("level_since")?,
        valid_until: row.try_get("valid_until")?,
        by: prediction_id.map(by).transpose()?,
    })
}

/// What a live version said of a client.
pub(crate) struct Said {
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    pub(crate) reading: Reading,
}

/// The latest predictions of each live version about a client within the last days, also of when it was not live yet; by
/// model, newest first. `$1` the client, `$2` now, `$3` days, `$4` limit for each version.
pub(crate) const OF_LIVE: &str = "
    select v.model_name, v.version as model_version, said.predicted_at, said.probability
    from risk.model_versions v
    cross join lateral (
        select p.predicted_at, p.probability, p.prediction_id
        from risk.model_predictions p
        where p.user_id = $1 and p.model_name = v.model_name and p.model_version = v.version
            and p.predicted_at > coalesce($2::timestamptz, now()) - $3::int4 * interval '1 day'
        order by p.predicted_at desc, p.prediction_id desc
        limit $4
    ) as said
    where v.stage = 'live'
    order by v.model_name, said.predicted_at desc, said.prediction_id desc";

pub(crate) fn said_from_row(row: &Row) -> Result<Said, db::Error> {
    Ok(Said {
        model_name: row.try_get("model_name")?,
        model_version: row.try_get("model_version")?,
        reading: Reading {
            at: row.try_get("predicted_at")?,
            score: probability(row, "probability")?,
        },
    })
}
