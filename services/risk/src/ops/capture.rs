//! Storing snapshots: each once, whoever captures it again.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use db::Tx;

use crate::domain::snapshot::{Snapshot, SnapshotKey};
use crate::error::Error;
use crate::store::feature_snapshots::{self, Hash};

/// A snapshot that stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured {
    pub(crate) snapshot_id: i64,
    /// Whether it was stored now.
    pub(crate) is_new: bool,
}

/// Stores what is new of them; says of each, in the order given, which row it is, or that another stands in its place. The
/// clients are locked.
pub(crate) async fn capture(
    tx: &Tx,
    snapshots: &[&Snapshot],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Result<Captured, Error>>, Error> {
    let hashes = snapshots
        .iter()
        .map(|snapshot| feature_snapshots::hash(&snapshot.features))
        .collect::<Result<Vec<Hash>, _>>()?;
    let mut once: HashMap<&SnapshotKey, (&Snapshot, &Hash)> = HashMap::new();
    for (snapshot, hash) in snapshots.iter().zip(&hashes) {
        once.entry(&snapshot.key).or_insert((snapshot, hash));
    }
    if once.is_empty() {
        return Ok(Vec::new());
    }
    let (first, first_hashes): (Vec<&Snapshot>, Vec<&Hash>) = once.values().copied().unzip();
    let new: HashMap<SnapshotKey, i64> = feature_snapshots::insert(tx, &first, &first_hashes, now)
        .await?
        .into_iter()
        .collect();
    let rest: Vec<&SnapshotKey> = once
        .keys()
        .copied()
        .filter(|key| !new.contains_key(*key))
        .collect();
    let standing: HashMap<SnapshotKey, (i64, Hash)> = feature_snapshots::standing(tx, &rest)
        .await?
        .into_iter()
        .map(|(key, id, hash)| (key, (id, hash)))
        .collect();
    let mut seen = HashSet::new();
    let captured = snapshots.iter().zip(&hashes).map(|(snapshot, hash)| {
        let key = &snapshot.key;
        let is_first = seen.insert(key);
        let (snapshot_id, stands) = match (new.get(key), standing.get(key), once.get(key)) {
            (Some(id), _, Some((_, hash))) => (*id, *hash),
            (None, Some((id, hash)), _) => (*id, hash),
            // Stored neither now nor before: its client has gone in between.
            (Some(_), _, None) | (None, None, _) => return Err(Error::NoClient),
        };
        if stands != hash {
            return Err(Error::SnapshotDiffers);
        }
        Ok(Captured {
            snapshot_id,
            is_new: is_first && new.contains_key(key),
        })
    });
    Ok(captured.collect())
}
