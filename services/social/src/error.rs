//! What can go wrong in the social service, and what the caller is told.

use actix_web::HttpResponse;
use actix_web::ResponseError;
use actix_web::http::StatusCode;
use web::{Code, Problem};

use crate::domain::meeting::Refusal;
use crate::domain::swap;

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
    /// Another prediction stands under this natural key.
    #[error("the message has another prediction of this model version")]
    PredictionDiffers,
    /// Another finding stands for the message.
    #[error("another finding stands for the message")]
    FindingDiffers,
    /// Other answers of the same time stand.
    #[error("other answers of the same time stand")]
    AnswersDiffer,
    /// No consent of the client covers it, whosever and whatever it is.
    #[error("no consent covers it")]
    ConsentRequired,
    /// Another detail of the consent stands.
    #[error("another detail of the consent stands")]
    ShareDiffers,
    /// Only what a client wrote is scored.
    #[error("the message was not written by the client")]
    NotOwnMessage,
    /// The episode has ended.
    #[error("the escalation is {0}")]
    EscalationClosed(common::EscalationStatus),
    /// Somebody has it.
    #[error("the escalation is acknowledged by somebody else")]
    EscalationTaken,
    /// Only a nudge that was sent can be answered, and once.
    #[error("the nudge is {0}")]
    NudgeState(String),
    /// The meeting is not to be moved so.
    #[error("the meeting is not moved: {0:?}")]
    Meeting(Refusal),
    /// The duty is not offered, or not taken over.
    #[error("the swap is not moved: {0:?}")]
    Swap(swap::Refusal),
    /// Another nudge stands under this key.
    #[error("another nudge stands under the key")]
    NudgeDiffers,
    /// The programme keeps no text of this type.
    #[error("there is no text of this type")]
    NoTemplate,
    /// The gathering queue is full or its worker gone.
    #[error("too many predictions are waiting")]
    Busy,
}

/// Seconds after which a caller whom we had to turn away should come back.
const RETRY_AFTER_SECONDS: u64 = 1;

/// What refuses an acknowledgement by somebody on call who is off duty.
const OFF_DUTY: &str = "ck_escalations_duty";
/// What refuses an entry of the ledger whose consent is over: it may have run out in the moment before.
const UNCOVERED: &str = "ck_disclosures_consent";

/// What refuses a second meeting of a counselor or a client at the same time.
const NOT_FREE: [&str; 2] = ["ex_meetings_counselor", "ex_meetings_client"];

impl Error {
    /// Whether the same transaction may succeed when run again.
    pub(crate) fn is_lost_race(&self) -> bool {
        matches!(self, Self::Db(db::Error::Serialization))
    }

    /// The one mapping to what the caller is told.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Problem(problem) => problem.clone(),
            Self::Db(error) if error.constraint() == Some(OFF_DUTY) => {
                Problem::forbidden("You are not on duty: who is on call acknowledges during the own shift.")
            }
            Self::Db(error) if error.constraint() == Some(UNCOVERED) => Self::ConsentRequired.problem(),
            Self::Db(error) if error.constraint().is_some_and(|name| NOT_FREE.contains(&name)) => {
                Problem::conflict(
                    Code::Conflict,
                    "The counselor or the client has another meeting at that time. Choose another one, or cancel that meeting.",
                )
            }
            Self::Db(error) => Problem::from(error),
            Self::Encode(error) => Problem::internal(error),
            Self::NotFound => Problem::not_found(),
            Self::Meeting(refusal) => of_meeting(*refusal),
            Self::Swap(refusal) => of_swap(*refusal),
            Self::PredictionDiffers => Problem::conflict(
                Code::Differs,
                "This message already has a prediction of this model version with other content. \
                 Post a correction under a new model_version.",
            ),
            Self::FindingDiffers => Problem::conflict(
                Code::Differs,
                "This message has been assessed already, and otherwise. Escalate by hand where it was assessed too low.",
            ),
            Self::AnswersDiffer => Problem::conflict(
                Code::Differs,
                "Other answers of the same answered_at stand. Post a screener that was answered again under its own time.",
            ),
            Self::ConsentRequired => Problem::new(
                Code::ConsentRequired,
                "This is no consent of the client to share with family, or it is over. Ask the client for one with the \
                 purpose family_share.",
            ),
            Self::ShareDiffers => Problem::conflict(
                Code::Differs,
                "This consent stands with another label or scope. Share under a consent of its own.",
            ),
            Self::NotOwnMessage => Problem::invalid_field(
                "/message_id",
                "is a message of sender_role other than user; only the client's own messages are scored",
            ),
            Self::EscalationClosed(status) => Problem::conflict(
                Code::WrongState,
                format!("The escalation is {status}. A new trigger opens a new one."),
            ),
            Self::EscalationTaken => Problem::conflict(
                Code::WrongState,
                "The escalation is already acknowledged by somebody else. Read it to see by whom and until when.",
            ),
            Self::NudgeState(status) => Problem::conflict(
                Code::WrongState,
                format!(
                    "The nudge is {status}. Only a nudge that was sent can be viewed or answered, and answered once."
                ),
            ),
            Self::NudgeDiffers => Problem::conflict(
                Code::Differs,
                "The client has another nudge under this dedup_key. Write it under a key of its own.",
            ),
            Self::NoTemplate => Problem::invalid_field(
                "/nudge_message",
                "is required: no text of this nudge_type is kept that could be read by this client",
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

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Meeting(refusal)
    }
}

impl From<swap::Refusal> for Error {
    fn from(refusal: swap::Refusal) -> Self {
        Self::Swap(refusal)
    }
}

/// Why duty is not offered or taken over, and what can be done instead.
fn of_swap(refusal: swap::Refusal) -> Problem {
    use swap::Refusal;
    let detail = match refusal {
        Refusal::ForAnother => return Problem::forbidden("Only to whom it is offered takes or declines it."),
        Refusal::OfAnother => return Problem::forbidden("Who made an offer withdraws it, or a supervisor."),
        Refusal::Own => "This is your own duty. Withdraw the offer to keep it.".to_owned(),
        Refusal::Is(status) => {
            format!(
                "The offer is {}. Whoever is on duty then can offer it again.",
                status.as_str()
            )
        }
        Refusal::Begun => "The time that is offered has begun. A supervisor can let somebody stand in.".to_owned(),
        Refusal::NotTheirs => {
            "Who offers this is not on duty for the whole of that time. Read the shifts and overrides, and offer a time within one duty."
                .to_owned()
        }
        Refusal::OnDuty => "You are on duty then already: there would be one person less. Let somebody else take it.".to_owned(),
    };
    Problem::conflict(Code::WrongState, detail)
}

/// Why a meeting is not moved, and what can be done instead.
fn of_meeting(refusal: Refusal) -> Problem {
    let detail = match refusal {
        Refusal::Is(status) => {
            format!("The meeting is {status}, from where it does not go there. Read it, or propose another one.")
        }
        Refusal::Past => "The time of the meeting has passed. Cancel it and propose another one.".to_owned(),
        Refusal::Ahead => "The meeting has not begun. Until then it can only be cancelled.".to_owned(),
        Refusal::NotAgreed => "The client has not agreed to the meeting yet.".to_owned(),
        Refusal::OfAnother => {
            "The meeting is another counselor's, who alone confirms it. Cancel it and propose another one.".to_owned()
        }
        Refusal::AtAnotherTime => {
            "The client agreed to another time. Leave scheduled_time out, or cancel the meeting and propose another one."
                .to_owned()
        }
        Refusal::WithoutTime => {
            return Problem::invalid_field("/scheduled_time", "is required: the meeting has no time yet");
        }
    };
    Problem::conflict(Code::WrongState, detail)
}
