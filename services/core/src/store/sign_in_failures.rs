//! `core.sign_in_failures`.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::throttle::{Count, Counted, Subject};

/// An attempt that is being made, as it stands in one count.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) subject: Subject,
    /// When it will have failed: by this it is told from the others.
    pub(crate) until: DateTime<Utc>,
}

/// Makes rows for those who have none, so that they can be locked. `$1` hashes, `$2` which of them are of an address and
/// `$3` which of names; all but an address's are of the person `$4`, who may be null, or gone when an erasure that was
/// waited for has ended.
pub(crate) const ENSURE: &str = "
    with person as materialized (select u.user_id from core.users u where u.user_id = $4::varchar for key share)
    insert into core.sign_in_failures (subject_hash, user_id, is_of_names)
    select n.hash, case when not n.is_of_address then (select p.user_id from person p) end, n.is_of_names
    from unnest($1::bytea[], $2::boolean[], $3::boolean[]) as n (hash, is_of_address, is_of_names) order by n.hash
    on conflict (subject_hash) do nothing";

/// Locks them, in one order for everybody. `$1` hashes.
pub(crate) const HOLD: &str = "
    select f.subject_hash, f.failed_attempts, f.blocked_until, f.updated_at, f.under_way, now() as now
    from core.sign_in_failures f where f.subject_hash = any ($1)
    order by f.subject_hash for update";

/// A count with its key, and what time it is.
pub(crate) fn from_row(row: &Row) -> Result<(Vec<u8>, Count, DateTime<Utc>), db::Error> {
    let count = Count {
        failed_attempts: row.try_get("failed_attempts")?,
        blocked_until: row.try_get("blocked_until")?,
        updated_at: row.try_get("updated_at")?,
        under_way: row.try_get("under_way")?,
    };
    Ok((row.try_get("subject_hash")?, count, row.try_get("now")?))
}

/// Writes counts with the commit. The attempts under way go as pairs, since an array of arrays has none of different lengths.
pub(crate) fn write(tx: &Tx, counts: Vec<(Vec<u8>, Count)>) {
    let (mut of, mut under_way) = (Vec::new(), Vec::new());
    for (hash, count) in &counts {
        of.extend(count.under_way.iter().map(|_| hash.clone()));
        under_way.extend(count.under_way.iter().copied());
    }
    let (hashes, counts): (Vec<Vec<u8>>, Vec<Count>) = counts.into_iter().unzip();
    let failed: Vec<i32> = counts.iter().map(|count| count.failed_attempts).collect();
    let until: Vec<Option<DateTime<Utc>>> = counts.iter().map(|count| count.blocked_until).collect();
    let at: Vec<DateTime<Utc>> = counts.iter().map(|count| count.updated_at).collect();
    tx.at_commit(
        "update core.sign_in_failures f
         set failed_attempts = n.failed, blocked_until = n.until, updated_at = n.at,
             under_way = array(select w.until from unnest($5::bytea[], $6::timestamptz[]) as w (hash, until)
                where w.hash = n.hash order by w.until)
         from unnest($1::bytea[], $2::integer[], $3::timestamptz[], $4::timestamptz[]) as n (hash, failed, until, at)
         where f.subject_hash = n.hash",
        vec![
            Box::new(hashes),
            Box::new(failed),
            Box::new(until),
            Box::new(at),
            Box::new(of),
            Box::new(under_way),
        ],
    );
}

/// Takes back an attempt that succeeded, with the commit: what the person failed before is forgotten, what others of the
/// person or of the address are trying is not.
pub(crate) fn take_back(tx: &Tx, begun: &[Begun]) {
    let hashes: Vec<Vec<u8>> = begun.iter().map(|begun| begun.subject.hash.clone()).collect();
    let until: Vec<DateTime<Utc>> = begun.iter().map(|begun| begun.until).collect();
    let cleared: Vec<bool> = begun
        .iter()
        .map(|begun| begun.subject.counted == Counted::Person)
        .collect();
    // Locked in the order in which attempts lock them, else two of one person could wait for each other.
    tx.at_commit(HOLD, vec![Box::new(hashes.clone())]);
    tx.at_commit(
        "update core.sign_in_failures f
         set under_way = array_remove(f.under_way, n.until),
             failed_attempts = case when n.is_cleared then 0 else f.failed_attempts end,
             blocked_until = case when not n.is_cleared then f.blocked_until end
         from unnest($1::bytea[], $2::timestamptz[], $3::boolean[]) as n (hash, until, is_cleared)
         where f.subject_hash = n.hash",
        vec![Box::new(hashes.clone()), Box::new(until), Box::new(cleared)],
    );
    tx.at_commit(
        "delete from core.sign_in_failures f
         where f.subject_hash = any ($1) and f.failed_attempts = 0 and cardinality(f.under_way) = 0",
        vec![Box::new(hashes)],
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
