//! What programs tell of the providers they call.

use serde_json::Value;

/// How a call went.
pub(crate) const STATUSES: &[&str] = &["success", "degraded", "failed", "fallback"];

/// How a call of a provider went.
#[derive(Clone, Debug)]
pub(crate) struct NewProviderEvent {
    pub(crate) user_id: Option<String>,
    pub(crate) scope: String,
    pub(crate) provider_name: String,
    pub(crate) runtime: Option<String>,
    /// One of [`STATUSES`].
    pub(crate) status: &'static str,
    pub(crate) fallback_reason: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) request_id: Option<String>,
}

/// What was spoken to a client, by the hash of its text.
#[derive(Clone, Debug)]
pub(crate) struct NewVoiceEvent {
    pub(crate) user_id: Option<String>,
    pub(crate) provider_name: String,
    pub(crate) text_hash: String,
    pub(crate) language: Option<String>,
    /// One of [`STATUSES`].
    pub(crate) status: &'static str,
    pub(crate) duration_ms: Option<i32>,
    pub(crate) audio_uri: Option<String>,
    pub(crate) metadata: Option<Value>,
    pub(crate) request_id: Option<String>,
}

/// A hash in hexadecimal digits, 128 bits at least: what was spoken must not come here in its place.
pub(crate) fn text_hash(text: &str) -> Option<String> {
    let is_hash = (32..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_no_text() {
        for (text, is_one) in [
            ("0123456789abcdef0123456789ABCDEF", true),
            ("0123456789abcdef0123456789abcde", false),
            ("i have been thinking of drinking again", false),
        ] {
            assert_eq!(text_hash(text).is_some(), is_one, "{text}");
        }
    }
}
