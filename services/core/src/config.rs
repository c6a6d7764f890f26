//! What the core service finds in its environment.

use std::path::PathBuf;

use ::config::Env;
use secrecy::SecretString;
use service::Variables;

/// HMAC keys have at least as many bytes as their hash.
const MIN_KEY_BYTES: usize = 32;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "core",
    program: "recoverly-core",
    database_url: "RECOVERLY_CORE_DATABASE_URL",
    listen: "RECOVERLY_CORE_LISTEN",
    port: 8081,
};

/// What the core service needs beyond what every service does.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the audit is sealed.
    pub audit: AuditConfig,
}

/// How the audit is sealed.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// Signs seals. Postgres does not have it.
    pub key: SecretString,
    /// The file that a line is appended to for every seal, on storage that Postgres' administrators cannot change.
    pub anchor: PathBuf,
}

impl Config {
    /// Reads it; `None` where a fault was recorded.
    pub(crate) fn read(env: &mut Env) -> Option<Self> {
        Some(Self {
            audit: AuditConfig::read(env)?,
        })
    }

    /// For tests, with an anchor of their own.
    #[must_use]
    pub fn for_testing(anchor: PathBuf) -> Self {
        Self {
            audit: AuditConfig {
                key: SecretString::from("an audit key of tests, thirty-two bytes and more"),
                anchor,
            },
        }
    }
}

impl AuditConfig {
    /// Reads it; `None` where a fault was recorded.
    pub(crate) fn read(env: &mut Env) -> Option<Self> {
        let key = env.secret(
            "RECOVERLY_AUDIT_KEY",
            MIN_KEY_BYTES,
            "key that signs the audit's seals, 32 bytes or more; never stored in Postgres",
        );
        let anchor = env.required(
            "RECOVERLY_AUDIT_ANCHOR",
            "file outside Postgres that every seal of the audit is appended to",
        );
        Some(Self {
            key: key?,
            anchor: anchor?,
        })
    }
}
