//! Clerk, where clients may have their account: who its webhooks come from, and whom its session tokens name.

mod keys;
mod sessions;
mod webhook;

use std::time::Duration;

use ::config::Env;
use secrecy::SecretString;
use url::Url;

pub(crate) use sessions::Sessions;
pub(crate) use webhook::SignedBy;

const WEBHOOK_SECRET: &str = "RECOVERLY_CLERK_WEBHOOK_SECRET";
const JWKS_URL: &str = "RECOVERLY_CLERK_JWKS_URL";
const ISSUER: &str = "RECOVERLY_CLERK_ISSUER";
const AUDIENCE: &str = "RECOVERLY_CLERK_AUDIENCE";
const AUTHORIZED_PARTY: &str = "RECOVERLY_CLERK_AUTHORIZED_PARTY";

/// How long no keys are fetched after they were, in seconds: a bound on what tokens with invented keys can cause.
const KEYS_PAUSE_SECONDS: u64 = 10;

/// What core knows of Clerk; without it the routes for Clerk are not there.
#[derive(Clone, Debug, Default)]
pub struct ClerkSettings {
    /// Signs its webhooks: `whsec_…`.
    pub webhook_secret: Option<SecretString>,
    /// Session tokens that are exchanged for ours.
    pub sessions: Option<SessionSettings>,
}

/// Whose session tokens are good.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Where its public keys are.
    pub jwks_url: Url,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold, where it is asked for.
    pub audience: Option<String>,
    /// What `azp` must be, where it is asked for.
    pub authorized_party: Option<String>,
    /// How long no keys are fetched after they were.
    pub keys_pause: Duration,
}

impl ClerkSettings {
    /// Reads them from the environment; `None` where a fault was recorded.
    pub fn read(env: &mut Env) -> Option<Self> {
        let help = "signing secret of Clerk's webhooks, whsec_…; without it there is no webhook route";
        let webhook_secret = env
            .optional::<String>(WEBHOOK_SECRET, help)
            .map(SecretString::from);
        if webhook_secret
            .as_ref()
            .is_some_and(|secret| SignedBy::new(secret).is_none())
        {
            env.fault(WEBHOOK_SECRET, "is no signing secret", help);
        }
        Some(Self {
            webhook_secret,
            sessions: SessionSettings::read(env)?,
        })
    }
}

impl SessionSettings {
    /// All or none: `None` where a fault was recorded, `Some(None)` where none is set.
    fn read(env: &mut Env) -> Option<Option<Self>> {
        let url_help =
            "https URL of Clerk's public keys (JWKS); without it there is no exchange of session tokens";
        let issuer_help = "issuer of Clerk's session tokens, such as https://clerk.example.com";
        let jwks_url: Option<Url> = env.optional(JWKS_URL, url_help);
        let issuer: Option<String> = env.optional(ISSUER, issuer_help);
        let audience: Option<String> = env.optional(AUDIENCE, "what aud of a session token must hold");
        let authorized_party: Option<String> = env.optional(
            AUTHORIZED_PARTY,
            "what azp of a session token must be: the origin of the app",
        );
        if jwks_url.as_ref().is_some_and(|url| !is_private(url)) {
            env.fault(JWKS_URL, "must be https, or on this machine", url_help);
            return None;
        }
        match (jwks_url, issuer) {
            (Some(jwks_url), Some(issuer)) => Some(Some(Self {
                jwks_url,
                issuer,
                audience,
                authorized_party,
                keys_pause: Duration::from_secs(KEYS_PAUSE_SECONDS),
            })),
            (None, None) if audience.is_none() && authorized_party.is_none() => Some(None),
            (jwks_url, issuer) => {
                if jwks_url.is_none() {
                    env.fault(
                        JWKS_URL,
                        "is not set, and others for Clerk's sessions are",
                        url_help,
                    );
                }
                if issuer.is_none() {
                    env.fault(
                        ISSUER,
                        "is not set, and others for Clerk's sessions are",
                        issuer_help,
                    );
                }
                None
            }
        }
    }
}

/// Keys that somebody on the way could change would let anybody in.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// The checks of what Clerk sends.
pub(crate) struct Clerk {
    pub(crate) webhook: Option<SignedBy>,
    pub(crate) sessions: Option<Sessions>,
}

impl Clerk {
    pub(crate) fn new(settings: &ClerkSettings) -> Self {
        Self {
            webhook: settings.webhook_secret.as_ref().and_then(SignedBy::new),
            sessions: settings.sessions.as_ref().map(Sessions::new),
        }
    }
}
