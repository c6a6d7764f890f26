//! Periodic work, one bounded round at a time.

pub(crate) mod leases;
pub(crate) mod notify;
pub(crate) mod release;
pub(crate) mod sweep;

use crate::error::Error;

/// A job's failure as its runner logs it.
fn failed(error: Error) -> db::Error {
    match error {
        Error::Db(error) => error,
        other => db::Error::Row(other.to_string()),
    }
}
