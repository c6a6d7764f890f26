//! `social.risk_policies`.

use chrono::{DateTime, Utc};
use db::{Json, Row, Tx};

use crate::domain::policy::{Policy, Thresholds};

/// The one policy that profiles are computed with.
pub(crate) const ACTIVE: &str = "select version, thresholds from social.risk_policies where active";

/// A policy with its history.
pub(crate) struct Stored {
    pub(crate) policy: Policy,
    pub(crate) active: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: Option<String>,
    pub(crate) activated_at: Option<DateTime<Utc>>,
    pub(crate) settled_at: Option<DateTime<Utc>>,
}

/// # Errors
/// [`db::Error::Row`] when there is no active policy, or its thresholds are not what the rules need.
pub(crate) fn from_rows(rows: &[Row]) -> Result<Policy, db::Error> {
    let row = rows
        .first()
        .ok_or_else(|| db::Error::Row("no risk policy is active".to_owned()))?;
    from_row(row)
}

fn from_row(row: &Row) -> Result<Policy, db::Error> {
    let Json(thresholds): Json<Thresholds> = row.try_get("thresholds")?;
    Ok(Policy {
        version: row.try_get("version")?,
        thresholds,
    })
}

pub(crate) fn stored_from_row(row: &Row) -> Result<Stored, db::Error> {
    Ok(Stored {
        policy: from_row(row)?,
        active: row.try_get("active")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        activated_at: row.try_get("activated_at")?,
        settled_at: row.try_get("settled_at")?,
    })
}

pub(crate) async fn active(tx: &Tx) -> Result<Policy, db::Error> {
    from_rows(&tx.query(ACTIVE, &[]).await?)
}

/// All of them in the order of their versions. `$1` the version to go on behind, `$2` limit.
pub(crate) const LIST: &str = "
    select r.version, r.thresholds, r.active, r.created_at, r.created_by, r.activated_at, r.settled_at
    from social.risk_policies r
    where r.version > $1
    order by r.version
    limit $2";

/// One. `$1` the version.
pub(crate) const FIND: &str = "
    select r.version, r.thresholds, r.active, r.created_at, r.created_by, r.activated_at, r.settled_at
    from social.risk_policies r
    where r.version = $1";

pub(crate) async fn find(tx: &Tx, version: &str) -> Result<Option<Stored>, db::Error> {
    let row = tx.query_opt(FIND, &[&version]).await?;
    row.as_ref().map(stored_from_row).transpose()
}

/// Stores a policy; whether it is new. One that stands under this version is never changed.
pub(crate) async fn insert(
    tx: &Tx,
    policy: &Policy,
    created_by: &str,
    now: Option<DateTime<Utc>>,
) -> Result<bool, db::Error> {
    let sql = "insert into social.risk_policies (version, thresholds, created_by, created_at)
        values ($1, $2, $3, coalesce($4::timestamptz, now())) on conflict (version) do nothing";
    let thresholds = Json(policy.thresholds);
    let stored = tx
        .execute(sql, &[&policy.version, &thresholds, &created_by, &now])
        .await?;
    Ok(stored == 1)
}

/// Makes it the active one; nothing where it is so already. Those who activate do so one after the other.
pub(crate) async fn activate(tx: &Tx, version: &str, now: Option<DateTime<Utc>>) -> Result<(), db::Error> {
    tx.query(
        "select version from social.risk_policies order by version for update",
        &[],
    )
    .await?;
    tx.execute(
        "update social.risk_policies set active = false where active and version <> $1",
        &[&version],
    )
    .await?;
    let sql = "update social.risk_policies
        set active = true, activated_at = coalesce($2::timestamptz, now()), settled_at = null
        where version = $1 and not active";
    tx.execute(sql, &[&version, &now]).await?;
    Ok(())
}

/// The active policy, while somebody may not have been judged by it.
pub(crate) async fn unsettled(tx: &Tx) -> Result<Option<String>, db::Error> {
    let sql = "select version from social.risk_policies where active and settled_at is null";
    let row = tx.query_opt(sql, &[]).await?;
    Ok(row.map(|row| row.try_get("version")).transpose()?)
}

/// Everybody was judged by it. Not within its first minute: whoever had read the policy before may still be writing.
pub(crate) async fn settle(tx: &Tx, version: &str, now: Option<DateTime<Utc>>) -> Result<(), db::Error> {
    let sql = "update social.risk_policies set settled_at = coalesce($2::timestamptz, now())
        where version = $1 and active and activated_at < coalesce($2::timestamptz, now()) - interval '1 minute'
            and not exists (select from social.user_risk_profiles p where p.policy_version <> $1 and not p.is_drill)";
    tx.execute(sql, &[&version, &now]).await?;
    Ok(())
}
