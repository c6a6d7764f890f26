//! SQL, one module a table, as free functions that take the transaction first. Only routes, events, ops and the
//! operator's commands begin or commit.

pub(crate) mod ai_metadata;
pub(crate) mod api_client_secrets;
pub(crate) mod api_clients;
pub(crate) mod audit;
pub(crate) mod break_glass;
pub(crate) mod caseload;
pub(crate) mod clerk_accounts;
pub(crate) mod coaching_notes;
pub(crate) mod consents;
pub(crate) mod contexts;
pub(crate) mod credentials;
pub(crate) mod disclosures;
pub(crate) mod embedding_models;
pub(crate) mod erasures;
pub(crate) mod exports;
pub(crate) mod face_embeddings;
pub(crate) mod interaction_sessions;
pub(crate) mod memories;
pub(crate) mod memory_collections;
pub(crate) mod memory_embeddings;
pub(crate) mod memory_search;
pub(crate) mod messages;
pub(crate) mod password_resets;
#[cfg(test)]
mod plans;
pub(crate) mod provider_events;
pub(crate) mod recovery_codes;
pub(crate) mod refresh_tokens;
pub(crate) mod scoring;
pub(crate) mod sign_in_failures;
pub(crate) mod sign_in_leftovers;
pub(crate) mod staff_roles;
pub(crate) mod stated_preferences;
pub(crate) mod teams;
pub(crate) mod threads;
pub(crate) mod tickets;
pub(crate) mod tokens;
pub(crate) mod totp_secrets;
pub(crate) mod transcript_chunks;
pub(crate) mod turns;
pub(crate) mod user_preferences;
pub(crate) mod user_profiles;
pub(crate) mod users;
pub(crate) mod voice_events;
pub(crate) mod webhook_receipts;

use std::str::FromStr;

use common::UnknownWord;
use db::{FromSql, Row};

/// Reads a column that holds a word of a closed vocabulary.
pub(crate) fn word<T: FromStr<Err = UnknownWord>>(row: &Row, column: &str) -> Result<T, db::Error> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|error| db::Error::Row(format!("{column}: {error}")))
}

/// The rows of a list of what somebody or something has: no row, hence `None`, where that one is not seen, and one whose
/// `key` is null where it has nothing.
pub(crate) fn listed<K, T>(
    rows: &[Row],
    key: &str,
    read: fn(&Row) -> Result<T, db::Error>,
) -> Result<Option<Vec<T>>, db::Error>
where
    K: for<'row> FromSql<'row>,
{
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    if first.try_get::<_, Option<K>>(key)?.is_none() {
        return Ok(Some(Vec::new()));
    }
    rows.iter().map(read).collect::<Result<_, _>>().map(Some)
}
