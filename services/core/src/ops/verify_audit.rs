//! Holding the audit against its seals, and the seals against their copy outside Postgres.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::anchor::{Anchor, Stretch};
use crate::domain::seal::{Fault, Link, SealKey};
use crate::error::Error;
use crate::store::audit;

/// Rows that are hashed at a time.
const MAX_VERIFIED_ROWS: i64 = 100_000;
/// Faults that one report names; there may be more.
const MAX_NAMED_FAULTS: usize = 100;

/// What a stretch of the chain is found to be.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Report {
    /// Whether everything that was looked at is as it was sealed.
    pub(crate) is_sound: bool,
    /// Seals that were looked at, those behind `after` in order.
    pub(crate) seals: i64,
    /// Rows that they cover.
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
    pub(crate) seq: i64,
    /// rows_changed, chain_broken, not_ours, differs_from_anchor or cut_off.
    #[schema(value_type = String, example = "rows_changed")]
    pub(crate) fault: Fault,
}

/// Looks at up to `limit` seals behind `after`.
///
/// # Errors
/// The database's, and those of the file.
pub(crate) async fn verify(
    db: &db::Db,
    anchor: &Anchor,
    key: &SealKey,
    after: i64,
    limit: i64,
) -> Result<Report, Error> {
    let mut chain = db.worker_query(audit::SEALS, &[&(after - 1), &1_i64]).await?;
    let before = chain.pop().map(|row| audit::seal_from_row(&row)).transpose()?;
    let mut link = match before {
        Some(seal) if seal.seq == after => Link {
            seq: seal.seq,
            hash: seal.hash,
        },
        Some(_) | None => Link::START,
    };
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
        let found = key.faults(&seal, link, rows_hash);
        report.blame(found.into_iter().map(|fault| (seal.seq, fault)));
        report.seals += 1;
        report.events += row.try_get::<_, i64>("events").map_err(db::Error::from)?;
        hashes.insert(seal.seq, seal.hash);
        link = Link {
            seq: seal.seq,
            hash: seal.hash,
        };
    }
    let goes_on = report.seals > 0 && link.seq < report.last_seq;
    report.next_after = goes_on.then_some(link.seq);
    let through = if goes_on { link.seq } else { i64::MAX };
    let stretch = anchor.stretch(after, through).await.map_err(Error::Anchor)?;
    report.hold_against(&stretch, &hashes);
    Ok(report)
}

impl Report {
    /// The copy outside Postgres may lag behind, never lead, and never say otherwise.
    fn hold_against(&mut self, stretch: &Stretch, hashes: &HashMap<i64, [u8; 32]>) {
        self.last_anchored_seq = stretch.last_seq;
        self.unreadable_lines = stretch.unreadable_lines;
        self.blame(
            stretch
                .links
                .iter()
                .filter_map(|link| match hashes.get(&link.seq) {
                    Some(hash) if *hash == link.hash => None,
                    Some(_) => Some((link.seq, Fault::DiffersFromAnchor)),
                    None => Some((link.seq, Fault::CutOff)),
                }),
        );
        self.is_sound = self.faults.is_empty();
    }

    fn blame(&mut self, found: impl IntoIterator<Item = (i64, Fault)>) {
        let room = MAX_NAMED_FAULTS.saturating_sub(self.faults.len());
        let named = found
            .into_iter()
            .take(room)
            .map(|(seq, fault)| Found { seq, fault });
        self.faults.extend(named);
    }
}
