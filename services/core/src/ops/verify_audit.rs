//! Holding the audit against its seals, and the seals against their copy outside Postgres.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use db::Row;
use serde::Serialize;
use utoipa::ToSchema;
use web::Problem;

use crate::anchor::{Anchor, Stretch};
use crate::domain::seal::{Fault, Hash, Link, Seal, SealKey, kept_since};
use crate::error::Error;
use crate::store::audit;

/// Rows that are hashed at a time.
const MAX_VERIFIED_ROWS: i64 = 100_000;
/// Faults that one report names; there may be more.
const MAX_NAMED_FAULTS: usize = 100;
/// Seals that are made while one looks, at most: one takes seconds.
const MAX_SEALS_MADE_MEANWHILE: i64 = 1_000;

/// What a stretch of the chain is found to be.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Report {
    /// Whether everything that was looked at is as it was sealed.
    pub(crate) is_sound: bool,
    /// Seals that were looked at, those behind `after` in order.
    pub(crate) seals: i64,
    /// Rows that they cover, or covered: those of months before the last six years are gone.
    pub(crate) events: i64,
    /// Where to go on; null when the end was reached.
    pub(crate) next_after: Option<i64>,
    /// The last seal in Postgres.
    pub(crate) last_seq: i64,
    /// The last seal in the copy outside Postgres.
    pub(crate) last_anchored_seq: i64,
    /// Rows that wait for their seal: they can still be changed without being found.
    pub(crate) unsealed_events: i64,
    /// Lines of the copy that cannot be read.
    pub(crate) unreadable_lines: u64,
    /// What is wrong, at most 100.
    pub(crate) faults: Vec<Found>,
}

/// A fault and where it is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Found {
    /// The seal; of a row without one, the last seal that was made in its time or before.
    pub(crate) seq: i64,
    /// rows_changed, chain_broken, not_ours, differs_from_anchor, cut_off, not_anchored or unsealed.
    #[schema(value_type = String, example = "rows_changed")]
    pub(crate) fault: Fault,
    /// The row that stands in no seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<i64>,
}

/// What the audit is held against.
#[derive(Clone, Copy)]
pub(crate) struct Against<'a> {
    /// The copy of the seals outside Postgres.
    pub(crate) anchor: &'a Anchor,
    /// The key of the seals.
    pub(crate) key: &'a SealKey,
    /// Rows of months that ended six years before this time may be gone.
    pub(crate) now: DateTime<Utc>,
}

/// Looks at up to `limit` seals behind `after`, and at the rows of their time.
///
/// # Errors
/// 422 where there is no seal `after`; the database's, and those of the file.
pub(crate) async fn verify(
    db: &db::Db,
    against: Against<'_>,
    after: i64,
    limit: i64,
) -> Result<Report, Error> {
    let Against { anchor, key, now } = against;
    let kept_since = kept_since(now);
    let mut end = beginning(db, after).await?;
    let begins_at = end.last_at;
    let state = db.worker_query(audit::STATE, &[]).await?;
    let state = state.first().ok_or(Error::NotFound)?;
    let rows = db
        .worker_query(audit::SEALS_WITH_ROWS, &[&after, &limit, &MAX_VERIFIED_ROWS])
        .await?;
    let mut report = Report {
        last_seq: state.try_get("last_seq").map_err(db::Error::from)?,
        unsealed_events: state.try_get("unsealed_events").map_err(db::Error::from)?,
        ..Report::default()
    };
    let mut hashes = HashMap::with_capacity(rows.len());
    for row in &rows {
        let seal = audit::seal_from_row(row)?;
        let rows_hash: Option<&[u8]> = row.try_get("rows_hash").map_err(db::Error::from)?;
        let found = key.faults(&seal, end.link, rows_hash, kept_since);
        report.blame(found.into_iter().map(|fault| Found::of_seal(seal.seq, fault)));
        report.seals += 1;
        report.events += row.try_get::<_, i64>("events").map_err(db::Error::from)?;
        hashes.insert(seal.seq, seal.hash);
        end = End::of(row)?;
    }
    let goes_on = report.seals > 0 && end.link.seq < report.last_seq;
    report.next_after = goes_on.then_some(end.link.seq);
    let through = if goes_on { end.link.seq } else { i64::MAX };
    let stretch = anchor.stretch(after, through).await.map_err(Error::Anchor)?;
    hashes.extend(made_meanwhile(db, end.link, &stretch).await?);
    report.hold_against(&stretch, &hashes);
    // The stretches of time of one look after the other leave out none, whatever times the seals name.
    let ends_at = end.last_at.filter(|_| goes_on);
    let named: i64 = MAX_NAMED_FAULTS.try_into().unwrap_or(i64::MAX);
    let unsealed = db
        .worker_query(audit::UNSEALED, &[&begins_at, &ends_at, &named])
        .await?;
    for row in &unsealed {
        let event_id = row.try_get("id").map_err(db::Error::from)?;
        report.blame([Found::unsealed(end.link.seq, event_id)]);
    }
    report.is_sound = report.faults.is_empty();
    Ok(report)
}

/// Where the stretch behind a seal begins.
async fn beginning(db: &db::Db, after: i64) -> Result<End, Error> {
    if after == 0 {
        return Ok(End::BEGINNING);
    }
    let rows = db.worker_query(audit::SEALS, &[&(after - 1), &1_i64]).await?;
    let found = rows.first().map(End::of).transpose()?;
    // From nowhere it would look for rows past the sealer through all there are.
    found
        .filter(|end| end.link.seq == after)
        .ok_or_else(|| Problem::invalid_field("?after", "is no seal").into())
}

/// The seals that were made after the chain was read and before its copy was: without them, what the copy has of them would
/// look as if it had been cut off here.
async fn made_meanwhile(db: &db::Db, end: Link, stretch: &Stretch) -> Result<Vec<(i64, Hash)>, Error> {
    let last = stretch.links.iter().map(|link| link.seq).max();
    let Some(last) = last.filter(|last| *last > end.seq) else {
        return Ok(Vec::new());
    };
    let rows = db
        .worker_query(audit::SEALS, &[&end.seq, &MAX_SEALS_MADE_MEANWHILE])
        .await?;
    let seals = rows
        .iter()
        .map(audit::seal_from_row)
        .collect::<Result<Vec<Seal>, _>>()?;
    let anchored = seals.into_iter().filter(|seal| seal.seq <= last);
    Ok(anchored.map(|seal| (seal.seq, seal.hash)).collect())
}

/// Where a stretch of the chain ends.
struct End {
    link: Link,
    /// Time of the newest row of the last seal; `None` before the first.
    last_at: Option<DateTime<Utc>>,
}

impl End {
    const BEGINNING: Self = Self {
        link: Link::START,
        last_at: None,
    };

    fn of(row: &Row) -> Result<Self, db::Error> {
        let seal = audit::seal_from_row(row)?;
        Ok(Self {
            link: Link {
                seq: seal.seq,
                hash: seal.hash,
            },
            last_at: Some(seal.last_at),
        })
    }
}

impl Found {
    fn of_seal(seq: i64, fault: Fault) -> Self {
        Self {
            seq,
            fault,
            event_id: None,
        }
    }

    fn unsealed(seq: i64, event_id: i64) -> Self {
        Self {
            seq,
            fault: Fault::Unsealed,
            event_id: Some(event_id),
        }
    }
}

impl Report {
    /// The copy outside Postgres may lack the newest seal, never lead, and never say otherwise.
    fn hold_against(&mut self, stretch: &Stretch, hashes: &HashMap<i64, Hash>) {
        self.last_anchored_seq = stretch.last_seq;
        self.unreadable_lines = stretch.unreadable_lines;
        self.blame(
            stretch
                .links
                .iter()
                .filter_map(|link| match hashes.get(&link.seq) {
                    Some(hash) if *hash == link.hash => None,
                    Some(_) => Some(Found::of_seal(link.seq, Fault::DiffersFromAnchor)),
                    None => Some(Found::of_seal(link.seq, Fault::CutOff)),
                }),
        );
        let newest = hashes.keys().copied().fold(self.last_seq, i64::max);
        let anchored: HashSet<i64> = stretch.links.iter().map(|link| link.seq).collect();
        let mut missing: Vec<i64> = hashes
            .keys()
            .copied()
            .filter(|seq| !anchored.contains(seq) && (*seq != newest || stretch.is_missing))
            .collect();
        missing.sort_unstable();
        self.blame(
            missing
                .into_iter()
                .map(|seq| Found::of_seal(seq, Fault::NotAnchored)),
        );
    }

    fn blame(&mut self, found: impl IntoIterator<Item = Found>) {
        let room = MAX_NAMED_FAULTS.saturating_sub(self.faults.len());
        self.faults.extend(found.into_iter().take(room));
    }
}
