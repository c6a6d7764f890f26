//! Webhooks to staff, signed as Standard Webhooks has it, at the edge of our system.

mod resolver;

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use seal::{Cipher, SealError};
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;
use url::{Host, Url};

use crate::domain::callback::{Reach, callback};
use crate::paging::Failed;
use crate::store::contact_methods::Place;
use resolver::{Inside, Resolver};

/// How long the receiver may take in all, and until it is connected, in seconds.
const SEND_SECONDS: u64 = 10;
const CONNECT_SECONDS: u64 = 4;
/// How long a name may take to be looked up when its webhook is saved, in seconds.
const LOOK_UP_SECONDS: u64 = 4;
/// In front of every secret, and of each signature.
const SECRET_PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";
const SECRET_BYTES: usize = 32;

/// Signs webhooks and sends them.
pub(crate) struct Webhooks {
    http: reqwest::Client,
    cipher: Cipher,
    reach: Reach,
}

/// A secret that was just made: for its owner to see once, and for us to store.
pub(crate) struct NewSecret {
    pub(crate) shown: String,
    pub(crate) sealed: Vec<u8>,
}

impl Webhooks {
    /// Webhooks whose secrets are sealed by a key. Each is a connection of its own, to an address that was looked at: one
    /// that is kept could outlive what its name led to. No proxy of the environment looks names up for us.
    ///
    /// # Errors
    /// When the key is none, or there is no certificate to trust.
    pub(crate) fn new(key: &SecretString, reach: Reach) -> Option<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(SEND_SECONDS))
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .https_only(reach == Reach::Outside)
            .dns_resolver(Arc::new(Resolver(reach)))
            .build()
            .ok()?;
        let cipher = Cipher::new(key).ok()?;
        Some(Self { http, cipher, reach })
    }

    /// The URL of a webhook that somebody wants, as far as it leads outside now.
    ///
    /// # Errors
    /// Why not, as the end of a sentence that begins with the field.
    pub(crate) async fn check(&self, text: &str) -> Result<Url, &'static str> {
        let url = callback(text, self.reach)?;
        let Some(Host::Domain(name)) = url.host() else {
            return Ok(url);
        };
        let deadline = Duration::from_secs(LOOK_UP_SECONDS);
        match tokio::time::timeout(deadline, resolver::addresses(name, self.reach)).await {
            Ok(Ok(_)) => Ok(url),
            Ok(Err(error)) if error.is::<Inside>() => {
                Err("must not lead to a private, local or reserved address")
            }
            Ok(Err(_)) | Err(_) => Err("names a host that cannot be found"),
        }
    }

    /// A new secret for a person's webhook.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn new_secret(&self, staff_id: &str) -> Result<NewSecret, SealError> {
        let secret: [u8; SECRET_BYTES] = rand::random();
        Ok(NewSecret {
            shown: format!("{SECRET_PREFIX}{}", STANDARD.encode(secret)),
            sealed: self.cipher.seal(&secret, staff_id)?,
        })
    }

    /// Sends a body under an id that stays the same in every attempt. Of the answer, nothing is read but its status.
    pub(crate) async fn send(&self, place: &Place, id: &str, body: &Value) -> Result<(), Failed> {
        // What could be saved before may be refused now.
        let url = callback(&place.address, self.reach)
            .map_err(|_| Failed::for_good("the URL is not one that webhooks go to"))?;
        let sealed = place.secret_sealed.as_deref().unwrap_or_default();
        let secret = self
            .cipher
            .open(sealed, &place.staff_id)
            .map_err(|_| Failed::for_good("the secret was sealed by another key"))?;
        let body = body.to_string();
        // The receiver compares it with its own clock.
        let timestamp = Utc::now().timestamp().to_string();
        let signature = sign(&secret, id, &timestamp, &body)
            .ok_or_else(|| Failed::for_good("the secret signs nothing"))?;
        let answer = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        taken(answer.status())
    }
}

/// HMAC-SHA-256 over id, time and body.
fn sign(secret: &[u8], id: &str, timestamp: &str, body: &str) -> Option<String> {
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!(
        "{VERSION}{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

/// Every status but those of success is another try; 410 says that nobody listens there any more.
fn taken(status: StatusCode) -> Result<(), Failed> {
    if status.is_success() {
        return Ok(());
    }
    let words = format!("the receiver answered {}", status.as_u16());
    Err(Failed {
        words,
        is_for_good: status == StatusCode::GONE,
    })
}

/// The kind of failure: the error's own words hold the URL.
fn failed(error: &reqwest::Error) -> Failed {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<Inside>() {
            return Failed::for_good("the receiver's name leads to a private, local or reserved address");
        }
        cause = inner.source();
    }
    Failed::for_now(if error.is_timeout() {
        "the receiver did not answer in time"
    } else if error.is_connect() {
        "the receiver cannot be reached"
    } else {
        "the connection to the receiver broke"
    })
}

/// Whether all addresses are ones that webhooks go to.
fn all_allowed(reach: Reach, mut addresses: impl Iterator<Item = IpAddr>) -> bool {
    addresses.all(|address| reach.allows(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_scheme() {
        let secret = STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap_or_default();
        // Made by the official library for Python.
        assert_eq!(
            sign(
                &secret,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                r#"{"test": 2432232314}"#
            )
            .as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
    }

    #[test]
    fn one_address_inside_among_others_is_enough_to_refuse() {
        let all =
            |list: &[&str]| all_allowed(Reach::Outside, list.iter().filter_map(|text| text.parse().ok()));
        assert!(all(&["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]));
        assert!(!all(&["93.184.215.14", "10.0.0.1"]));
        assert!(!all(&["::ffff:169.254.169.254"]));
    }
}
