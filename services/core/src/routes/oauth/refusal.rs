//! What an OAuth request is refused with: the words and bodies of RFC 6749, 5.2.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, PRAGMA, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use web::{Malformed, Problem};

/// A refusal of an OAuth route.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A parameter is missing, repeated or unreadable; the text is public.
    #[error("invalid_request")]
    InvalidRequest(String),
    /// No such program, no such secret, or none was shown: nobody learns which.
    #[error("invalid_client")]
    InvalidClient,
    /// The token is another's.
    #[error("invalid_grant")]
    InvalidGrant,
    /// A way to a token that we do not have.
    #[error("unsupported_grant_type")]
    UnsupportedGrantType,
    /// A scope that is none, or none of the program's.
    #[error("invalid_scope")]
    InvalidScope,
    /// What RFC 6749 has no word for: too many guesses, and what is away.
    #[error(transparent)]
    Problem(#[from] Problem),
}

impl From<Malformed> for Refusal {
    fn from(fault: Malformed) -> Self {
        Self::InvalidRequest(fault.to_string())
    }
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        Self::Problem(error.into())
    }
}

/// The body of a refusal.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl Refusal {
    fn description(&self) -> &str {
        match self {
            Self::InvalidRequest(what) => what,
            Self::InvalidClient => "the program is unknown, or its secret is not valid",
            Self::InvalidGrant => "the token was given to somebody else",
            Self::UnsupportedGrantType => "grant_type must be client_credentials",
            Self::InvalidScope => "scope must hold scopes of the program only",
            Self::Problem(problem) => problem.detail(),
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidRequest(_)
            | Self::InvalidGrant
            | Self::UnsupportedGrantType
            | Self::InvalidScope => StatusCode::BAD_REQUEST,
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::Problem(problem) => problem.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::Problem(problem) = self {
            return problem.error_response();
        }
        let mut response = HttpResponse::build(self.status_code());
        response
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((PRAGMA, "no-cache"));
        if let Self::InvalidClient = self {
            response.insert_header((WWW_AUTHENTICATE, r#"Basic realm="recoverly""#));
        }
        response.json(Body {
            error: &self.to_string(),
            error_description: self.description(),
        })
    }
}
