//! Giving a person a password, and what ends with the one before.

use db::Tx;
use uuid::Uuid;

use crate::domain::password::{Owner, check};
use crate::error::Error;
use crate::store::credentials::{self, Account};
use crate::store::{password_resets, refresh_tokens, sign_in_failures, tickets};

/// Refuses a password that the rules do not allow to this person; `field` is where it was sent.
pub(crate) fn must_be_good(account: &Account, password: &str, field: &str) -> Result<(), Error> {
    let owner = Owner {
        kind: account.kind,
        username: account.username.as_deref(),
        email: account.email.as_deref(),
    };
    check(password, owner).map_err(|fault| Error::refused(field, fault))
}

/// Stores the hash of a new password, ends every sign-in of the person but one, also those half-way, and forgets their
/// failures. The person is held.
pub(crate) async fn set_password(
    tx: &Tx,
    user_id: &str,
    password_hash: &str,
    kept: Option<Uuid>,
) -> Result<(), Error> {
    credentials::put(tx, user_id, password_hash).await?;
    refresh_tokens::revoke_of(tx, user_id, kept).await?;
    password_resets::end(tx, user_id).await?;
    tickets::end(tx, user_id).await?;
    sign_in_failures::forget_failures(tx, user_id).await?;
    Ok(())
}
