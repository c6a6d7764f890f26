//! Giving tokens to somebody who has shown who they are.

use chrono::{DateTime, Utc};
use db::Tx;
use uuid::Uuid;

use crate::domain::sign_in::ends;
use crate::domain::token::{Purpose, Token};
use crate::domain::user::Kind;
use crate::error::Error;
use crate::store::refresh_tokens::{self, Found, Pair};

/// A pair of tokens, for their holder's eyes.
pub(crate) struct Given {
    pub(crate) access: Token,
    pub(crate) refresh: Token,
    pub(crate) expires_in_seconds: i64,
}

/// Opens a sign-in. Its person is held.
pub(crate) async fn open(tx: &Tx, user_id: &str, kind: Kind, now: DateTime<Utc>) -> Result<Given, Error> {
    let to = (user_id, kind, Uuid::now_v7());
    give(tx, to, None, now).await
}

/// Exchanges a refresh token, which is good, for new tokens. Its person is held.
pub(crate) async fn renew(tx: &Tx, found: &Found, shown: &Token) -> Result<Given, Error> {
    let to = (found.subject.as_str(), found.kind, found.family);
    give(tx, to, Some((shown, found.standing.expires_at)), found.now).await
}

async fn give(
    tx: &Tx,
    (subject, kind, family): (&str, Kind, Uuid),
    parent: Option<(&Token, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> Result<Given, Error> {
    let ends = ends(kind, parent.map(|(_, end)| end), now);
    let access = Token::of(Purpose::Access, rand::random());
    let refresh = Token::of(Purpose::Refresh, rand::random());
    let parent = parent.map(|(token, _)| token.hash());
    let pair = Pair {
        subject,
        family,
        parent: parent.as_deref(),
        refresh: (refresh.hash(), ends.refresh),
        access: (access.hash(), ends.access),
    };
    refresh_tokens::insert(tx, &pair).await?;
    Ok(Given {
        access,
        refresh,
        expires_in_seconds: (ends.access - now).num_seconds(),
    })
}
