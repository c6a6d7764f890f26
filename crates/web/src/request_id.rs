//! `X-Request-Id`: the caller's, where it is usable, comes back and stands in logs and problems; ours, which every request
//! has, in logs, rows and the audit.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use uuid::Uuid;

/// The header's name.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The id of one request: our own, which is stored, and the one that the caller knows it by.
#[derive(Debug, Clone)]
pub struct RequestId {
    own: HeaderValue,
    sent: Option<HeaderValue>,
}

impl RequestId {
    /// Our own, for rows and the audit: what a caller sends may be the id of a person, and would outlive that person there.
    pub fn as_str(&self) -> &str {
        self.own.to_str().unwrap_or_default()
    }

    /// What the caller knows it by: 1 to 128 of `A-Z a-z 0-9 . _ -`. For answers and logs.
    pub(crate) fn told(&self) -> &str {
        self.header().to_str().unwrap_or_default()
    }

    /// [`Self::told`] as a header.
    pub(crate) fn header(&self) -> &HeaderValue {
        self.sent.as_ref().unwrap_or(&self.own)
    }

    /// The id that the server gave to a request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::accept(None))
    }

    /// A new one, beside the caller's where that can go into logs as it is.
    pub(crate) fn accept(sent: Option<&HeaderValue>) -> Self {
        let mut buffer = Uuid::encode_buffer();
        let own = Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
        Self {
            own: HeaderValue::from_str(own).unwrap_or_else(|_| HeaderValue::from_static("none")),
            sent: sent.filter(|value| is_usable(value.as_bytes())).cloned(),
        }
    }
}

fn is_usable(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.iter().all(allowed)
}
