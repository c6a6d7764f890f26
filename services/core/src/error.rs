//! What can go wrong in the core service, and what the caller is told.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use web::{Code, FieldError, Problem};

/// When to come back after the queue of hashes was full, in seconds.
const RETRY_WHEN_BUSY_SECONDS: u64 = 2;

// What can be done about each.
const BLOCKED: &str = "Too many passwords or codes were wrong, for this account or from this address. Not even the right \
                       one is looked at before the seconds in Retry-After are over.";
const NAMES_USED_UP: &str = "Ten other names may be asked for within a day, free or taken. The next one can be asked for \
                             after the seconds in Retry-After.";
const CROWDED: &str = "Too many sign in at once to this account or from this address. Try again after the seconds in \
                       Retry-After.";
const BUSY: &str = "Too many passwords wait to be looked at. Try again after the seconds in Retry-After.";

/// A refusal or a failure of a handler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Refused before any rule of this service was asked.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// An event of ours that does not serialise.
    #[error(transparent)]
    Encode(#[from] bus::EncodeError),
    /// The copy of the audit's seals outside Postgres.
    #[error("the audit's anchor: {0}")]
    Anchor(#[source] std::io::Error),
    /// The copy has seals that Postgres does not have.
    #[error(
        "the audit was cut off, or the database restored: the anchor knows seal {anchored}, Postgres ends at {stored}"
    )]
    AuditCutOff {
        /// The last seal of the copy.
        anchored: i64,
        /// The last seal in Postgres.
        stored: i64,
    },
    /// The copy lacks seals that it must have: it was removed or cut.
    #[error(
        "the audit's anchor is missing or was cut: it knows seal {anchored}, Postgres ends at {stored}; \
         see rebuild-anchor"
    )]
    AnchorCut {
        /// The last seal of the copy; 0 without any.
        anchored: i64,
        /// The last seal in Postgres.
        stored: i64,
    },
    /// A seal in Postgres that was not made with the key.
    #[error("seal {0} of the audit was not made with our key")]
    SealForged(i64),
    /// Absent, or not the caller's.
    #[error("not found")]
    NotFound,
    /// Another account has this value of the field.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// What was sent signs nobody in; the same whatever was wrong.
    #[error("signs nobody in")]
    SignInFailed,
    /// Failed too often: not before so many seconds.
    #[error("blocked for {0} seconds")]
    Blocked(u64),
    /// Asked for too many other names: not before so many seconds.
    #[error("no other name for {0} seconds")]
    NamesUsedUp(u64),
    /// Too many attempts of one person, or from one address, wait for each other.
    #[error("too many attempts wait")]
    Crowded,
    /// More passwords wait for their hash than there are places.
    #[error("too many passwords wait")]
    Busy,
    /// Values that only the database shows to be wrong, each with its place.
    #[error("{} values are refused", .0.len())]
    Refused(Vec<FieldError>),
}

impl Error {
    /// One value that only the database shows to be wrong; `field` is its name in body or path.
    pub(crate) fn refused(field: &str, detail: impl Into<String>) -> Self {
        Self::Refused(vec![FieldError {
            pointer: format!("/{field}"),
            detail: detail.into(),
        }])
    }

    /// Whether the same transaction may succeed when run again.
    pub(crate) fn is_lost_race(&self) -> bool {
        matches!(self, Self::Db(db::Error::Serialization))
    }

    /// The one mapping to what the caller is told.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Problem(problem) => problem.clone(),
            Self::Db(error) => Problem::from(error),
            Self::Encode(error) => Problem::internal(error),
            Self::Anchor(_) | Self::AuditCutOff { .. } | Self::AnchorCut { .. } | Self::SealForged(_) => {
                Problem::internal(self)
            }
            Self::NotFound => Problem::not_found(),
            Self::Taken(field) => {
                let fault = FieldError {
                    pointer: format!("/{field}"),
                    detail: "is taken".to_owned(),
                };
                Problem::conflict(Code::Taken, format!("Another account has this {field}."))
                    .with_errors(vec![fault])
            }
            Self::SignInFailed => Problem::sign_in_failed(),
            Self::Blocked(seconds) => Problem::too_many(*seconds, BLOCKED),
            Self::NamesUsedUp(seconds) => Problem::too_many(*seconds, NAMES_USED_UP),
            Self::Crowded => Problem::busy(RETRY_WHEN_BUSY_SECONDS, CROWDED),
            Self::Busy => Problem::busy(RETRY_WHEN_BUSY_SECONDS, BUSY),
            Self::Refused(faults) => Problem::invalid(faults.clone()),
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.problem().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        self.problem().error_response()
    }
}
