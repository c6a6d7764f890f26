//! Bringing an account to what Clerk said of it, whatever the order in which it was said and however often.

use bus::Outbox;
use db::Tx;
use uuid::Uuid;
use web::ErasureKey;

use super::create_user::create_user;
use super::erase_user::erase_user;
use super::update_user::update_user;
use crate::domain::changes::Changes;
use crate::domain::clerk::{Profile, Said, account_hash};
use crate::domain::erasure::Requester;
use crate::domain::user::{Kind, NewUser};
use crate::error::Error;
use crate::store::{clerk_accounts, credentials, users, webhook_receipts};

/// What a webhook came to.
#[derive(Default)]
pub(crate) struct Followed {
    /// Whose account it changed.
    pub(crate) person: Option<String>,
    /// The threads that the person had, where it erased the account.
    pub(crate) threads: Vec<(String, String)>,
}

/// Applies one webhook. A name that another account has is [`Error::Taken`]: nothing is then kept, and Clerk sends it
/// again.
pub(crate) async fn follow_clerk(
    tx: &Tx,
    outbox: &Outbox,
    erasures: &ErasureKey,
    webhook_id: &str,
    said: &Said,
) -> Result<Followed, Error> {
    if !webhook_receipts::note(tx, webhook_id).await? {
        return Ok(Followed::default());
    }
    match said {
        Said::Account(profile) => {
            let hash = account_hash(&profile.clerk_user_id);
            if clerk_accounts::advance(tx, &hash, profile.updated_at, webhook_id).await? {
                return Ok(Followed {
                    person: Some(bring_to(tx, outbox, profile).await?),
                    threads: Vec::new(),
                });
            }
        }
        Said::Deleted(clerk_user_id) => {
            let is_news = clerk_accounts::bury(tx, &account_hash(clerk_user_id), webhook_id).await?;
            // Before the account, as every erasure does.
            tx.query(credentials::HOLD_OF_CLERK, &[clerk_user_id]).await?;
            if let Some(user_id) = users::lock_of_clerk(tx, clerk_user_id).await?
                && is_news
            {
                let erased = erase_user(tx, outbox, erasures, &user_id, &Requester::Clerk).await?;
                return Ok(Followed {
                    person: Some(user_id),
                    threads: erased.threads,
                });
            }
        }
        Said::Other => {}
    }
    Ok(Followed::default())
}

async fn bring_to(tx: &Tx, outbox: &Outbox, profile: &Profile) -> Result<String, Error> {
    if let Some(user_id) = users::lock_of_clerk(tx, &profile.clerk_user_id).await?
        && let Some(found) = users::lock(tx, &user_id, Some(Kind::Client)).await?
    {
        let changes = Changes {
            username: Some(profile.username.clone()),
            email: Some(profile.email.clone()),
            full_name: Some(profile.full_name.clone()),
            display_name: Some(profile.display_name.clone()),
            phone: Some(profile.phone.clone()),
            external_id: Some(profile.external_id.clone()),
            ..Changes::default()
        };
        update_user(tx, outbox, &user_id, found, changes).await?;
        return Ok(user_id);
    }
    let user = NewUser {
        username: profile.username.clone(),
        email: profile.email.clone(),
        full_name: profile.full_name.clone(),
        display_name: profile.display_name.clone(),
        phone: profile.phone.clone(),
        clerk_user_id: Some(profile.clerk_user_id.clone()),
        external_id: profile.external_id.clone(),
        ..NewUser::bare(&Uuid::now_v7().to_string(), Kind::Client)
    };
    create_user(tx, outbox, &user).await?;
    Ok(user.user_id)
}
