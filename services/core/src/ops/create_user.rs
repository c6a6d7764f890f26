//! Making an account and telling the others of it.

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::contracts::UserCreated;
use db::Tx;

use crate::domain::user::NewUser;
use crate::error::Error;
use crate::store::users;

/// What must be unique among accounts: the constraint and the field it stands for.
const UNIQUE: [(&str, &str); 5] = [
    ("pk_users", "user_id"),
    ("uq_users_username", "username"),
    ("uq_users_email", "email"),
    ("uq_users_clerk_user_id", "clerk_user_id"),
    ("uq_users_external_id", "external_id"),
];

/// Makes the account; returns when. A value that another account has is [`Error::Taken`], and the transaction is then
/// of no more use.
pub(crate) async fn create_user(tx: &Tx, outbox: &Outbox, user: &NewUser) -> Result<DateTime<Utc>, Error> {
    let created_at = users::insert(tx, user).await.map_err(taken)?;
    let created = UserCreated {
        user_id: user.user_id.clone(),
        kind: user.kind.as_str().to_owned(),
        created_at,
    };
    outbox.enqueue(tx, vec![NewEvent::of(Some(user.user_id.clone()), &created)?]);
    Ok(created_at)
}

/// Which field another account has the value of, where that is why Postgres refused.
pub(super) fn taken(error: db::Error) -> Error {
    let field = UNIQUE
        .into_iter()
        .find(|(constraint, _)| error.constraint() == Some(constraint));
    match field {
        Some((_, field)) => Error::Taken(field),
        None => Error::Db(error),
    }
}
