//! Changing an account and telling the others which of its fields.

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::contracts::UserUpdated;
use db::Tx;

use super::create_user::taken;
use crate::domain::changes::{Changes, Field};
use crate::error::Error;
use crate::store::tokens::{self, Holder};
use crate::store::users::{self, Locked};
use crate::store::{password_resets, refresh_tokens};

/// What became of an account.
pub(crate) struct Updated {
    pub(crate) changed: Vec<Field>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// Changes an account that is locked; where it is to be suspended, its person is held. Where nothing is other than before, nothing is written and nobody told. A value
/// that another account has is [`Error::Taken`], and the transaction is then of no more use.
pub(crate) async fn update_user(
    tx: &Tx,
    outbox: &Outbox,
    user_id: &str,
    found: Locked,
    changes: Changes,
) -> Result<Updated, Error> {
    let Locked {
        mut account,
        updated_at,
        ..
    } = found;
    let changed = changes.apply(&mut account);
    if changed.is_empty() {
        return Ok(Updated { changed, updated_at });
    }
    if changed.contains(&Field::Status) {
        users::set_status(tx, user_id, &account.status).await?;
        if account.status == "suspended" {
            // Or they would work again once the account does.
            refresh_tokens::revoke_of(tx, user_id, None).await?;
            tokens::revoke_of(tx, Holder::User(user_id)).await?;
        }
    }
    if changed.contains(&Field::Email) {
        // What was mailed to the address before is read by somebody else now.
        password_resets::end(tx, user_id).await?;
    }
    let updated_at = users::update(tx, user_id, &account).await.map_err(taken)?;
    let updated = UserUpdated {
        user_id: user_id.to_owned(),
        changed: changed.iter().map(|field| field.as_str().to_owned()).collect(),
        updated_at,
    };
    outbox.enqueue(tx, vec![NewEvent::of(Some(user_id.to_owned()), &updated)?]);
    Ok(Updated { changed, updated_at })
}
