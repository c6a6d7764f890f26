//! `social.risk_policies`.

use db::{Json, Row, Tx};

use crate::domain::policy::{Policy, Thresholds};

/// The one policy that profiles are computed with.
pub(crate) const ACTIVE: &str = "select version, thresholds from social.risk_policies where active";

/// # Errors
/// [`db::Error::Row`] when there is no active policy, or its thresholds are not what the rules need.
pub(crate) fn from_rows(rows: &[Row]) -> Result<Policy, db::Error> {
    let row = rows
        .first()
        .ok_or_else(|| db::Error::Row("no risk policy is active".to_owned()))?;
    let Json(thresholds): Json<Thresholds> = row.try_get("thresholds")?;
    Ok(Policy {
        version: row.try_get("version")?,
        thresholds,
    })
}

pub(crate) async fn active(tx: &Tx) -> Result<Policy, db::Error> {
    from_rows(&tx.query(ACTIVE, &[]).await?)
}
