//! `core.erasures`, and the functions of all schemas by which an account is erased.

use chrono::{DateTime, Utc};
use db::{Db, Json, Params, Row, Tx};

use super::credentials;
use crate::domain::erasure::{Counts, Requester};

/// The first pass, over the schemas that refer to core, behind [`credentials::HOLD`]: it waits for whoever works on the
/// client in the order in which they lock. Was the account locked first, they would wait for us, and we for them.
const FIRST_PASS: &str = "
    select f.counts
    from (values (social.erase_user($1)), (risk.erase_user($1)), (reco.erase_user($1)), (causal.erase_user($1)))
        as f (counts)";

/// From here on nobody writes anything that refers to the account.
const LOCK: &str = "select u.user_id from core.users u where u.user_id = $1 for update";

/// The second pass finds what was written while the first one waited; the account itself goes last.
const SECOND_PASS: &str = "
    select f.counts
    from (values (social.erase_user($1)), (risk.erase_user($1)), (reco.erase_user($1)), (causal.erase_user($1)),
        (core.erase_user($1))) as f (counts)";

/// Erases an account from all schemas in one round trip; what that came to, or `None` where there is no such account.
pub(crate) async fn erase(tx: &Tx, user_id: &str) -> Result<Option<Counts>, db::Error> {
    let params: Params<'_> = &[&user_id];
    let mut rows = tx
        .pipeline(&[
            (credentials::HOLD, params),
            (FIRST_PASS, params),
            (LOCK, params),
            (SECOND_PASS, params),
        ])
        .await?
        .into_iter()
        .skip(1);
    let (first, locked, second) = (rows.next(), rows.next(), rows.next());
    if locked.unwrap_or_default().is_empty() {
        return Ok(None);
    }
    let passes = first.into_iter().chain(second).flatten();
    passes
        .map(|row| counts(&row))
        .try_fold(Counts::default(), |all, more| Ok(all.and(more?)))
        .map(Some)
}

fn counts(row: &Row) -> Result<Counts, db::Error> {
    let counts: Option<Json<Counts>> = row.try_get("counts")?;
    Ok(counts.map(|counts| counts.0).unwrap_or_default())
}

/// Records an erasure; returns when it was asked for.
pub(crate) async fn insert(
    tx: &Tx,
    hash: &[u8],
    by: &Requester,
    counts: &Counts,
) -> Result<DateTime<Utc>, db::Error> {
    let (staff_id, client_id) = match by {
        Requester::Themself | Requester::Operator | Requester::Clerk => (None, None),
        Requester::Admin(id) => (Some(id), None),
        Requester::App(id) => (None, Some(id)),
    };
    let row = tx
        .query_one(
            "insert into core.erasures (user_id_hmac, requested_by, staff_id, client_id, counts)
             values ($1, $2, $3, $4, $5)
             returning requested_at",
            &[&hash, &by.as_str(), &staff_id, &client_id, &Json(counts)],
        )
        .await?;
    Ok(row.try_get("requested_at")?)
}

/// A recorded erasure.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) erasure_id: i64,
    pub(crate) user_id_hmac: Vec<u8>,
    pub(crate) requested_at: DateTime<Utc>,
}

/// Recorded erasures behind an id, oldest first.
pub(crate) async fn page(db: &Db, after: i64, limit: i64) -> Result<Vec<Known>, db::Error> {
    let sql = "select e.erasure_id, e.user_id_hmac, e.requested_at from core.erasures e
        where e.erasure_id > $1 order by e.erasure_id limit $2";
    let rows = db.worker_query(sql, &[&after, &limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Known {
                erasure_id: row.try_get("erasure_id")?,
                user_id_hmac: row.try_get("user_id_hmac")?,
                requested_at: row.try_get("requested_at")?,
            })
        })
        .collect()
}

/// Records erasures that a restore has lost, hash by time; returns how many were not known.
pub(crate) async fn record(tx: &Tx, hashes: &[Vec<u8>], times: &[DateTime<Utc>]) -> Result<u64, db::Error> {
    tx.execute(
        "insert into core.erasures (user_id_hmac, requested_at, requested_by, counts)
         select distinct n.user_id_hmac, n.requested_at, $3, '{}'::jsonb
         from unnest($1::bytea[], $2::timestamptz[]) as n (user_id_hmac, requested_at)
         where not exists (select from core.erasures e
            where e.user_id_hmac = n.user_id_hmac and e.requested_at >= n.requested_at)",
        &[&hashes, &times, &Requester::Operator.as_str()],
    )
    .await
}
