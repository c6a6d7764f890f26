//! The whole audit held against its seals, by command.

use std::io::Write;

use config::Env;
use db::Db;

use super::{Failure, connect, database_url};
use crate::anchor::Anchor;
use crate::config::AuditConfig;
use crate::domain::seal::SealKey;
use crate::ops::verify_audit::verify as hold_against_seals;

/// Seals between two lines of progress.
const SEALS_PER_STEP: i64 = 10_000;

/// Runs the command with what the environment names.
pub(crate) async fn main(mut env: Env) -> Result<(), Box<dyn std::error::Error>> {
    let (url, sealing) = (database_url(&mut env), AuditConfig::read(&mut env));
    let (url, sealing) = env.finish(|| url.zip(sealing))?;
    Ok(verify(&connect(url)?, sealing, &mut std::io::stdout()).await?)
}

/// Holds every seal against its rows and its copy, and says what it finds.
///
/// # Errors
/// In words for the operator: where anything differs, and where it could not be looked at.
pub async fn verify(db: &Db, sealing: AuditConfig, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let key = SealKey::new(&sealing.key)
        .ok_or_else(|| Failure("RECOVERLY_AUDIT_KEY cannot be used as a key".to_owned()))?;
    let anchor = Anchor::new(sealing.anchor);
    let (mut after, mut seals, mut events, mut faults) = (0, 0, 0, 0);
    loop {
        let report = hold_against_seals(db, &anchor, &key, after, SEALS_PER_STEP).await?;
        seals += report.seals;
        events += report.events;
        faults += report.faults.len();
        for found in &report.faults {
            writeln!(out, "seal {}: {}", found.seq, found.fault.in_words())?;
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
