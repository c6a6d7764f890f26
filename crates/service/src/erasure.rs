//! `core.user.erased`: what every service does when it hears that somebody has left.

use bus::HandleError;
use common::Event;
use common::contracts::UserErased;
use db::Tx;

/// Erases once more, in the schema of the service. Erasing removed everything there was; this removes what an event in
/// flight may have brought since, where no reference to the account forbids it. Somebody who has an account again by now
/// keeps it.
///
/// # Errors
/// An event without a user id; those of the database.
pub async fn forget_erased(tx: &Tx, events: &[Event]) -> Result<(), HandleError> {
    let erased: Vec<UserErased> = bus::read(events)?;
    let sql = format!(
        "select {}.erase_user(e.user_id) from unnest($1::varchar[]) as e (user_id)
         where not exists (select from core.users u where u.user_id = e.user_id)",
        tx.schema()
    );
    let user_ids: Vec<&str> = erased.iter().map(|erased| erased.user_id.as_str()).collect();
    tx.query(&sql, &[&user_ids]).await?;
    Ok(())
}
