//! Tokens by command.

use std::io::{BufRead, Read};

use chrono::{DateTime, Utc};
use db::Tx;
use serde_json::{Value, json};

use super::{Failure, HolderArgs, RevokeArgs};
use crate::domain::program::granted;
use crate::domain::token::{Purpose, Token};
use crate::store::api_clients;
use crate::store::tokens::{self, Holder, NewToken};

/// No line with a token is longer, in bytes.
const MAX_LINE_BYTES: u64 = 1_024;
const SECONDS_OF_A_DAY: i32 = 24 * 60 * 60;

/// A token that was just made. Its holder sees it now or never.
pub(super) struct Issued {
    token: Token,
    holder: (&'static str, String),
    expires_at: DateTime<Utc>,
}

impl Issued {
    pub(super) fn reveal(&self) -> &str {
        self.token.reveal()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "token": self.token.reveal(),
            (self.holder.0): self.holder.1,
            "expires_at": self.expires_at,
        })
    }
}

/// Makes a token that works for so many days, limited to these scopes where there are any, and to the program's in any
/// case.
pub(super) async fn issue(
    tx: &Tx,
    holder: Holder<'_>,
    days: i32,
    scopes: &[String],
) -> Result<Issued, Failure> {
    let scopes = match holder {
        Holder::User(_) => scopes.to_vec(),
        Holder::Program(id) => {
            let own = api_clients::scopes(tx, id).await?.unwrap_or_default();
            granted(&own, Some(&scopes.join(" ")))
                .ok_or_else(|| Failure(format!("program {id} has no such scope")))?
        }
    };
    let token = Token::of(Purpose::Access, rand::random());
    let new = NewToken {
        hash: &token.hash(),
        holder,
        scopes: &scopes,
        lasts_seconds: days * SECONDS_OF_A_DAY,
        family: None,
    };
    let stored = tokens::insert(tx, new).await?;
    let (word, field, id) = match holder {
        Holder::User(id) => ("account", "user_id", id),
        Holder::Program(id) => ("program", "client_id", id),
    };
    let expires_at = stored.ok_or_else(|| Failure(format!("there is no {word} {id}")))?;
    Ok(Issued {
        token,
        holder: (field, id.to_owned()),
        expires_at,
    })
}

/// Revokes; tells how many tokens that were.
pub(super) async fn revoke(
    tx: &Tx,
    args: &RevokeArgs,
    input: &mut (dyn BufRead + Send),
) -> Result<u64, Failure> {
    if let Some(user) = &args.user {
        return Ok(tokens::revoke_of(tx, Holder::User(user)).await?);
    }
    if let Some(program) = &args.program {
        return Ok(tokens::revoke_of(tx, Holder::Program(program)).await?);
    }
    let mut line = String::new();
    input.take(MAX_LINE_BYTES).read_line(&mut line)?;
    Ok(tokens::revoke(tx, &Token::given(&line).hash()).await?)
}

impl HolderArgs {
    /// Clap sees to it that one of them is given.
    pub(super) fn holder(&self) -> Holder<'_> {
        match (&self.user, &self.program) {
            (_, Some(program)) => Holder::Program(program),
            (user, None) => Holder::User(user.as_deref().unwrap_or_default()),
        }
    }
}
