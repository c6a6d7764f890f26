//! `X-Request-Id`: taken from the caller where it is usable, else made here; in the answer, the logs and the problems.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use uuid::Uuid;

/// The header's name.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The id of one request.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text: 1 to 128 of `A-Z a-z 0-9 . _ -`.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id that the server gave to a request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::new)
    }

    /// The caller's id, or a new one where it sent none that can go into logs as it is.
    pub(crate) fn accept(sent: Option<&HeaderValue>) -> Self {
        sent.filter(|value| is_usable(value.as_bytes()))
            .cloned()
            .map_or_else(Self::new, Self)
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    fn new() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let id = Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("none")))
    }
}

fn is_usable(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.iter().all(allowed)
}
