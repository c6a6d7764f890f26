//! Erasing an account with everything that belongs to it, over all schemas, and telling the others of it.

use bus::{NewEvent, Outbox};
use common::contracts::UserErased;
use db::Tx;
use web::ErasureKey;

use crate::domain::clerk::account_hash;
use crate::domain::erasure::{Counts, Requester};
use crate::error::Error;
use crate::store::{clerk_accounts, erasures, threads, users};

/// Stands where a webhook's id would, for accounts that nobody at Clerk has ended.
const ERASED_HERE: &str = "erased here";

/// What an erasure came to.
pub(crate) struct Erased {
    pub(crate) counts: Counts,
    /// Roles and ids of the threads that the person had: what short-term memory keeps of them is forgotten once this is
    /// committed. What is written there meanwhile, a job finds.
    pub(crate) threads: Vec<(String, String)>,
}

/// Erases an account; [`Error::NotFound`] where there is none. The transaction is a worker's. Should it lose a deadlock,
/// the whole of it is to be run again ([`db::again`]).
///
/// All that is left is the row of `core.erasures`, and until it is delivered the event, which names the account so that
/// every service can sweep up what was in flight.
pub(crate) async fn erase_user(
    tx: &Tx,
    outbox: &Outbox,
    key: &ErasureKey,
    user_id: &str,
    by: &Requester,
) -> Result<Erased, Error> {
    // What Clerk still sends of the account must not bring the person back.
    if let Some(account) = users::clerk_user_id(tx, user_id).await? {
        clerk_accounts::bury(tx, &account_hash(&account), ERASED_HERE).await?;
    }
    let threads = threads::of_person(tx, user_id).await?;
    let counts = erasures::erase(tx, user_id).await?.ok_or(Error::NotFound)?;
    let erased_at = erasures::insert(tx, &key.hash(user_id), by, &counts).await?;
    let told = UserErased {
        user_id: user_id.to_owned(),
        erased_at,
    };
    outbox.enqueue(tx, vec![NewEvent::of(Some(user_id.to_owned()), &told)?]);
    Ok(Erased { counts, threads })
}
