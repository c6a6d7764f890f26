//! SQL, one module a table, as free functions that take the transaction first. Only routes, events, jobs and ops begin or
//! commit.

pub(crate) mod client_levels;
pub(crate) mod clients;
pub(crate) mod daily_engagement;
pub(crate) mod explanations;
pub(crate) mod feature_sets;
pub(crate) mod feature_snapshots;
pub(crate) mod labels;
pub(crate) mod model_versions;
pub(crate) mod outcomes;
pub(crate) mod predictions;
pub(crate) mod readings;
pub(crate) mod reviews;
pub(crate) mod stage_settlings;

use std::str::FromStr;

use common::{Probability, UnknownWord};
use db::Row;

/// Reads a column that holds a word of a closed vocabulary.
pub(crate) fn word<T: FromStr<Err = UnknownWord>>(row: &Row, column: &str) -> Result<T, db::Error> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|error| db::Error::Row(format!("{column}: {error}")))
}

/// As [`word`], for a column that may be null.
pub(crate) fn optional_word<T: FromStr<Err = UnknownWord>>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, db::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|_| word(row, column)).transpose()
}

/// Reads a column that holds a probability.
pub(crate) fn probability(row: &Row, column: &str) -> Result<Probability, db::Error> {
    Probability::new(row.try_get(column)?).ok_or_else(|| db::Error::Row(format!("{column} is not in 0..=1")))
}
