//! An attempt to show who one is, counted before it is made.

use std::net::IpAddr;

use db::Db;

use crate::domain::throttle::{Counted, Subject, Who};
use crate::error::Error;
use crate::state::State;
use crate::store::sign_in_failures;

/// An attempt that may be made. What it shows to be right takes it back in the transaction that acts on it; else it
/// stands as a failure, also when its request is cut off.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) subjects: Vec<Subject>,
}

/// Counts an attempt of somebody who may be this person, from this address.
///
/// # Errors
/// [`Error::Blocked`] where one of them has failed too often.
pub(crate) async fn attempt(state: &State, who: Who<'_>, address: Option<IpAddr>) -> Result<Attempt, Error> {
    let key = state.throttle_key();
    let mut subjects = vec![Subject::of(who, key)];
    subjects.extend(address.map(|address| Subject::of(Who::Address(address), key)));
    let user_id = match who {
        Who::Account(id) | Who::Owner(id) | Who::Renamer(id) => Some(id),
        Who::Unknown(_) | Who::Address(_) => None,
    };
    count(&state.db, &subjects, user_id).await?;
    Ok(Attempt { subjects })
}

async fn count(db: &Db, subjects: &[Subject], user_id: Option<&str>) -> Result<(), Error> {
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
    let (mut counts, mut wait) = (Vec::new(), None);
    for row in rows.iter().flatten() {
        let (hash, standing, now) = sign_in_failures::from_row(row)?;
        // One that is nobody's would go uncounted.
        let subject = subjects
            .iter()
            .find(|subject| subject.hash == hash)
            .ok_or_else(|| db::Error::Row("sign_in_failures.subject_hash".to_owned()))?;
        match standing.attempt(subject, now) {
            Ok(counted) => counts.push((hash, counted)),
            Err(blocked) => wait = wait.max(Some(blocked)),
        }
    }
    if let Some(wait) = wait {
        tx.rollback().await?;
        let seconds = u64::try_from(wait.num_seconds()).unwrap_or_default();
        return Err(Error::Blocked(seconds.saturating_add(1)));
    }
    sign_in_failures::write(&tx, counts);
    Ok(tx.commit().await?)
}
