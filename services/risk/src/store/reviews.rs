//! `risk.prediction_reviews`: what counselors think of predictions.

use chrono::{DateTime, Utc};
use common::ModelRiskLevel;
use db::{Row, Tx};

use super::{optional_word, word};

/// What somebody thinks of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Accept,
    Override(ModelRiskLevel),
}

impl Decision {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Override(_) => "override",
        }
    }

    pub(crate) const fn level(self) -> Option<ModelRiskLevel> {
        match self {
            Self::Accept => None,
            Self::Override(level) => Some(level),
        }
    }
}

/// A review.
pub(crate) struct Review {
    pub(crate) review_id: i64,
    pub(crate) prediction_id: i64,
    pub(crate) user_id: String,
    pub(crate) staff_id: Option<String>,
    pub(crate) decision: Decision,
    pub(crate) reason: Option<String>,
    pub(crate) reviewed_at: DateTime<Utc>,
}

pub(crate) fn from_row(row: &Row) -> Result<Review, db::Error> {
    let level: Option<ModelRiskLevel> = optional_word(row, "override_level")?;
    Ok(Review {
        review_id: row.try_get("review_id")?,
        prediction_id: row.try_get("prediction_id")?,
        user_id: row.try_get("user_id")?,
        staff_id: row.try_get("staff_id")?,
        decision: level.map_or(Decision::Accept, Decision::Override),
        reason: row.try_get("reason")?,
        reviewed_at: row.try_get("reviewed_at")?,
    })
}

/// Stores a review of a prediction that the transaction sees, of a client seen for more than a crisis; `None` where there is
/// no such prediction.
pub(crate) async fn insert(
    tx: &Tx,
    prediction_id: i64,
    staff_id: &str,
    (decision, reason): (Decision, Option<&str>),
    now: Option<DateTime<Utc>>,
) -> Result<Option<Review>, db::Error> {
    let sql = "
        insert into risk.prediction_reviews as r (prediction_id, user_id, staff_id, decision, override_level, reason, reviewed_at)
        select p.prediction_id, p.user_id, $2, $3, $4, $5, coalesce($6::timestamptz, now())
        from risk.model_predictions p
        where p.prediction_id = $1 and p.user_id <> all (array(select core.crisis_clients()))
        returning r.review_id, r.prediction_id, r.user_id, r.staff_id, r.decision, r.override_level, r.reason, r.reviewed_at";
    let level = decision.level().map(ModelRiskLevel::as_str);
    let row = tx
        .query_opt(
            sql,
            &[
                &prediction_id,
                &staff_id,
                &decision.as_str(),
                &level,
                &reason,
                &now,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// The reviews of a prediction, newest first. `$1` the prediction, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select r.review_id, r.prediction_id, r.user_id, r.staff_id, r.decision, r.override_level, r.reason, r.reviewed_at
    from risk.prediction_reviews r
    where r.prediction_id = $1 and (r.reviewed_at, r.review_id) < ($2, $3)
    order by r.reviewed_at desc, r.review_id desc
    limit $4";

/// Reviews that are shown with their prediction, at most; the list has the others.
pub(crate) const MAX_SHOWN: i64 = 20;

/// The latest reviews of a prediction, newest first. `$1` the prediction, `$2` limit, for which [`MAX_SHOWN`] is meant.
pub(crate) const OF_PREDICTION: &str = "
    select r.review_id, r.prediction_id, r.user_id, r.staff_id, r.decision, r.override_level, r.reason, r.reviewed_at
    from risk.prediction_reviews r
    where r.prediction_id = $1
    order by r.reviewed_at desc, r.review_id desc
    limit $2";

/// Whose prediction it is, where the caller sees the client for more than a crisis. `$1` the prediction.
pub(crate) const WHOSE: &str = "
    select p.user_id
    from risk.model_predictions p
    where p.prediction_id = $1 and p.user_id <> all (array(select core.crisis_clients()))";
