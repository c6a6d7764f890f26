//! Signatures of webhooks, as Svix makes them for Clerk: HMAC-SHA-256 over id, time and body. Why this is written here:
//! docs/decisions/0022.

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// In front of every secret.
const SECRET_PREFIX: &str = "whsec_";
/// The shortest key, in bytes; Svix makes 24.
const MIN_KEY_BYTES: usize = 16;
/// The version of the scheme, in front of each signature.
const VERSION: &str = "v1,";
/// Signatures that are looked at: a sender that changes its secret signs with both.
const MAX_SIGNATURES: usize = 8;
/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 255;
/// How far the time of signing may be from now, in minutes.
const TOLERANCE_MINUTES: i64 = 5;

/// Who holds the secret of the webhooks.
pub(crate) struct SignedBy(Hmac<Sha256>);

impl SignedBy {
    /// `None` where the text is no secret.
    pub(super) fn new(secret: &SecretString) -> Option<Self> {
        let encoded = secret.expose_secret().trim().strip_prefix(SECRET_PREFIX)?;
        let key = STANDARD.decode(encoded).ok()?;
        if key.len() < MIN_KEY_BYTES {
            return None;
        }
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    /// The id of a webhook that was signed a short time ago; `None` for every other request.
    pub(crate) fn id_of(&self, request: &HttpRequest, body: &[u8], now: DateTime<Utc>) -> Option<String> {
        let header = |name| {
            let mut sent = request.headers().get_all(name);
            // Of two, a proxy may have looked at the other one.
            sent.next().filter(|_| sent.next().is_none())?.to_str().ok()
        };
        let (id, time) = (header("svix-id")?, header("svix-timestamp")?);
        let fits = !id.is_empty() && id.len() <= MAX_ID_BYTES;
        let is_good =
            fits && is_recent(time, now) && self.has_signed(id, time, body, header("svix-signature")?);
        is_good.then(|| id.to_owned())
    }

    /// Whether one of the signatures is ours. An id with a dot in it could pass for another id and time, but so it would
    /// have to have been signed.
    fn has_signed(&self, id: &str, time: &str, body: &[u8], signatures: &str) -> bool {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
            mac.update(part);
        }
        signatures
            .split(' ')
            .take(MAX_SIGNATURES)
            .filter_map(|signature| signature.strip_prefix(VERSION))
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
    }
}

/// Whether a time in seconds since 1970 is about now: what was signed long ago may have been overheard.
fn is_recent(seconds: &str, now: DateTime<Utc>) -> bool {
    let signed_at = seconds
        .parse()
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    signed_at.is_some_and(|at| (now - at).abs() <= TimeDelta::minutes(TOLERANCE_MINUTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_one_of_the_scheme_and_of_all_that_was_signed() {
        let signed_by = SignedBy::new(&SecretString::from(SECRET)).map(|signed_by| {
            // Made by the official library for Python.
            let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
            let good = |id: &str, time: &str, body: &[u8], signatures: &str| {
                signed_by.has_signed(id, time, body, signatures)
            };
            let (id, time, body) = (
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                br#"{"test": 2432232314}"#,
            );
            assert!(good(id, time, body, signature));
            assert!(good(id, time, body, &format!("v1a,x v1,AAAA {signature}")));
            for signatures in [
                "",
                "v1,",
                &signature.replace("v1,", "v2,"),
                &signature.replace('g', "h"),
            ] {
                assert!(!good(id, time, body, signatures), "{signatures}");
            }
            assert!(!good("msg_2", time, body, signature));
            assert!(!good(id, "1614265331", body, signature));
            assert!(!good(id, time, b"{}", signature));
        });
        assert!(signed_by.is_some());
    }

    #[test]
    fn what_was_signed_more_than_five_minutes_from_now_is_old() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default();
        for (time, recent) in [
            ("1700000000", true),
            ("1699999700", true),
            ("1699999699", false),
            ("1700000300", true),
            ("1700000301", false),
            ("-9223372036854775808", false),
            ("9223372036854775807", false),
            ("99999999999999999999", false),
            ("", false),
            ("now", false),
        ] {
            assert_eq!(is_recent(time, now), recent, "{time}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        for text in [
            "",
            "whsec_",
            "whsec_%%%",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(SignedBy::new(&SecretString::from(text)).is_none(), "{text}");
        }
    }
}
