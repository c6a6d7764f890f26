//! `risk.feature_snapshots`.

use chrono::{DateTime, Utc};
use db::{Json, Row, ToSql, Tx};
use sha2::{Digest, Sha256};

use crate::domain::snapshot::{Features, Snapshot, SnapshotKey};

/// A stored snapshot.
pub(crate) struct Stored {
    pub(crate) snapshot_id: i64,
    pub(crate) key: SnapshotKey,
    pub(crate) features: Features,
    pub(crate) created_at: DateTime<Utc>,
}

/// Those of these ids. `$1` the ids.
pub(crate) const OF_IDS: &str = "
    select s.snapshot_id, s.user_id, s.captured_at, s.feature_set_version, s.features, s.source, s.created_at
    from risk.feature_snapshots s
    where s.snapshot_id = any ($1)";

/// A client's snapshots, newest first. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select s.snapshot_id, s.user_id, s.captured_at, s.feature_set_version, s.features, s.source, s.created_at
    from risk.feature_snapshots s
    where s.user_id = $1 and (s.captured_at, s.snapshot_id) < ($2, $3)
    order by s.captured_at desc, s.snapshot_id desc
    limit $4";

pub(crate) fn from_row(row: &Row) -> Result<Stored, db::Error> {
    let Json(features): Json<Features> = row.try_get("features")?;
    Ok(Stored {
        snapshot_id: row.try_get("snapshot_id")?,
        key: key(row)?,
        features,
        created_at: row.try_get("created_at")?,
    })
}

fn key(row: &Row) -> Result<SnapshotKey, db::Error> {
    Ok(SnapshotKey {
        user_id: row.try_get("user_id")?,
        feature_set_version: row.try_get("feature_set_version")?,
        captured_at: row.try_get("captured_at")?,
        source: row.try_get("source")?,
    })
}

/// SHA-256 of features in their canonical form.
pub(crate) type Hash = Vec<u8>;

/// Snapshots side by side, as the statements take them.
#[derive(Default)]
struct Columns<'a> {
    users: Vec<&'a str>,
    sets: Vec<&'a str>,
    captured: Vec<DateTime<Utc>>,
    sources: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(keys: impl IntoIterator<Item = &'a SnapshotKey>) -> Self {
        let mut columns = Self::default();
        for key in keys {
            columns.users.push(&key.user_id);
            columns.sets.push(&key.feature_set_version);
            columns.captured.push(key.captured_at);
            columns.sources.push(&key.source);
        }
        columns
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.users, &self.sets, &self.captured, &self.sources]
    }
}

/// Stores those that are new, each given once; which they are.
pub(crate) async fn insert(
    tx: &Tx,
    snapshots: &[&Snapshot],
    hashes: &[&Hash],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<(SnapshotKey, i64)>, db::Error> {
    let sql = "
        insert into risk.feature_snapshots (user_id, captured_at, feature_set_version, features, source, features_hash,
            created_at)
        select n.user_id, n.captured_at, n.feature_set_version, n.features, n.source, n.features_hash,
            coalesce($7::timestamptz, now())
        from unnest($1::varchar[], $2::varchar[], $3::timestamptz[], $4::varchar[], $5::jsonb[], $6::bytea[])
            as n (user_id, feature_set_version, captured_at, source, features, features_hash)
        order by n.user_id, n.feature_set_version, n.captured_at, n.source
        on conflict (user_id, feature_set_version, captured_at, source) do nothing
        returning snapshot_id, user_id, feature_set_version, captured_at, source";
    let columns = Columns::of(snapshots.iter().map(|snapshot| &snapshot.key));
    let features: Vec<Json<&Features>> = snapshots
        .iter()
        .map(|snapshot| Json(&snapshot.features))
        .collect();
    let mut params = columns.params().to_vec();
    let more: [&(dyn ToSql + Sync); 3] = [&features, &hashes, &now];
    params.extend(more);
    let rows = tx.query(sql, &params).await?;
    rows.iter()
        .map(|row| Ok((key(row)?, row.try_get("snapshot_id")?)))
        .collect()
}

/// What stands under these keys: key, id, hash of the features.
pub(crate) async fn standing(
    tx: &Tx,
    keys: &[&SnapshotKey],
) -> Result<Vec<(SnapshotKey, i64, Hash)>, db::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "
        select s.snapshot_id, s.user_id, s.feature_set_version, s.captured_at, s.source, s.features_hash
        from unnest($1::varchar[], $2::varchar[], $3::timestamptz[], $4::varchar[])
            as n (user_id, feature_set_version, captured_at, source)
        join risk.feature_snapshots s using (user_id, feature_set_version, captured_at, source)";
    let columns = Columns::of(keys.iter().copied());
    let rows = tx.query(sql, &columns.params()).await?;
    rows.iter()
        .map(|row| {
            Ok((
                key(row)?,
                row.try_get("snapshot_id")?,
                row.try_get("features_hash")?,
            ))
        })
        .collect()
}

/// One snapshot. `$1` its id.
pub(crate) async fn find(tx: &Tx, snapshot_id: i64) -> Result<Option<Stored>, db::Error> {
    let row = tx.query_opt(OF_IDS, &[&vec![snapshot_id]]).await?;
    row.as_ref().map(from_row).transpose()
}

/// The hash of features, whose names are in order.
pub(crate) fn hash(features: &Features) -> Result<Hash, db::Error> {
    let canonical =
        serde_json::to_vec(features).map_err(|error| db::Error::Row(format!("features: {error}")))?;
    Ok(Sha256::digest(canonical).to_vec())
}
