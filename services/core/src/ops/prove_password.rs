//! Showing, in the midst of a sign-in, that one still knows the own password.

use secrecy::SecretString;

use super::attempt::{Attempt, attempt};
use crate::domain::password_hash::Verdict;
use crate::domain::throttle::Who;
use crate::error::Error;
use crate::hasher::Place;
use crate::state::State;
use crate::store::credentials::Account;

/// Counted as an attempt to sign in is, which whoever acts on it takes back; `field` is where it was sent.
///
/// # Errors
/// A refusal of the field, or [`Error::Blocked`] after too many.
pub(crate) async fn prove_password(
    state: &State,
    place: &Place,
    account: &Account,
    (field, shown): (&str, &SecretString),
) -> Result<Attempt, Error> {
    let attempt = attempt(state, Who::Owner(&account.user_id), None).await?;
    match place.verify(shown, account.password_hash.as_deref()).await? {
        Verdict::Wrong => Err(not_the_present_one(field)),
        Verdict::Right | Verdict::RightButOutdated => Ok(attempt),
    }
}

/// The refusal of what is not the present password.
pub(crate) fn not_the_present_one(field: &str) -> Error {
    Error::refused(field, "is not the present password")
}
