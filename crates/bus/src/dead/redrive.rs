//! Applies dead letters again, when an operator has asked for it. Needs Postgres only.

use common::Event;
use db::Row;

use super::letters;
use crate::HandleError;
use crate::applier::Applier;

/// The most letters of one tick.
const TICK_LETTERS_MAX: usize = 100;

/// What one tick did, in letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Applied and marked.
    pub applied: usize,
    /// Failed again, with the new reason; they wait to be asked for again.
    pub failed: usize,
}

/// The statements of one schema.
pub(crate) struct Redriver {
    next: String,
    succeeded: String,
    failed: String,
}

impl Redriver {
    pub(crate) fn new(schema: &str) -> Self {
        Self {
            // Skipping locked rows lets several consumers redrive side by side.
            next: format!(
                "select id, body from {schema}.dead_letters
                 where consumer = $1 and redrive_requested_at is not null and redriven_at is null
                 order by redrive_requested_at, id limit 1
                 for update skip locked"
            ),
            succeeded: format!("update {schema}.dead_letters set redriven_at = now() where id = $1"),
            failed: format!(
                "update {schema}.dead_letters
                 set reason = $2, attempts = attempts + 1, redrive_requested_at = null
                 where id = $1 and redriven_at is null"
            ),
        }
    }

    /// Applies the requested letters, each in its own transaction with its inbox row.
    ///
    /// # Errors
    /// When Postgres is away; the remaining requests stay.
    pub(crate) async fn tick(&self, applier: &Applier) -> Result<Redriven, db::Error> {
        let mut redriven = Redriven::default();
        for _ in 0..TICK_LETTERS_MAX {
            match self.redrive_next(applier).await? {
                None => break,
                Some(true) => redriven.applied += 1,
                Some(false) => redriven.failed += 1,
            }
        }
        Ok(redriven)
    }

    /// The next letter: none, applied, or failed.
    async fn redrive_next(&self, applier: &Applier) -> Result<Option<bool>, db::Error> {
        let tx = applier.db.begin_worker().await?;
        let Some(row) = tx.query_opt(&self.next, &[&applier.consumer()]).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let id: i64 = row.try_get("id")?;
        let applied = async { applier.apply_in(&tx, &decode(&row)?).await }.await;
        match applied {
            Ok(()) => {
                tx.execute(&self.succeeded, &[&id]).await?;
                tx.commit().await?;
                tracing::info!(dead_letter_id = id, "dead letter applied");
                Ok(Some(true))
            }
            Err(error) if error.is_retryable() => {
                tx.rollback().await?;
                Err(db::Error::Unavailable(error.to_string()))
            }
            Err(error) => {
                tx.rollback().await?;
                let reason = letters::reason(&error.to_string());
                applier.db.worker_query(&self.failed, &[&id, &reason]).await?;
                tracing::warn!(dead_letter_id = id, reason, "dead letter failed again");
                Ok(Some(false))
            }
        }
    }
}

fn decode(row: &Row) -> Result<Event, HandleError> {
    let body: Vec<u8> = row.try_get("body").map_err(db::Error::from)?;
    Ok(Event::decode(&body)?)
}
