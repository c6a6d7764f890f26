//! Erasing by command, and erasing again what a restore has brought back.

use std::collections::HashMap;
use std::io;

use bus::Outbox;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use db::Db;
use serde::{Deserialize, Serialize};
use web::ErasureKey;

use super::Failure;
use crate::domain::erasure::{Counts, Requester};
use crate::error::Error;
use crate::ops::erase_user::{Erased, erase_user};
use crate::store::erasures::{self, Known};
use crate::store::users;

/// Rows that are held at a time.
const PAGE_ROWS: i64 = 10_000;

/// What an operator can do about people who leave.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Erase an account and everything that belongs to it, in all services. It cannot be undone.
    Erase {
        /// Whose.
        #[arg(long)]
        user: String,
    },
    /// Print all erasures, one JSON object a line, to be kept with the backups: the key and this tell who was erased.
    ExportErasures,
    /// After a restore: erase again whom it has brought back. Accounts that were made after their erasure stay.
    ReplayErasures(ReplayArgs),
}

/// Where erasures are known from.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Read lines of export-erasures from standard input first; those that the table lacks are recorded.
    #[arg(long)]
    stdin: bool,
}

/// A line of an export.
#[derive(Deserialize, Serialize)]
struct Line {
    user_id_hmac: String,
    requested_at: DateTime<Utc>,
}

/// Runs a command.
pub(super) async fn run(
    command: &Command,
    db: &Db,
    key: &ErasureKey,
    input: &mut (dyn io::BufRead + Send),
    out: &mut (dyn io::Write + Send),
) -> Result<(), Failure> {
    match command {
        Command::Erase { user } => {
            let counts = erase(db, key, user)
                .await?
                .ok_or_else(|| Failure(format!("there is no account {user}")))?;
            writeln!(out, "account {user} is erased, {} rows in all", counts.removed())?;
        }
        Command::ExportErasures => export(db, out).await?,
        Command::ReplayErasures(args) => {
            if args.stdin {
                let recorded = record(db, input).await?;
                writeln!(out, "{recorded} erasures recorded that were not known here")?;
            }
            let erased = replay(db, key).await?;
            writeln!(out, "{erased} accounts erased again")?;
        }
    }
    Ok(())
}

/// Erases one account; none where there is no such account.
async fn erase(db: &Db, key: &ErasureKey, user_id: &str) -> Result<Option<Counts>, Failure> {
    // What short-term memory keeps of the person, the service's own job finds.
    match db::again(|| erase_once(db, key, user_id), Error::is_lost_race).await {
        Ok(erased) => Ok(Some(erased.counts)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn erase_once(db: &Db, key: &ErasureKey, user_id: &str) -> Result<Erased, Error> {
    let tx = db.begin_worker().await?;
    let erased = erase_user(&tx, &Outbox::new(db.schema()), key, user_id, &Requester::Operator).await?;
    web::by_operator(&tx, "admin erase", None);
    tx.commit().await?;
    Ok(erased)
}

async fn export(db: &Db, out: &mut (dyn io::Write + Send)) -> Result<(), Failure> {
    let tx = db.begin_worker().await?;
    web::by_operator(&tx, "admin export-erasures", None);
    tx.commit().await?;
    let mut after = 0;
    loop {
        let page = erasures::page(db, after, PAGE_ROWS).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.erasure_id;
        for known in &page {
            let line = Line {
                user_id_hmac: hex::encode(&known.user_id_hmac),
                requested_at: known.requested_at,
            };
            let line = serde_json::to_string(&line).map_err(|error| Failure(error.to_string()))?;
            writeln!(out, "{line}")?;
        }
    }
}

/// Records the erasures of an export that the table lacks; returns how many those were.
async fn record(db: &Db, input: &mut (dyn io::BufRead + Send)) -> Result<u64, Failure> {
    let (mut hashes, mut times) = (Vec::new(), Vec::new());
    for (number, line) in io::BufRead::lines(input).enumerate() {
        let not_ours = || Failure(format!("line {} is no line of export-erasures", number + 1));
        let line: Line = serde_json::from_str(&line?).map_err(|_| not_ours())?;
        let hash = hex::decode(&line.user_id_hmac).map_err(|_| not_ours())?;
        if hash.len() != ErasureKey::HASH_BYTES {
            return Err(not_ours());
        }
        hashes.push(hash);
        times.push(line.requested_at);
    }
    let tx = db.begin_worker().await?;
    let recorded = erasures::record(&tx, &hashes, &times).await?;
    web::by_operator(&tx, "admin replay-erasures", None);
    tx.commit().await?;
    Ok(recorded)
}

/// Hashes every account there is, and erases those that were erased after they were made.
async fn replay(db: &Db, key: &ErasureKey) -> Result<u64, Failure> {
    let known = latest(db).await?;
    let (mut after, mut erased) = (String::new(), 0);
    loop {
        let page = users::page(db, &after, PAGE_ROWS).await?;
        let Some((last, _)) = page.last() else {
            return Ok(erased);
        };
        after.clone_from(last);
        for (user_id, created_at) in &page {
            let left = known.get(&key.hash(user_id));
            if left.is_some_and(|left| created_at <= left) && erase(db, key, user_id).await?.is_some() {
                erased += 1;
            }
        }
    }
}

/// When each person who left did so last.
async fn latest(db: &Db) -> Result<HashMap<Vec<u8>, DateTime<Utc>>, Failure> {
    let (mut known, mut after) = (HashMap::new(), 0);
    loop {
        let page = erasures::page(db, after, PAGE_ROWS).await?;
        let Some(last) = page.last() else {
            return Ok(known);
        };
        after = last.erasure_id;
        for Known {
            user_id_hmac,
            requested_at,
            ..
        } in page
        {
            let latest = known.entry(user_id_hmac).or_insert(requested_at);
            *latest = requested_at.max(*latest);
        }
    }
}
