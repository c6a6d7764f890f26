//! What has happened since somebody looked last, from the outbox and the pages in the app.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use db::{Db, Row};

use crate::domain::stream::{Happened, Place, Snapshot};

/// Now, as a stream knows it.
pub(crate) struct Moment {
    pub(crate) place: Place,
    /// By the database's clock, which tokens go by.
    pub(crate) now: DateTime<Utc>,
    /// By the clock that jobs go by.
    pub(crate) clock: DateTime<Utc>,
    /// Whether there is anything new for anybody.
    pub(crate) has_happened: bool,
}

/// Asks once for all: whether anything has happened since. Without a place, where to begin.
pub(crate) async fn moment(
    db: &Db,
    since: Option<&Snapshot>,
    clock: Option<DateTime<Utc>>,
) -> Result<Moment, db::Error> {
    let sql =
        "select pg_current_snapshot()::text as seen, now() as now, coalesce($2::timestamptz, now()) as clock,
            coalesce(social.has_happened($1::text::pg_snapshot), false) as has_happened";
    let since = since.map(ToString::to_string);
    let rows = db.worker_query(sql, &[&since, &clock]).await?;
    let row = rows
        .first()
        .ok_or_else(|| db::Error::Row("a moment".to_owned()))?;
    let now = row.try_get("now")?;
    Ok(Moment {
        place: place(row, now)?,
        now,
        clock: row.try_get("clock")?,
        has_happened: row.try_get("has_happened")?,
    })
}

/// What each of these actors may see of what has happened since, at most so much, and the place behind it.
pub(crate) async fn happened_to(
    db: &Db,
    actors: &[String],
    since: &Snapshot,
    most: usize,
) -> Result<(Place, HashMap<String, Vec<Happened>>), db::Error> {
    let sql =
        "select pg_current_snapshot()::text as seen, now() as now, h.actor, h.xid::text as xid, h.event_id,
            h.event_type, h.data, h.in_crisis_only
        from (select 1) as one
        left join lateral (
            select t.actor, t.xid, t.event_id, t.event_type, t.data, t.in_crisis_only
            from social.happened_to($1, $2::text::pg_snapshot, $3) as t
            union all
            select w.actor, w.xid, w.delivery_id, 'social.warning.open', w.data, false
            from social.warned_since($1, $2::text::pg_snapshot) as w) as h on true";
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    let rows = db.call(sql, &[&actors, &since.to_string(), &most]).await?;
    let first = rows
        .first()
        .ok_or_else(|| db::Error::Row("a moment".to_owned()))?;
    let place = place(first, first.try_get("now")?)?;
    let mut happened: HashMap<String, Vec<Happened>> = HashMap::new();
    for row in &rows {
        if let Some(actor) = row.try_get("actor")? {
            happened.entry(actor).or_default().push(from_row(row)?);
        }
    }
    Ok((place, happened))
}

fn place(row: &Row, now: DateTime<Utc>) -> Result<Place, db::Error> {
    let seen: &str = row.try_get("seen")?;
    let seen = seen
        .parse()
        .map_err(|()| db::Error::Row("seen: no snapshot".to_owned()))?;
    Ok(Place::new(now, seen))
}

fn from_row(row: &Row) -> Result<Happened, db::Error> {
    let xid: &str = row.try_get("xid")?;
    Ok(Happened {
        xid: xid
            .parse()
            .map_err(|_| db::Error::Row("xid: no number".to_owned()))?,
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        data: row.try_get("data")?,
        in_crisis_only: row.try_get("in_crisis_only")?,
    })
}
