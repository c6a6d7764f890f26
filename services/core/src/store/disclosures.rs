//! `core.disclosures`: the ledger of what left the programme.

use chrono::{DateTime, Utc};
use common::{ConsentPurpose, REDISCLOSURE_NOTICE};
use db::{Row, Tx};

use super::word;
use crate::domain::disclosure::NewDisclosure;

/// A disclosure as it is read, with the purpose and the scope of its consent. Without whom and what once the client is
/// erased.
#[derive(Clone, Debug)]
pub(crate) struct Disclosure {
    pub(crate) disclosure_id: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) consent_id: Option<i64>,
    pub(crate) purpose: Option<ConsentPurpose>,
    pub(crate) scope: Option<String>,
    pub(crate) recipient: Option<String>,
    pub(crate) what: Option<String>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) disclosed_by: Option<String>,
    pub(crate) notice: String,
}

/// All disclosures, newest first. `$1` from and `$2` until when, `$3` and `$4` the row to go on behind, `$5` limit.
pub(crate) const LIST: &str = "
    select d.disclosure_id, d.user_id, d.consent_id, c.purpose, c.scope, d.recipient, d.what, d.at, d.disclosed_by, d.notice
    from core.disclosures d
    left join core.consents c on c.consent_id = d.consent_id
    where d.at >= $1 and d.at < $2 and (d.at, d.disclosure_id) < ($3, $4)
    order by d.at desc, d.disclosure_id desc
    limit $5";

/// One client's disclosures, newest first; no row where the client is not seen, and one without a disclosure where there
/// is none. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const OF_CLIENT: &str = "
    with person as (select u.user_id from core.users u where u.user_id = $1 and u.kind = 'client')
    select d.disclosure_id, p.user_id, d.consent_id, d.purpose, d.scope, d.recipient, d.what, d.at, d.disclosed_by, d.notice
    from person p
    left join lateral (
        select l.disclosure_id, l.consent_id, c.purpose, c.scope, l.recipient, l.what, l.at, l.disclosed_by, l.notice
        from core.disclosures l
        left join core.consents c on c.consent_id = l.consent_id
        where l.user_id = $1 and (l.at, l.disclosure_id) < ($2, $3)
        order by l.at desc, l.disclosure_id desc
        limit $4) as d on true";

/// The rows of [`OF_CLIENT`]; `None` where the client is not seen.
pub(crate) fn of_client(rows: &[Row]) -> Result<Option<Vec<Disclosure>>, db::Error> {
    super::listed::<i64, _>(rows, "disclosure_id", from_row)
}

pub(crate) fn from_row(row: &Row) -> Result<Disclosure, db::Error> {
    let purpose: Option<&str> = row.try_get("purpose")?;
    Ok(Disclosure {
        disclosure_id: row.try_get("disclosure_id")?,
        user_id: row.try_get("user_id")?,
        consent_id: row.try_get("consent_id")?,
        purpose: purpose.map(|_| word(row, "purpose")).transpose()?,
        scope: row.try_get("scope")?,
        recipient: row.try_get("recipient")?,
        what: row.try_get("what")?,
        at: row.try_get("at")?,
        disclosed_by: row.try_get("disclosed_by")?,
        notice: row.try_get("notice")?,
    })
}

/// Enters a disclosure; `None` where the client is not seen as one cared for. The database holds the consent until the
/// transaction ends, and refuses as `ck_disclosures_consent` where none covers it.
pub(crate) async fn insert(
    tx: &Tx,
    user_id: &str,
    disclosure: &NewDisclosure,
    disclosed_by: &str,
) -> Result<Option<Disclosure>, db::Error> {
    let row = tx
        .query_opt(
            "with entered as (
                insert into core.disclosures (user_id, consent_id, recipient, what, disclosed_by, notice)
                select u.user_id, $2, $3, $4, $5, $6
                from core.users u
                where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))
                returning disclosure_id, user_id, consent_id, recipient, what, at, disclosed_by, notice)
             select d.disclosure_id, d.user_id, d.consent_id, c.purpose, c.scope, d.recipient, d.what, d.at, d.disclosed_by,
                d.notice
             from entered d
             left join core.consents c on c.consent_id = d.consent_id",
            &[
                &user_id,
                &disclosure.consent_id,
                &disclosure.recipient,
                &disclosure.what,
                &disclosed_by,
                &REDISCLOSURE_NOTICE,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Deletes some of those whose three years are over; returns how many. The ledger refuses it for all others.
pub(crate) async fn delete_ended(tx: &Tx, limit: i64) -> Result<u64, db::Error> {
    tx.execute(
        "delete from core.disclosures d where d.disclosure_id = any (array(
             select o.disclosure_id from core.disclosures o
             where o.at < now() - interval '3 years'
             order by o.at, o.disclosure_id limit $1))",
        &[&limit],
    )
    .await
}
