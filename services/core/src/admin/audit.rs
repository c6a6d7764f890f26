//! The whole audit held against its seals, by command.

use std::io::Write;

use chrono::Utc;
use config::Env;
use db::Db;

use super::{Failure, connect, database_url};
use crate::anchor::Anchor;
use crate::config::AuditConfig;
use crate::domain::seal::SealKey;
use crate::ops::anchor_seals::append_all;
use crate::ops::verify_audit::{Against, verify as hold_against_seals};

/// Seals between two lines of progress.
const SEALS_PER_STEP: i64 = 10_000;

/// Runs `verify-audit` with what the environment names.
pub(crate) async fn main(env: Env) -> Result<(), Box<dyn std::error::Error>> {
    let (db, sealing) = opened(env)?;
    Ok(verify(&db, sealing, SEALS_PER_STEP, &mut std::io::stdout()).await?)
}

/// Runs `rebuild-anchor` with what the environment names.
pub(crate) async fn rebuild_main(env: Env) -> Result<(), Box<dyn std::error::Error>> {
    let (db, sealing) = opened(env)?;
    Ok(rebuild_anchor(&db, sealing, &mut std::io::stdout()).await?)
}

fn opened(mut env: Env) -> Result<(Db, AuditConfig), Box<dyn std::error::Error>> {
    let (url, sealing) = (database_url(&mut env), AuditConfig::read(&mut env));
    let (url, sealing) = env.finish(|| url.zip(sealing))?;
    Ok((connect(url)?, sealing))
}

fn seal_key(sealing: &AuditConfig) -> Result<SealKey, Failure> {
    SealKey::new(&sealing.key)
        .ok_or_else(|| Failure("RECOVERLY_AUDIT_KEY cannot be used as a key".to_owned()))
}

/// Appends what the copy lacks at its end: the sealer does so by itself for the newest seal only, since more is never
/// missing unless somebody took it away.
///
/// # Errors
/// In words for the operator: where the copy is ahead of Postgres, or cannot be written.
pub async fn rebuild_anchor(
    db: &Db,
    sealing: AuditConfig,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let key = seal_key(&sealing)?;
    let tx = db.begin_worker().await?;
    web::by_operator(&tx, "rebuild-anchor", None);
    tx.commit().await?;
    let appended = append_all(db, &Anchor::new(sealing.anchor), &key).await?;
    Ok(writeln!(out, "{appended} seals were appended to the copy")?)
}

/// Holds every seal against its rows and its copy, so many at a time, and says what it finds.
///
/// # Errors
/// In words for the operator: where anything differs, and where it could not be looked at.
pub async fn verify(
    db: &Db,
    sealing: AuditConfig,
    seals_per_step: i64,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let key = seal_key(&sealing)?;
    let anchor = Anchor::new(sealing.anchor);
    let against = Against {
        anchor: &anchor,
        key: &key,
        now: Utc::now(),
    };
    let (mut after, mut seals, mut events, mut faults) = (0, 0, 0, 0);
    loop {
        let report = hold_against_seals(db, against, after, seals_per_step).await?;
        seals += report.seals;
        events += report.events;
        faults += report.faults.len();
        for found in &report.faults {
            let row = found.event_id.map(|id| format!(", row {id}"));
            writeln!(
                out,
                "seal {}{}: {}",
                found.seq,
                row.unwrap_or_default(),
                found.fault.in_words()
            )?;
        }
        let Some(next) = report.next_after else {
            writeln!(
                out,
                "{seals} seals over {events} rows; {} rows wait for a seal; the copy ends at seal {}",
                report.unsealed_events, report.last_anchored_seq
            )?;
            break;
        };
        writeln!(out, "{seals} seals of {} looked at", report.last_seq)?;
        after = next;
    }
    if faults == 0 {
        Ok(())
    } else {
        Err(Failure(format!(
            "the audit is not as it was sealed: {faults} faults"
        )))
    }
}
