//! Bringing the copy of the audit's seals outside Postgres up to the chain.

use db::{Db, Tx};

use crate::anchor::Anchor;
use crate::domain::seal::{Seal, SealKey};
use crate::error::Error;
use crate::store::audit;

/// Seals that are appended at a time.
const MAX_APPENDED_SEALS: i64 = 10_000;

/// Appends the newest seal where the copy lacks it, as a crash after the commit leaves it. No seal is made before the one
/// before it is in the copy, so that more is never missing, unless somebody took it away: that is not mended in silence.
///
/// # Errors
/// [`Error::AnchorCut`] and [`Error::AuditCutOff`], and those of database and file.
pub(crate) async fn append_newest(db: &Db, anchor: &Anchor, key: &SealKey) -> Result<(), Error> {
    let tx = db.begin_worker().await?;
    if !audit::become_sealer(&tx).await? {
        return Ok(tx.rollback().await?);
    }
    let stored = audit::last_link(&tx).await?.seq;
    let anchored = anchor.last_seq().await.map_err(Error::Anchor)?;
    match (anchored, stored) {
        (None, 0) => anchor.append(Vec::new()).await.map_err(Error::Anchor)?,
        (None, _) => return Err(Error::AnchorCut { anchored: 0, stored }),
        (Some(anchored), _) if anchored > stored => return Err(Error::AuditCutOff { anchored, stored }),
        (Some(anchored), _) if anchored + 1 < stored => return Err(Error::AnchorCut { anchored, stored }),
        (Some(anchored), _) => {
            append(&tx, anchor, key, anchored).await?;
        }
    }
    Ok(tx.rollback().await?)
}

/// Appends everything that the copy lacks at its end, for an operator who has lost it; returns how many seals that were.
///
/// # Errors
/// As [`append_newest`], but for what is missing.
pub(crate) async fn append_all(db: &Db, anchor: &Anchor, key: &SealKey) -> Result<u64, Error> {
    let tx = db.begin_worker().await?;
    audit::wait_to_seal(&tx).await?;
    let stored = audit::last_link(&tx).await?.seq;
    let mut anchored = anchor.last_seq().await.map_err(Error::Anchor)?.unwrap_or(0);
    if anchored > stored {
        return Err(Error::AuditCutOff { anchored, stored });
    }
    let mut appended = 0;
    while let Some(last) = append(&tx, anchor, key, anchored).await? {
        appended += (last - anchored).unsigned_abs();
        anchored = last;
    }
    tx.rollback().await?;
    Ok(appended)
}

/// Appends a stretch of seals behind one; returns the last of them. The caller is the one sealer.
async fn append(tx: &Tx, anchor: &Anchor, key: &SealKey, after: i64) -> Result<Option<i64>, Error> {
    let rows = tx.query(audit::SEALS, &[&after, &MAX_APPENDED_SEALS]).await?;
    let seals = rows
        .iter()
        .map(audit::seal_from_row)
        .collect::<Result<Vec<Seal>, _>>()?;
    if let Some(forged) = seals.iter().find(|seal| !key.made(seal)) {
        return Err(Error::SealForged(forged.seq));
    }
    let Some(last) = seals.last().map(|seal| seal.seq) else {
        return Ok(None);
    };
    anchor.append(seals).await.map_err(Error::Anchor)?;
    Ok(Some(last))
}
