//! An attempt to show who one is, counted before it is made.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use db::{Db, Tx};
use tokio::time::Instant;

use crate::domain::throttle::{Count, Counted, Refusal, Subject, Who};
use crate::error::Error;
use crate::queues::Turn;
use crate::state::State;
use crate::store::sign_in_failures::{self, Begun};

/// How long an attempt waits for others of the same person or address, in seconds.
const MAX_WAIT_SECONDS: u64 = 8;
/// How often it asks whether those of other processes are over, in milliseconds.
const ASK_MILLISECONDS: u64 = 50;

/// An attempt whose turn has come, and which is not yet counted.
pub(crate) struct Waited {
    subjects: Vec<Subject>,
    user_id: Option<String>,
    deadline: Instant,
    turns: Vec<Turn>,
}

/// An attempt that is being made. What it shows to be right takes it back in the transaction that acts on it
/// ([`sign_in_failures::take_back`]); else [`Attempt::failed`]. Where its request is cut off, it becomes a failure by
/// itself.
pub(crate) struct Attempt {
    pub(crate) begun: Vec<Begun>,
    user_id: Option<String>,
    /// Those who wait go on when it is dropped.
    _turns: Vec<Turn>,
}

/// Counts an attempt of somebody who may be this person, from this address; waits while as many as may fail are being
/// made.
///
/// # Errors
/// [`Error::Blocked`] where one of them has failed too often, [`Error::Crowded`] where too many wait.
pub(crate) async fn attempt(state: &State, who: Who<'_>, address: Option<IpAddr>) -> Result<Attempt, Error> {
    turn(state, who, address).await?.attempt(&state.db).await
}

/// Waits for the turn of an attempt, for those who need something else between that and the attempt.
///
/// # Errors
/// [`Error::Crowded`].
pub(crate) async fn turn(state: &State, who: Who<'_>, address: Option<IpAddr>) -> Result<Waited, Error> {
    let key = state.throttle_key();
    let mut subjects = vec![Subject::of(who, key)];
    subjects.extend(address.map(|address| Subject::of(Who::Address(address), key)));
    let user_id = match who {
        Who::Account(id) | Who::Owner(id) | Who::Renamer(id) => Some(id.to_owned()),
        Who::Unknown(_) | Who::Address(_) => None,
    };
    let deadline = Instant::now() + Duration::from_secs(MAX_WAIT_SECONDS);
    Ok(Waited {
        turns: state.queues.turns(&subjects, deadline).await?,
        subjects,
        user_id,
        deadline,
    })
}

impl Waited {
    /// Counts it.
    ///
    /// # Errors
    /// As [`attempt`].
    pub(crate) async fn attempt(self, db: &Db) -> Result<Attempt, Error> {
        loop {
            match begin(db, &self.subjects, self.user_id.as_deref()).await {
                Err(Error::Crowded) if Instant::now() < self.deadline => {
                    tokio::time::sleep(Duration::from_millis(ASK_MILLISECONDS)).await;
                }
                Err(error) => return Err(error),
                Ok(begun) => {
                    return Ok(Attempt {
                        begun,
                        user_id: self.user_id,
                        _turns: self.turns,
                    });
                }
            }
        }
    }
}

impl Attempt {
    /// It has shown nothing: from now on it is a failure.
    ///
    /// # Errors
    /// Those of the database; it is then a failure a little later.
    pub(crate) async fn failed(self, db: &Db) -> Result<(), Error> {
        let subjects: Vec<Subject> = self.begun.iter().map(|begun| begun.subject.clone()).collect();
        let (tx, counts, now) = hold(db, &subjects, self.user_id.as_deref()).await?;
        let failed = counts.into_iter().map(|(subject, count)| {
            let began = self.begun.iter().find(|begun| begun.subject == subject);
            let count = match began {
                Some(begun) => count.fail(&subject, begun.until, now),
                None => count,
            };
            (subject.hash, count)
        });
        sign_in_failures::write(&tx, failed.collect());
        Ok(tx.commit().await?)
    }
}

/// Counts that a client asks for another name. It is never taken back.
///
/// # Errors
/// [`Error::NamesUsedUp`].
pub(crate) async fn ask_name(state: &State, user_id: &str) -> Result<(), Error> {
    let subject = Subject::of(Who::Renamer(user_id), state.throttle_key());
    begin(&state.db, &[subject], Some(user_id)).await?;
    Ok(())
}

async fn begin(db: &Db, subjects: &[Subject], user_id: Option<&str>) -> Result<Vec<Begun>, Error> {
    let (tx, counts, now) = hold(db, subjects, user_id).await?;
    let (mut written, mut begun, mut refused) = (Vec::new(), Vec::new(), None);
    for (subject, count) in counts {
        match count.attempt(&subject, now) {
            Ok((count, until)) => {
                written.push((subject.hash.clone(), count));
                begun.push(Begun { subject, until });
            }
            Err(refusal) => refused = refused.max(Some((refusal, subject.counted))),
        }
    }
    if let Some((refusal, counted)) = refused {
        tx.rollback().await?;
        return Err(refusal_of(refusal, counted));
    }
    sign_in_failures::write(&tx, written);
    tx.commit().await?;
    Ok(begun)
}

fn refusal_of(refusal: Refusal, counted: Counted) -> Error {
    let Refusal::Blocked(wait) = refusal else {
        return Error::Crowded;
    };
    let seconds = u64::try_from(wait.num_seconds())
        .unwrap_or_default()
        .saturating_add(1);
    match counted {
        Counted::Person | Counted::Address => Error::Blocked(seconds),
        Counted::Names => Error::NamesUsedUp(seconds),
    }
}

type Held = (Tx, Vec<(Subject, Count)>, DateTime<Utc>);

/// Locks the counts of these, in one order for everybody; each as it stands, and what time it is.
async fn hold(db: &Db, subjects: &[Subject], user_id: Option<&str>) -> Result<Held, Error> {
    let hashes: Vec<&[u8]> = subjects.iter().map(|subject| subject.hash.as_slice()).collect();
    let are =
        |what: Counted| -> Vec<bool> { subjects.iter().map(|subject| subject.counted == what).collect() };
    let (of_address, of_names) = (are(Counted::Address), are(Counted::Names));
    let (tx, rows) = db
        .begin_worker_with(&[
            (
                sign_in_failures::ENSURE,
                &[&hashes, &of_address, &of_names, &user_id],
            ),
            (sign_in_failures::HOLD, &[&hashes]),
        ])
        .await?;
    let (mut counts, mut time) = (Vec::new(), None);
    for row in rows.iter().flatten() {
        let (hash, count, now) = sign_in_failures::from_row(row)?;
        // One that is nobody's would go uncounted.
        let subject = subjects
            .iter()
            .find(|subject| subject.hash == hash)
            .ok_or_else(|| db::Error::Row("sign_in_failures.subject_hash".to_owned()))?;
        counts.push((subject.clone(), count));
        time = Some(now);
    }
    let now = time.ok_or_else(|| db::Error::Row("no count was held".to_owned()))?;
    Ok((tx, counts, now))
}
