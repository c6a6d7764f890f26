//! Passwords by command.

use std::io::{BufRead, Read};

use db::{Db, Tx};
use secrecy::{ExposeSecret, SecretString};

use super::Failure;
use crate::domain::password;
use crate::error::Error;
use crate::hasher::Hasher;
use crate::ops::set_password::{must_be_good, set_password};
use crate::store::credentials::{self, Account};

/// Gives a person the password on the first line of the input.
pub(super) async fn set(db: &Db, user_id: &str, input: &mut (dyn BufRead + Send)) -> Result<(), Failure> {
    let mut line = String::new();
    let max_bytes = u64::try_from(password::MAX_BYTES + 2).unwrap_or(u64::MAX);
    input.take(max_bytes).read_line(&mut line)?;
    let password = SecretString::from(line.trim_end_matches(['\r', '\n']));
    let account = find(&db.worker_query(credentials::FIND, &[&user_id]).await?, user_id)?;
    if account.email.is_none() {
        return Err(Failure(format!(
            "account {user_id} has no e-mail address to sign in by: give it one with `admin user --email`"
        )));
    }
    must_be_good(&account, password.expose_secret(), "password").map_err(refused)?;
    let hash = Hasher::new().place()?.hash(&password).await?;
    let tx = db.begin_worker().await?;
    store(&tx, user_id, &hash).await?;
    web::by_operator(&tx, "admin password", vec![user_id.to_owned()]);
    Ok(tx.commit().await?)
}

/// Stores a hash in place of the one that stands, and ends all sign-ins.
pub(in crate::admin) async fn store(tx: &Tx, user_id: &str, hash: &str) -> Result<(), Failure> {
    tx.query(credentials::HOLD, &[&user_id]).await?;
    Ok(set_password(tx, user_id, hash, None).await?)
}

fn find(rows: &[db::Row], user_id: &str) -> Result<Account, Failure> {
    let row = rows
        .first()
        .ok_or_else(|| Failure(format!("there is no account {user_id}")))?;
    Ok(credentials::from_row(row)?)
}

/// A refusal of a value, without the places that only a body has.
fn refused(error: Error) -> Failure {
    let Error::Refused(faults) = error else {
        return Failure::from(error);
    };
    let words: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
    Failure(format!("the password {}", words.join(", ")))
}
