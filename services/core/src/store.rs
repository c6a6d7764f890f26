//! SQL, one module a table, as free functions that take the transaction first. Only routes, events, ops and the
//! operator's commands begin or commit.

pub(crate) mod api_client_secrets;
pub(crate) mod api_clients;
pub(crate) mod caseload;
pub(crate) mod clerk_accounts;
pub(crate) mod messages;
pub(crate) mod scoring;
pub(crate) mod staff_roles;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod webhook_receipts;

use std::str::FromStr;

use common::UnknownWord;
use db::Row;

/// Reads a column that holds a word of a closed vocabulary.
pub(crate) fn word<T: FromStr<Err = UnknownWord>>(row: &Row, column: &str) -> Result<T, db::Error> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|error| db::Error::Row(format!("{column}: {error}")))
}
