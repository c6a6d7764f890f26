//! `core.sign_in_failures`.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::throttle::{Count, Counted, Subject};

/// Makes rows for those who have none, so that they can be locked. `$1` hashes, `$2` which of them are of an address and
/// `$3` which of names; all but an address's are of the person `$4`, who may be null.
pub(crate) const ENSURE: &str = "
    insert into core.sign_in_failures (subject_hash, user_id, is_of_names)
    select n.hash, case when not n.is_of_address then $4::varchar end, n.is_of_names
    from unnest($1::bytea[], $2::boolean[], $3::boolean[]) as n (hash, is_of_address, is_of_names) order by n.hash
    on conflict (subject_hash) do nothing";

/// Locks them, in one order for everybody. `$1` hashes.
pub(crate) const HOLD: &str = "
    select f.subject_hash, f.failed_attempts, f.blocked_until, f.updated_at, now() as now
    from core.sign_in_failures f where f.subject_hash = any ($1)
    order by f.subject_hash for update";

/// A count with its key, and what time it is.
pub(crate) fn from_row(row: &Row) -> Result<(Vec<u8>, Count, DateTime<Utc>), db::Error> {
    let count = Count {
        failed_attempts: row.try_get("failed_attempts")?,
        blocked_until: row.try_get("blocked_until")?,
        updated_at: row.try_get("updated_at")?,
    };
    Ok((row.try_get("subject_hash")?, count, row.try_get("now")?))
}

/// Writes counts with the commit.
pub(crate) fn write(tx: &Tx, counts: Vec<(Vec<u8>, Count)>) {
    let (hashes, counts): (Vec<Vec<u8>>, Vec<Count>) = counts.into_iter().unzip();
    let failed: Vec<i32> = counts.iter().map(|count| count.failed_attempts).collect();
    let until: Vec<Option<DateTime<Utc>>> = counts.iter().map(|count| count.blocked_until).collect();
    let at: Vec<DateTime<Utc>> = counts.iter().map(|count| count.updated_at).collect();
    tx.at_commit(
        "update core.sign_in_failures f
         set failed_attempts = n.failed, blocked_until = n.until, updated_at = n.at
         from unnest($1::bytea[], $2::integer[], $3::timestamptz[], $4::timestamptz[]) as n (hash, failed, until, at)
         where f.subject_hash = n.hash",
        vec![Box::new(hashes), Box::new(failed), Box::new(until), Box::new(at)],
    );
}

/// Takes back an attempt that succeeded, with the commit: what the person failed before is forgotten; an address is
/// spared its last attempt alone. Names are never taken back.
pub(crate) fn take_back(tx: &Tx, subjects: &[Subject]) {
    let all: Vec<Vec<u8>> = subjects.iter().map(|subject| subject.hash.clone()).collect();
    let cleared: Vec<bool> = subjects
        .iter()
        .map(|subject| subject.counted == Counted::Person)
        .collect();
    // Locked in the order in which attempts lock them, else two of one person could wait for each other.
    tx.at_commit(HOLD, vec![Box::new(all.clone())]);
    tx.at_commit(
        "delete from core.sign_in_failures f using unnest($1::bytea[], $2::boolean[]) as n (hash, is_cleared)
         where f.subject_hash = n.hash and (n.is_cleared or f.failed_attempts <= 1)",
        vec![Box::new(all.clone()), Box::new(cleared)],
    );
    tx.at_commit(
        "update core.sign_in_failures f set failed_attempts = f.failed_attempts - 1, blocked_until = null
         where f.subject_hash = any ($1)",
        vec![Box::new(all)],
    );
}

/// Forgets what a person failed, as a new password does: names stay counted, or each password would buy ten more.
pub(crate) async fn forget_failures(tx: &Tx, user_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "delete from core.sign_in_failures f where f.user_id = $1 and not f.is_of_names",
        &[&user_id],
    )
    .await?;
    Ok(())
}

/// Forgets every count of a person; returns how many that were.
pub(crate) async fn forget(tx: &Tx, user_id: &str) -> Result<u64, db::Error> {
    tx.execute(
        "delete from core.sign_in_failures f where f.user_id = $1",
        &[&user_id],
    )
    .await
}
