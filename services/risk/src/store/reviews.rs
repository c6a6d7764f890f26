//! `risk.prediction_reviews`: what counselors think of predictions.

use chrono::{DateTime, Utc};
use common::ModelRiskLevel;
use db::{Actor, Db, Row, Tx};
use web::Newest;

use super::optional_word;
use crate::domain::review::Decision;

/// A review.
pub(crate) struct Review {
    pub(crate) review_id: i64,
    pub(crate) prediction_id: i64,
    pub(crate) user_id: String,
    pub(crate) staff_id: Option<String>,
    pub(crate) decision: String,
    pub(crate) override_level: Option<ModelRiskLevel>,
    pub(crate) reason: Option<String>,
    pub(crate) reviewed_at: DateTime<Utc>,
}

pub(crate) fn from_row(row: &Row) -> Result<Review, db::Error> {
    Ok(Review {
        review_id: row.try_get("review_id")?,
        prediction_id: row.try_get("prediction_id")?,
        user_id: row.try_get("user_id")?,
        staff_id: row.try_get("staff_id")?,
        decision: row.try_get("decision")?,
        override_level: optional_word(row, "override_level")?,
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
    decision: &Decision,
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
                &decision.reason(),
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

/// Reviews that are shown with their prediction; the list has the others.
const MAX_SHOWN: i64 = 20;

/// The latest reviews of a prediction that the actor sees, newest first.
pub(crate) async fn of_prediction(
    db: &Db,
    actor: &Actor,
    prediction_id: i64,
) -> Result<Vec<Review>, db::Error> {
    let Newest(at, id) = Newest::default();
    let rows = db
        .read(actor, LIST, &[&prediction_id, &at, &id, &MAX_SHOWN])
        .await?;
    rows.iter().map(from_row).collect()
}

/// Whose prediction it is, where the caller sees the client for more than a crisis. `$1` the prediction.
pub(crate) const WHOSE: &str = "
    select p.user_id
    from risk.model_predictions p
    where p.prediction_id = $1 and p.user_id <> all (array(select core.crisis_clients()))";
