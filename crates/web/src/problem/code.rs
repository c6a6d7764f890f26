//! Every kind of refusal: its place in `/problems/…`, its title, its status and what a caller can do about it.

use actix_web::http::StatusCode;

/// A kind of problem. Its name is part of the contract: clients branch on `type`, never on the wording of `detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant's title and help say more than a comment would"
)]
pub enum Code {
    MalformedBody,
    BadRequest,
    Unauthenticated,
    SignInFailed,
    Forbidden,
    ConsentRequired,
    NotFound,
    MethodNotAllowed,
    Timeout,
    Conflict,
    Taken,
    Differs,
    WrongState,
    InFlight,
    Gone,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    KeyReused,
    TooMany,
    Internal,
    Unavailable,
}

impl Code {
    /// All codes, in the order of their statuses.
    pub const ALL: [Self; 22] = [
        Self::MalformedBody,
        Self::BadRequest,
        Self::Unauthenticated,
        Self::SignInFailed,
        Self::Forbidden,
        Self::ConsentRequired,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Conflict,
        Self::Taken,
        Self::Differs,
        Self::WrongState,
        Self::InFlight,
        Self::Gone,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::KeyReused,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The code of a name such as `not-found`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The code that stands for a status which no handler of ours chose.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNPROCESSABLE_ENTITY => Self::Invalid,
            StatusCode::BAD_REQUEST => Self::BadRequest,
            StatusCode::CONFLICT => Self::Conflict,
            _ if status.is_client_error() => Self::ALL
                .into_iter()
                .find(|code| code.status() == status)
                .unwrap_or(Self::BadRequest),
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            _ => Self::Internal,
        }
    }

    /// Its name in `/problems/<name>`.
    pub const fn name(self) -> &'static str {
        self.parts().0
    }

    /// Its status.
    pub const fn status(self) -> StatusCode {
        self.parts().1
    }

    /// A short title, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.parts().2
    }

    /// What happened and what the caller can do.
    pub const fn help(self) -> &'static str {
        self.parts().3
    }

    #[rustfmt::skip]
    const fn parts(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedBody => ("malformed-body", S::BAD_REQUEST, "The body is not JSON",
                "The body must be one JSON object in UTF-8, without repeated names and not nested too deeply."),
            Self::BadRequest => ("bad-request", S::BAD_REQUEST, "The request cannot be understood",
                "A header or the address itself is not in the expected form. The detail names it."),
            Self::Unauthenticated => ("unauthenticated", S::UNAUTHORIZED, "A valid token is needed",
                "Send `Authorization: Bearer <token>`. The answer is the same for an absent, unknown, expired or revoked token."),
            Self::SignInFailed => ("sign-in-failed", S::UNAUTHORIZED, "Nobody is signed in by that",
                "What was sent does not fit together, or works no longer. The answer is the same for every reason. Sign in anew."),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "This token may not do that",
                "The route is open to other kinds of principal, or the token is limited to other scopes. The detail names which."),
            Self::ConsentRequired => ("consent-required", S::FORBIDDEN, "The person has not consented to that",
                "No consent of the person covers it now. Ask the person; with a consent for this purpose and recipient, send the request again."),
            Self::NotFound => ("not-found", S::NOT_FOUND, "There is no such thing",
                "It does not exist, or it is not yours to see: the two are not told apart."),
            Self::MethodNotAllowed => ("method-not-allowed", S::METHOD_NOT_ALLOWED, "The address takes other methods",
                "The header `Allow` lists them."),
            Self::Timeout => ("timeout", S::REQUEST_TIMEOUT, "The body came too slowly",
                "The whole body must arrive within the time limit. Send it again."),
            Self::Conflict => ("conflict", S::CONFLICT, "The request conflicts with what is stored",
                "Read the present state, then decide again."),
            Self::Taken => ("taken", S::CONFLICT, "That name is taken",
                "Another row holds this value, which must be unique. Choose another one."),
            Self::Differs => ("differs", S::CONFLICT, "It was stored before with other content",
                "The natural key of this request is in use with different values. Repeating the first request is safe; changing it is not."),
            Self::WrongState => ("wrong-state", S::CONFLICT, "The present state does not allow that",
                "Somebody may have been faster. Read the present state, then decide again."),
            Self::InFlight => ("in-flight", S::CONFLICT, "The same request is still running",
                "A request with this Idempotency-Key has not finished. Send it again in a moment to receive its answer."),
            Self::Gone => ("gone", S::GONE, "The person's data was erased",
                "Nothing can be read or written for this person any more."),
            Self::TooLarge => ("too-large", S::PAYLOAD_TOO_LARGE, "The request is too large",
                "The detail names the limit. Send less, or split it."),
            Self::UnsupportedMediaType => ("unsupported-media-type", S::UNSUPPORTED_MEDIA_TYPE, "The body has the wrong media type",
                "Send `Content-Type: application/json`, plain or with `Content-Encoding: gzip`."),
            Self::Invalid => ("invalid", S::UNPROCESSABLE_ENTITY, "Some values are not valid",
                "`errors` lists every fault with a JSON pointer into the body, or `?name` for a query parameter."),
            Self::KeyReused => ("key-reused", S::UNPROCESSABLE_ENTITY, "The Idempotency-Key belongs to another request",
                "A key may be sent again only with the same method, address and body. Use a new key."),
            Self::TooMany => ("too-many-requests", S::TOO_MANY_REQUESTS, "Too many requests",
                "Wait for the seconds in `Retry-After`, then go on more slowly."),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "Something broke on our side",
                "It is logged under the request_id. Nothing was stored."),
            Self::Unavailable => ("unavailable", S::SERVICE_UNAVAILABLE, "The service cannot answer now",
                "Send the same request again after the seconds in `Retry-After`; with an Idempotency-Key that is safe."),
        }
    }
}
