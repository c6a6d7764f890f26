//! `social.shift_swaps`: duty that staff offer to each other.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::rotation::Duty;
use crate::domain::swap::{Offer, Status};

/// An offer as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    pub(crate) swap_id: i64,
    pub(crate) schedule_id: i64,
    pub(crate) offer: Offer,
    pub(crate) taken_by: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
}

/// The columns of [`Swap`], for every statement that yields one under the alias `w`.
const COLUMNS: &str =
    "w.swap_id, w.schedule_id, w.offered_by, w.offered_to, w.taken_by, w.starts_at, w.ends_at, w.status,
    w.created_at, w.closed_at";

pub(crate) fn from_row(row: &Row) -> Result<Swap, db::Error> {
    let status: &str = row.try_get("status")?;
    Ok(Swap {
        swap_id: row.try_get("swap_id")?,
        schedule_id: row.try_get("schedule_id")?,
        offer: Offer {
            duty: Duty {
                staff_id: row.try_get("offered_by")?,
                starts_at: row.try_get("starts_at")?,
                ends_at: row.try_get("ends_at")?,
            },
            offered_to: row.try_get("offered_to")?,
            status: Status::parse(status).ok_or_else(|| db::Error::Row(format!("no status: {status}")))?,
        },
        taken_by: row.try_get("taken_by")?,
        created_at: row.try_get("created_at")?,
        closed_at: row.try_get("closed_at")?,
    })
}

/// The offers on a schedule (`$1`) that end after `$2`, or now (`$3`), and begin before `$4`, if given, by time; `$5` and
/// `$6` the row to go on behind, `$7` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.shift_swaps w
         where w.schedule_id = $1 and w.ends_at > coalesce($2::timestamptz, $3::timestamptz, now())
            and w.starts_at > coalesce($2::timestamptz, $3::timestamptz, now()) - interval '700 hours'
            and w.starts_at < coalesce($4::timestamptz, 'infinity')
            and (w.starts_at, w.swap_id) > ($5, $6)
         order by w.starts_at, w.swap_id
         limit $7"
    )
}

/// Makes an offer; `None` where its time has begun.
pub(crate) async fn insert(
    tx: &Tx,
    schedule_id: i64,
    offer: &Offer,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Swap>, db::Error> {
    let sql = format!(
        "insert into social.shift_swaps as w (schedule_id, offered_by, offered_to, starts_at, ends_at, created_at)
         select $1, $2, $3, $4, $5, clock.now from (select coalesce($6::timestamptz, now()) as now) as clock
         where $4 > clock.now
         returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[
        &schedule_id,
        &offer.duty.staff_id,
        &offer.offered_to,
        &offer.duty.starts_at,
        &offer.duty.ends_at,
        &now,
    ];
    tx.query_opt(&sql, params)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// Locks an offer; with the time. `None` where there is none of this id.
pub(crate) async fn lock(
    tx: &Tx,
    swap_id: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Option<(Swap, DateTime<Utc>)>, db::Error> {
    let sql = format!(
        "select {COLUMNS}, coalesce($2::timestamptz, now()) as now from social.shift_swaps w
         where w.swap_id = $1 for update of w"
    );
    let row = tx.query_opt(&sql, &[&swap_id, &now]).await?;
    row.map(|row| Ok((from_row(&row)?, row.try_get("now")?)))
        .transpose()
}

/// Lets nobody else take an offer on a schedule until the transaction ends: two that overlap would else both be taken. What
/// is read after this sees the one that was taken before.
pub(crate) async fn hold_schedule(tx: &Tx, schedule_id: i64) -> Result<(), db::Error> {
    tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('social.shift_swaps', $1))",
        &[&schedule_id],
    )
    .await?;
    Ok(())
}

/// Closes an offer that is open, taken by somebody or by nobody; returns what it has become.
pub(crate) async fn close(
    tx: &Tx,
    swap_id: i64,
    status: Status,
    taken_by: Option<&str>,
    now: Option<DateTime<Utc>>,
) -> Result<Swap, db::Error> {
    let sql = format!(
        "update social.shift_swaps w
         set status = $2, taken_by = $3, closed_at = coalesce($4::timestamptz, now())
         where w.swap_id = $1
         returning {COLUMNS}"
    );
    from_row(
        &tx.query_one(&sql, &[&swap_id, &status.as_str(), &taken_by, &now])
            .await?,
    )
}
