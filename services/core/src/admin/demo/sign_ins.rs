//! How the demo's people sign in.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::Db;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::super::{Failure, passwords};
use super::email;
use crate::domain::password_hash::Verdict;
use crate::hasher::Hasher;
use crate::store::credentials::{self, Account};

/// As unguessable as a password must be, in bytes.
const PASSWORD_BYTES: usize = 15;

/// What stands in the file: name → address, password and account.
pub(super) type SignIns = BTreeMap<String, Value>;

/// Gives a password to each of these people, by name and account, whose password in the file does not work.
pub(super) async fn prepare(
    db: &Db,
    people: &[(&str, &str)],
    found: &BTreeMap<String, Value>,
) -> Result<SignIns, Failure> {
    let ids: Vec<&str> = people.iter().map(|(_, id)| *id).collect();
    let rows = db.worker_query(credentials::FIND_EACH, &[&ids]).await?;
    let accounts = rows
        .iter()
        .map(credentials::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let place = Hasher::new().place()?;
    let (mut sign_ins, mut new_hashes) = (SignIns::new(), Vec::new());
    for (name, id) in people {
        let account = accounts.iter().find(|account| account.user_id == *id);
        let stored = account.and_then(|account: &Account| account.password_hash.as_deref());
        let known = found
            .get(*name)
            .and_then(|entry| entry.get("password"))
            .and_then(Value::as_str)
            .map(SecretString::from);
        let works = match &known {
            Some(known) => place.verify(known, stored).await? != Verdict::Wrong,
            None => false,
        };
        let password = known.filter(|_| works).unwrap_or_else(new_password);
        if !works {
            new_hashes.push((*id, place.hash(&password).await?));
        }
        sign_ins.insert(
            (*name).to_owned(),
            json!({ "email": email(id), "password": password.expose_secret(), "user_id": id }),
        );
    }
    let tx = db.begin_worker().await?;
    for (id, hash) in new_hashes {
        passwords::store(&tx, id, &hash).await?;
    }
    tx.commit().await?;
    Ok(sign_ins)
}

fn new_password() -> SecretString {
    let secret: [u8; PASSWORD_BYTES] = rand::random();
    URL_SAFE_NO_PAD.encode(secret).into()
}
