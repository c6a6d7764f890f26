//! `core.consents`.

use chrono::{DateTime, Utc};
use common::ConsentPurpose;
use db::{Row, Tx};

use super::word;
use crate::domain::consent::{NewConsent, Terms};

/// A consent as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) consent_id: i64,
    pub(crate) user_id: String,
    pub(crate) purpose: ConsentPurpose,
    pub(crate) recipient: String,
    pub(crate) terms: Terms,
    pub(crate) granted_at: DateTime<Utc>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    /// Whether it holds, at the time that was asked about.
    pub(crate) is_active: bool,
}

/// One client's consents, newest first; no row where the client is not seen as one cared for, and one without a consent
/// where there is none. `$1` client, `$2` purpose or null, `$3` whether only those that hold are wanted, `$4` the time
/// that is asked about or null for now, `$5` the id to go on behind, `$6` limit. The order is that of the inner query.
pub(crate) const LIST: &str = "
    with person as (
        select u.user_id
        from core.users u
        where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
    select p.user_id, c.consent_id, c.purpose, c.recipient, c.scope, c.granted_at, c.expires_at, c.revoked_at,
        c.evidence, c.is_active
    from person p
    left join lateral (
        select l.consent_id, l.purpose, l.recipient, l.scope, l.granted_at, l.expires_at, l.revoked_at, l.evidence,
            a.is_active
        from core.consents l
        cross join lateral (
            select coalesce(l.revoked_at > $4, l.revoked_at is null)
                and coalesce(l.expires_at > coalesce($4, clock_timestamp()), true) as is_active) as a
        where l.user_id = $1 and ($2::varchar is null or l.purpose = $2) and coalesce(l.granted_at <= $4, true)
          and (a.is_active or not $3) and l.consent_id < $5
        order by l.consent_id desc
        limit $6) as c on true";

/// The rows of [`LIST`]; `None` where the client is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Vec<Consent>>, db::Error> {
    super::listed::<i64, _>(rows, "consent_id", from_row)
}

fn from_row(row: &Row) -> Result<Consent, db::Error> {
    Ok(Consent {
        consent_id: row.try_get("consent_id")?,
        user_id: row.try_get("user_id")?,
        purpose: word(row, "purpose")?,
        recipient: row.try_get("recipient")?,
        terms: Terms {
            scope: row.try_get("scope")?,
            expires_at: row.try_get("expires_at")?,
            evidence: row.try_get("evidence")?,
        },
        granted_at: row.try_get("granted_at")?,
        revoked_at: row.try_get("revoked_at")?,
        is_active: row.try_get("is_active")?,
    })
}

/// The consent that holds now, which nobody revokes until the transaction ends.
pub(crate) async fn hold(
    tx: &Tx,
    user_id: &str,
    purpose: ConsentPurpose,
    recipient: &str,
) -> Result<Option<Consent>, db::Error> {
    let row = tx
        .query_opt(
            "select c.consent_id, c.user_id, c.purpose, c.recipient, c.scope, c.granted_at, c.expires_at, c.revoked_at,
                c.evidence, true as is_active
             from core.hold_consent($1, $2, $3) as held (consent_id)
             join core.consents c on c.consent_id = held.consent_id",
            &[&user_id, &purpose.as_str(), &recipient],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Grants a consent, which begins now. The client is locked, and no consent to the same holds.
pub(crate) async fn insert(
    tx: &Tx,
    user_id: &str,
    consent: &NewConsent,
    request_id: &str,
) -> Result<Consent, db::Error> {
    let row = tx
        .query_one(
            "insert into core.consents (user_id, purpose, recipient, scope, expires_at, granted_by_request_id, evidence)
             values ($1, $2, $3, $4, $5, $6, $7)
             returning consent_id, user_id, purpose, recipient, scope, granted_at, expires_at, revoked_at, evidence,
                true as is_active",
            &[
                &user_id,
                &consent.purpose.as_str(),
                &consent.recipient,
                &consent.scope,
                &consent.expires_at,
                &request_id,
                &consent.evidence,
            ],
        )
        .await?;
    from_row(&row)
}

/// A consent of a client whom the transaction may see as one cared for, locked once every disclosure that holds it has
/// ended.
pub(crate) async fn lock(tx: &Tx, consent_id: i64) -> Result<Option<Consent>, db::Error> {
    let row = tx
        .query_opt(
            "select c.consent_id, c.user_id, c.purpose, c.recipient, c.scope, c.granted_at, c.expires_at, c.revoked_at,
                c.evidence, c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true) as is_active
             from core.consents c
             where c.consent_id = $1 and c.user_id <> all (array(select core.crisis_clients()))
             for update",
            &[&consent_id],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Revokes a consent that is locked; returns when. Not as of the transaction's beginning: it may have waited for a
/// disclosure, which was made before.
pub(crate) async fn revoke(tx: &Tx, consent_id: i64, request_id: &str) -> Result<DateTime<Utc>, db::Error> {
    let row = tx
        .query_one(
            "update core.consents c set revoked_at = clock_timestamp(), revoked_by_request_id = $2
             where c.consent_id = $1
             returning c.revoked_at",
            &[&consent_id, &request_id],
        )
        .await?;
    Ok(row.try_get("revoked_at")?)
}
