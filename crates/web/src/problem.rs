//! Refusals as RFC 9457 problem details: one type for every error that leaves a service.
//!
//! Services keep an error enum of their own and turn it into a [`Problem`] in one place. The server fills in
//! `instance` and `request_id`, and logs the cause of a 5xx once, as the answer leaves.

mod code;
mod page;

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use utoipa::ToSchema;

pub use code::Code;
pub(crate) use page::page;

/// When to come back after Postgres was away, in seconds.
const RETRY_WHEN_UNAVAILABLE_SECONDS: u64 = 1;

/// The media type of every error body.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body (`/items/3/p_craving`), or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong with the value, without repeating it.
    pub detail: String,
}

/// An error answer. Build it with the function named after what went wrong.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<ProblemDetails>);

/// The body of an error answer, `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDetails {
    /// `/problems/<code>`; answers a page that explains it.
    #[serde(rename = "type")]
    kind: String,
    /// The same for every problem of this type.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The request's id, as in the header `X-Request-Id` and in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Every fault of the body or the query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// When to try again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip)]
    cause: Option<String>,
    #[serde(skip)]
    code: Code,
}

impl Problem {
    /// A problem of any kind. The detail is public.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemDetails {
            kind: format!("/problems/{}", code.name()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: detail.into(),
            instance: None,
            request_id: None,
            errors: Vec::new(),
            retry_after_seconds: None,
            cause: None,
            code,
        }))
    }

    /// 400: the body is not JSON as we accept it.
    pub fn malformed_body(detail: impl Into<String>) -> Self {
        Self::new(Code::MalformedBody, detail)
    }

    /// 400: a header or the address cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    /// 401, the same for every reason, so that nothing can be learnt about a token.
    pub fn unauthenticated() -> Self {
        Self::new(
            Code::Unauthenticated,
            "The request carries no token that is valid now.",
        )
    }

    /// 401 for what signs nobody in, the same for every reason, so that nothing can be learnt about an account.
    pub fn sign_in_failed() -> Self {
        Self::new(
            Code::SignInFailed,
            "What was sent signs nobody in, or works no longer.",
        )
    }

    /// 403: the token is good, but not for this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// 404: absent, or not the caller's to see.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "It does not exist, or it is not yours to see.")
    }

    /// 409 of one of the conflict codes.
    pub fn conflict(code: Code, detail: impl Into<String>) -> Self {
        Self::new(code, detail)
    }

    /// 410: erased, told to apps and admins only.
    pub fn gone() -> Self {
        Self::new(Code::Gone, "This person's data was erased.")
    }

    /// 413: over a limit, which the detail names with its unit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(Code::TooLarge, detail)
    }

    /// 415: wrong content type or encoding.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(Code::UnsupportedMediaType, detail)
    }

    /// 422: well-formed, but not valid; all faults at once.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let count = errors.len();
        let faults = if count == 1 {
            "One value is"
        } else {
            "Several values are"
        };
        Self::new(Code::Invalid, format!("{faults} not valid; see errors.")).with_errors(errors)
    }

    /// 422 for a single value; `pointer` as in [`FieldError`].
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }

    /// 429: over a limit, which the detail names; come back after that many seconds.
    pub fn too_many(retry_after_seconds: u64, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(Code::TooMany, detail);
        problem.0.retry_after_seconds = Some(retry_after_seconds);
        problem
    }

    /// 503: something the service needs is away; come back after that many seconds.
    pub fn unavailable(retry_after_seconds: u64) -> Self {
        Self::busy(
            retry_after_seconds,
            "Something this service needs is not there at the moment.",
        )
    }

    /// 503: too much of something, which the detail names, is being done; come back after that many seconds.
    pub fn busy(retry_after_seconds: u64, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(Code::Unavailable, detail);
        problem.0.retry_after_seconds = Some(retry_after_seconds);
        problem
    }

    /// 408: the body came too slowly.
    pub fn timeout() -> Self {
        Self::new(Code::Timeout, "The body did not arrive in time.")
    }

    /// 500: our fault. The cause is logged once and never shown.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "Something broke on our side.").with_cause(cause)
    }

    /// Adds the faults of single fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds what the log should say and the caller should not read.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// The kind of problem.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened this time, in public words.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What the log should say, where there is more than the caller may read.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The faults of single fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    pub(crate) fn locate(&mut self, instance: &str, request_id: &str) {
        self.0.instance = Some(instance.to_owned());
        self.0.request_id = Some(request_id.to_owned());
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status, self.0.title)
    }
}

impl std::error::Error for Problem {}

impl actix_web::ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code().status()
    }

    /// The body lacks `instance` and `request_id`; the server's middleware finds the problem in the extensions and
    /// writes the body again with them.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.0.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if matches!(self.code(), Code::Timeout | Code::TooLarge) {
            // The rest of the body may still be coming: the connection cannot carry another request.
            response.force_close();
        }
        response.extensions_mut().insert(self.clone());
        response.body(self.to_bytes())
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&db::Error> for Problem {
    /// The infrastructure's errors. Which constraint means which refusal is for a service's own error to say.
    fn from(error: &db::Error) -> Self {
        match error {
            db::Error::Unavailable(_) | db::Error::Serialization => {
                Self::unavailable(RETRY_WHEN_UNAVAILABLE_SECONDS).with_cause(error)
            }
            // Postgres quotes the offending value in some of these messages; the state alone says what to look for.
            db::Error::Refused { sqlstate, .. } => {
                Self::internal(format_args!("Postgres refused: {sqlstate}"))
            }
            // Handlers look before they write: what they found has gone in between, or is not theirs any more.
            db::Error::ForeignKey { .. } | db::Error::NotVisible => Self::not_found().with_cause(error),
            db::Error::Unique { .. }
            | db::Error::Check { .. }
            | db::Error::Row(_)
            | db::Error::Settings(_) => Self::internal(error),
        }
    }
}
