//! Showing, in the midst of a sign-in, that one still knows the own password.

use secrecy::SecretString;

use super::attempt::{Attempt, turn};
use crate::domain::password_hash::Verdict;
use crate::domain::throttle::Who;
use crate::error::Error;
use crate::hasher::Place;
use crate::state::State;
use crate::store::credentials::Account;

/// Counted as an attempt to sign in is, which whoever acts on it takes back; `field` is where it was sent. The place is
/// for a hash that is to follow.
///
/// # Errors
/// A refusal of the field, or as of [`super::attempt::attempt`] where none may be made.
pub(crate) async fn prove_password(
    state: &State,
    account: &Account,
    (field, shown): (&str, &SecretString),
) -> Result<(Attempt, Place), Error> {
    let turn = turn(state, Who::Owner(&account.user_id), None).await?;
    let place = state.hasher.place()?;
    let attempt = turn.attempt(&state.db).await?;
    match place.verify(shown, account.password_hash.as_deref()).await? {
        Verdict::Wrong => {
            attempt.failed(&state.db).await?;
            Err(not_the_present_one(field))
        }
        Verdict::Right | Verdict::RightButOutdated => Ok((attempt, place)),
    }
}

/// The refusal of what is not the present password.
pub(crate) fn not_the_present_one(field: &str) -> Error {
    Error::refused(field, "is not the present password")
}
