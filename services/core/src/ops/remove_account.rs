//! The end of an account that another system has ended.

use db::Tx;

use crate::store::tokens::{self, Holder};
use crate::store::users;

/// Ends the account: nobody signs in to it any more, and what was signed in is out.
pub(crate) async fn remove_account(tx: &Tx, user_id: &str) -> Result<(), db::Error> {
    users::suspend(tx, user_id).await?;
    tokens::revoke_of(tx, Holder::User(user_id)).await?;
    Ok(())
}
