//! Lists in pages: `?limit=&cursor=` in, `{"items", "next_cursor"}` out.
//!
//! A cursor holds where the last page ended, signed for one list, its filters and one principal: it cannot be made up, nor
//! be used on another list, under another filter or by somebody else. Under another filter it would skip rows in silence.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::problem::Problem;
use crate::query::{Params, ReadQuery};
use crate::read;

/// The largest page.
pub const MAX_PAGE_ITEMS: i64 = 200;

/// The page where the caller names no size.
pub const DEFAULT_PAGE_ITEMS: i64 = 50;

/// The longest cursor that is looked at, in bytes.
const MAX_CURSOR_BYTES: usize = 1_024;

/// The bytes of a cursor's signature.
const SIGNATURE_BYTES: usize = 32;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page from rows that were fetched with `limit + 1`, so that a further one shows that there is more.
    /// `cursor` seals the position of the last item kept.
    pub fn cut(mut items: Vec<T>, limit: i64, cursor: impl FnOnce(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }

    /// The same page with other items, such as rows turned into answers.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// Where a page ended of a list that is ordered by time and id, newest first. The default is before the first page:
/// behind the greatest values, so that a statement can compare with bare parameters, which reach an index where
/// "or is null" does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest(pub DateTime<Utc>, pub i64);

impl Default for Newest {
    fn default() -> Self {
        Self(DateTime::<Utc>::MAX_UTC, i64::MAX)
    }
}

/// The paging part of a list's query.
#[derive(Debug, Clone)]
pub struct Paging {
    /// How many items, from 1 to [`MAX_PAGE_ITEMS`].
    pub limit: i64,
    /// The cursor as it was sent; [`CursorKey::open`] reads it.
    pub cursor: Option<String>,
    /// What else the query says, which is what the list is filtered by.
    filters: String,
}

impl ReadQuery for Paging {
    fn read(params: &mut Params) -> Option<Self> {
        let limit = params.integer("limit", 1..=MAX_PAGE_ITEMS);
        let cursor = params.optional("cursor", read::text(1..=MAX_CURSOR_BYTES));
        Some(Self {
            limit: limit?.unwrap_or(DEFAULT_PAGE_ITEMS),
            cursor: cursor?,
            filters: params.without(&["limit", "cursor"]),
        })
    }
}

/// The key that signs cursors; the same in every process of a service.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl CursorKey {
    /// Takes a secret of any length; configuration asks for at least 32 bytes.
    ///
    /// # Errors
    /// None in practice: HMAC takes keys of every length.
    pub fn new(secret: &SecretString) -> Result<Self, Problem> {
        Hmac::new_from_slice(secret.expose_secret().as_bytes())
            .map(Self)
            .map_err(Problem::internal)
    }

    /// A cursor for a position in the list of that name under the filters of this query, as this caller sees it.
    pub fn seal<T: Serialize>(&self, list: &str, caller: &Caller, paging: &Paging, position: &T) -> String {
        // A position is a struct of ours; were it not serialisable, the empty cursor would be refused when it comes back.
        let position = serde_json::to_vec(position).unwrap_or_default();
        let signed = self.mac(list, caller, &paging.filters, &position);
        let mut token = signed.finalize().into_bytes().to_vec();
        token.extend_from_slice(&position);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The position of a cursor that [`Self::seal`] made for the same list, filters and caller; `None` without a cursor.
    ///
    /// # Errors
    /// 422 for every cursor that it did not make.
    pub fn open<T: DeserializeOwned>(
        &self,
        list: &str,
        caller: &Caller,
        paging: &Paging,
    ) -> Result<Option<T>, Problem> {
        let Some(cursor) = &paging.cursor else {
            return Ok(None);
        };
        let forged = || {
            Problem::invalid_field(
                "?cursor",
                "must be a next_cursor of this list with the same filters",
            )
        };
        let token = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| forged())?;
        let (signature, position) = token.split_at_checked(SIGNATURE_BYTES).ok_or_else(forged)?;
        self.mac(list, caller, &paging.filters, position)
            .verify_slice(signature)
            .map_err(|_| forged())?;
        serde_json::from_slice(position).map(Some).map_err(|_| forged())
    }

    fn mac(&self, list: &str, caller: &Caller, filters: &str, position: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        // No part but the last can hold a NUL, which JSON escapes, so no two sets of parts look alike.
        for part in [
            list.as_bytes(),
            b"\0",
            caller.identity().as_bytes(),
            b"\0",
            filters.as_bytes(),
            b"\0",
            position,
        ] {
            mac.update(part);
        }
        mac
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey")
    }
}
