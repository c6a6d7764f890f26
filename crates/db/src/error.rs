//! What can go wrong between a service and Postgres, sorted by what the caller does about it.

use deadpool_postgres::PoolError;
use deadpool_postgres::tokio_postgres;
use deadpool_postgres::tokio_postgres::error::{DbError, SqlState};

/// An error of the database or of the way to it. Displays never hold row values.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres is away, overloaded, out of disk or too slow: the caller may try again; the outcome of a
    /// commit is unknown.
    #[error("Postgres is not available: {0}")]
    Unavailable(String),
    /// A row with this key exists, or an exclusion constraint holds.
    #[error("unique constraint {constraint}")]
    Unique {
        /// The constraint's name.
        constraint: String,
    },
    /// A referenced row is absent, or still referenced.
    #[error("foreign key {constraint}")]
    ForeignKey {
        /// The constraint's name.
        constraint: String,
    },
    /// A `CHECK` refused the row.
    #[error("check constraint {constraint}")]
    Check {
        /// The constraint's name.
        constraint: String,
    },
    /// The row to be written is not one that the actor may see: it was, when the handler looked.
    #[error("row-level security refuses the row")]
    NotVisible,
    /// A deadlock, a serialization failure, or a statement whose table a migration changed: the same transaction may
    /// succeed when run again.
    #[error("serialization failure")]
    Serialization,
    /// Postgres refused the statement for any other reason.
    #[error("refused with SQLSTATE {sqlstate}: {message}")]
    Refused {
        /// Five characters.
        sqlstate: String,
        /// Postgres' own message without its detail, which may quote rows.
        message: String,
    },
    /// A column is absent or of another type than the code reads.
    #[error("row: {0}")]
    Row(String),
    /// The settings do not make a connection.
    #[error("database settings: {0}")]
    Settings(String),
}

impl Error {
    /// Whether Postgres was away, so that the answer is 503 and not the caller's fault.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether running the same transaction again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Serialization)
    }

    /// The name of the constraint that refused the row, if one did.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Unique { constraint } | Self::ForeignKey { constraint } | Self::Check { constraint } => {
                Some(constraint)
            }
            Self::Unavailable(_)
            | Self::NotVisible
            | Self::Serialization
            | Self::Refused { .. }
            | Self::Row(_)
            | Self::Settings(_) => None,
        }
    }
}

impl Error {
    /// A connection that cannot be made is Postgres away, whatever the driver calls it.
    pub(crate) fn connecting(error: tokio_postgres::Error) -> Self {
        let error = Self::from(error);
        if let Self::Row(text) = error {
            Self::Unavailable(text)
        } else {
            error
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // The driver tells its own failures apart by text only; what is no database error and no
            // broken connection is a column read as the wrong type.
            return if error.is_closed() || std::error::Error::source(&error).is_some_and(is_io) {
                Self::Unavailable(error.to_string())
            } else {
                Self::Row(describe(&error))
            };
        };
        let constraint = || db.constraint().unwrap_or("unnamed").to_owned();
        let state = db.code();
        if *state == SqlState::UNIQUE_VIOLATION || *state == SqlState::EXCLUSION_VIOLATION {
            Self::Unique {
                constraint: constraint(),
            }
        } else if *state == SqlState::FOREIGN_KEY_VIOLATION {
            Self::ForeignKey {
                constraint: constraint(),
            }
        } else if *state == SqlState::CHECK_VIOLATION {
            Self::Check {
                constraint: constraint(),
            }
        } else if *state == SqlState::T_R_SERIALIZATION_FAILURE
            || *state == SqlState::T_R_DEADLOCK_DETECTED
            || is_outdated_plan(db)
        {
            Self::Serialization
        } else if is_not_visible(db) {
            Self::NotVisible
        } else if is_passing(state) {
            Self::Unavailable(format!("SQLSTATE {}: {}", state.code(), db.message()))
        } else {
            Self::Refused {
                sqlstate: state.code().to_owned(),
                message: db.message().to_owned(),
            }
        }
    }
}

/// A migration changed a column under a prepared statement. Postgres has no state of its own for it.
fn is_outdated_plan(db: &DbError) -> bool {
    *db.code() == SqlState::FEATURE_NOT_SUPPORTED && db.message().starts_with("cached plan must not change")
}

/// Row-level security refuses with the state of a missing grant.
fn is_not_visible(db: &DbError) -> bool {
    *db.code() == SqlState::INSUFFICIENT_PRIVILEGE
        && db
            .message()
            .starts_with("new row violates row-level security policy")
}

/// States that pass by themselves or by an operator's hand: lost connections (08), resources such as disk and
/// connections (53), shutdown and time-outs (57), locks waited for too long, a primary that became read-only.
fn is_passing(state: &SqlState) -> bool {
    let code = state.code();
    matches!(code.get(..2), Some("08" | "53" | "57" | "58"))
        || *state == SqlState::LOCK_NOT_AVAILABLE
        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
        || *state == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
}

fn is_io(source: &(dyn std::error::Error + 'static)) -> bool {
    source.is::<std::io::Error>()
}

fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(backend) => Self::connecting(backend),
            PoolError::Timeout(kind) => Self::Unavailable(format!("no connection in time ({kind:?})")),
            PoolError::Closed => Self::Unavailable("the pool is closed".to_owned()),
            PoolError::NoRuntimeSpecified => Self::Settings("the pool has no runtime".to_owned()),
            PoolError::PostCreateHook(error) => Self::Settings(error.to_string()),
        }
    }
}
