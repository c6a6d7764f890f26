//! What can go wrong in the risk service, and what the caller is told.

use actix_web::HttpResponse;
use actix_web::ResponseError;
use actix_web::http::StatusCode;
use web::{Code, Problem};

/// A refusal or a failure of a handler.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Refused before any rule of this service was asked.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The database; named as the source, so that a consumer can tell that it is away.
    #[error("the database: {0}")]
    Db(#[from] db::Error),
    /// An event of ours that does not serialise.
    #[error(transparent)]
    Encode(#[from] bus::EncodeError),
    /// Absent, or not the caller's.
    #[error("not found")]
    NotFound,
    /// Nobody's account, or not a client's.
    #[error("there is no such client")]
    NoClient,
    /// The version says nothing any more.
    #[error("the version is retired")]
    Retired,
    /// Other features of the same capture stand.
    #[error("other features of the same capture stand")]
    SnapshotDiffers,
    /// Another prediction stands under this natural key.
    #[error("the snapshot has another prediction of this version")]
    PredictionDiffers,
    /// The outcome stands with another precision.
    #[error("the outcome stands with another precision")]
    OutcomeDiffers,
    /// Computing has failed.
    #[error("computing: {0}")]
    Work(#[from] tokio::task::JoinError),
    /// The service is about to stop.
    #[error("the service is about to stop")]
    Busy,
}

/// Seconds after which a caller whom we had to turn away should come back.
const RETRY_AFTER_SECONDS: u64 = 1;

impl Error {
    /// The one mapping to what the caller is told.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Problem(problem) => problem.clone(),
            Self::Db(error) => Problem::from(error),
            Self::Encode(error) => Problem::internal(error),
            Self::Work(error) => Problem::internal(error),
            Self::NotFound | Self::NoClient => Problem::not_found(),
            Self::Retired => Problem::conflict(
                Code::WrongState,
                "This version of the model is retired and takes no predictions. Post under another one.",
            ),
            Self::SnapshotDiffers => Problem::conflict(
                Code::Differs,
                "The client has a snapshot of this feature set, captured_at and source already, with other features. \
                 Post a correction under a captured_at or source of its own.",
            ),
            Self::PredictionDiffers => Problem::conflict(
                Code::Differs,
                "The snapshot already has a prediction of this model version with other content. \
                 Post a correction under a new model_version, or of a new snapshot.",
            ),
            Self::OutcomeDiffers => Problem::conflict(
                Code::Differs,
                "The client has an outcome of this kind, time and source already, with another date_precision.",
            ),
            Self::Busy => Problem::unavailable(RETRY_AFTER_SECONDS),
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
