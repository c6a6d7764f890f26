//! What the core service finds in its environment.

mod search;
mod terms;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::config::Env;
use mail::{Mailbox, Mailer, Smtp, SmtpUrl};
use secrecy::SecretString;
use service::Variables;
use url::Url;

use crate::clerk::ClerkSettings;
use crate::short_term::ShortTermConfig;

pub use search::SearchConfig;
pub use terms::TermConfig;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "core",
    program: "recoverly-core",
    database_url: "RECOVERLY_CORE_DATABASE_URL",
    listen: "RECOVERLY_CORE_LISTEN",
    port: 8081,
};

/// How long an export may take in all. It holds a snapshot for as long, which keeps Postgres from clearing up.
const MAX_EXPORT: Duration = Duration::from_secs(10 * 60);

/// Turns that short-term memory holds.
const SHORT_TERM_TURNS: u32 = 20;
/// How long it holds them after the last one, in seconds.
const SHORT_TERM_SECONDS: u32 = 1_800;

/// Keys have at least as many bytes as their hash.
const MIN_KEY_BYTES: usize = 32;

/// Task memories of a client that are kept where nothing is set.
const DEFAULT_TASK_MEMORIES_PER_USER: i64 = 500;
const MAX_TASK_MEMORIES_PER_USER: i64 = 100_000;

const SMTP_URL: &str = "RECOVERLY_SMTP_URL";
const SMTP_URL_HELP: &str =
    "mail server, smtps:// or smtp://…?tls=required; without it nobody can reset a password";
const MAIL_FROM: &str = "RECOVERLY_MAIL_FROM";
const MAIL_FROM_HELP: &str = "address that mail is sent from; must be set with RECOVERLY_SMTP_URL";
const RESET_URL: &str = "RECOVERLY_RESET_URL";
const RESET_URL_HELP: &str = "page of the app that sets a new password; must be set with RECOVERLY_SMTP_URL";
const TOTP_KEY: &str = "RECOVERLY_TOTP_KEY";
const TOTP_KEY_HELP: &str =
    "key that seals second factors, 32 bytes or more; without it staff cannot have one";

/// What the core service needs beyond what every service does.
#[derive(Clone)]
pub struct Config {
    /// How the audit is sealed.
    pub audit: AuditConfig,
    /// How mail is sent; without it none is.
    pub mail: Option<MailConfig>,
    /// Seals the second factors of staff; without it nobody can have one.
    pub totp_key: Option<SecretString>,
    /// Clients who have their account at Clerk.
    pub clerk: ClerkSettings,
    /// How the companion's short-term memory is kept.
    pub short_term: ShortTermConfig,
    /// How long an export may take in all: ten minutes.
    pub max_export: Duration,
    /// How many task memories of a client are kept.
    pub task_memories_per_user: i64,
    /// How memories are searched.
    pub search: SearchConfig,
    /// What is kept for how long.
    pub terms: TermConfig,
}

impl Config {
    /// Reads them from the environment; `None` where a fault was recorded.
    pub fn read(env: &mut Env) -> Option<Self> {
        let audit = AuditConfig::read(env);
        let clerk = ClerkSettings::read(env);
        let task_memories_per_user = env.within(
            "RECOVERLY_TASK_MEMORIES_PER_USER",
            DEFAULT_TASK_MEMORIES_PER_USER,
            1..=MAX_TASK_MEMORIES_PER_USER,
            "how many task memories of a client are kept; those accessed longest ago are pruned",
        );
        let smtp_url = env.optional::<SmtpUrl>(SMTP_URL, SMTP_URL_HELP);
        let from = env.optional::<Mailbox>(MAIL_FROM, MAIL_FROM_HELP);
        let page = env.optional::<Url>(RESET_URL, RESET_URL_HELP);
        let totp_key = env.optional::<String>(TOTP_KEY, TOTP_KEY_HELP);
        if totp_key.as_ref().is_some_and(|key| key.len() < MIN_KEY_BYTES) {
            let problem = format!("is shorter than {MIN_KEY_BYTES} bytes");
            env.fault(TOTP_KEY, problem, TOTP_KEY_HELP);
        }
        let short_term = read_short_term(env);
        let (search, terms) = (SearchConfig::read(env), TermConfig::read(env));
        let mail = match smtp_url {
            None => None,
            Some(smtp_url) => {
                if from.is_none() {
                    env.fault(MAIL_FROM, "is not set", MAIL_FROM_HELP);
                }
                if page.is_none() {
                    env.fault(RESET_URL, "is not set", RESET_URL_HELP);
                }
                Some(MailConfig::new(&smtp_url, from?, page?)?)
            }
        };
        Some(Self {
            audit: audit?,
            mail,
            totp_key: totp_key.map(SecretString::from),
            clerk: clerk?,
            short_term: short_term?,
            max_export: MAX_EXPORT,
            task_memories_per_user,
            search,
            terms,
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
            mail: None,
            totp_key: None,
            clerk: ClerkSettings::default(),
            short_term: ShortTermConfig {
                url: SecretString::from("redis://127.0.0.1:1"),
                prefix: String::new(),
                turns: SHORT_TERM_TURNS,
                seconds: SHORT_TERM_SECONDS,
            },
            max_export: MAX_EXPORT,
            task_memories_per_user: DEFAULT_TASK_MEMORIES_PER_USER,
            search: SearchConfig::default(),
            terms: TermConfig::default(),
        }
    }
}

fn read_short_term(env: &mut Env) -> Option<ShortTermConfig> {
    let url = env.secret("RECOVERLY_REDIS_URL", 1, "Redis URL");
    let prefix = env.optional::<String>(
        "RECOVERLY_REDIS_PREFIX",
        "what stands before each key in Redis; by default nothing",
    );
    let turns = env.within(
        "RECOVERLY_SHORT_TERM_TURNS",
        SHORT_TERM_TURNS,
        1..=200,
        "turns that short-term memory holds",
    );
    let seconds = env.within(
        "RECOVERLY_SHORT_TERM_SECONDS",
        SHORT_TERM_SECONDS,
        1..=86_400,
        "how long short-term memory holds them after the last one, in seconds",
    );
    Some(ShortTermConfig {
        url: url?,
        prefix: prefix.unwrap_or_default(),
        turns,
        seconds,
    })
}

/// How the audit is sealed.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// Signs seals. Postgres does not have it.
    pub key: SecretString,
    /// The file that a line is appended to for every seal, on storage that Postgres' administrators cannot change.
    pub anchor: PathBuf,
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

/// How mail is sent.
#[derive(Clone)]
pub struct MailConfig {
    pub(crate) mailer: Arc<dyn Mailer>,
    pub(crate) page: Url,
}

impl MailConfig {
    /// Mail by the SMTP server at a URL, from an address, with links to a page. `None` where one of them is none.
    #[must_use]
    pub fn smtp(url: &str, from: &str, page: &str) -> Option<Self> {
        Self::new(&url.parse().ok()?, from.parse().ok()?, page.parse().ok()?)
    }

    fn new(url: &SmtpUrl, from: Mailbox, page: Url) -> Option<Self> {
        let mailer = Smtp::new(url, from).ok()?;
        Some(Self {
            mailer: Arc::new(mailer),
            page,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(pairs: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let audit = [
            ("RECOVERLY_AUDIT_KEY", "an audit key of thirty-two bytes and more"),
            ("RECOVERLY_AUDIT_ANCHOR", "anchor"),
            ("RECOVERLY_REDIS_URL", "redis://127.0.0.1:1"),
        ];
        let mut env = Env::from_pairs(&[&audit, pairs].concat());
        let config = Config::read(&mut env);
        let read = env.finish(|| config);
        read.err().map_or(Vec::new(), |error| {
            let faults = error.faults().iter();
            faults.map(|fault| (fault.name, fault.problem.clone())).collect()
        })
    }

    #[test]
    fn mail_need_not_be_set_but_needs_all_three() {
        assert!(faults(&[]).is_empty());
        let all = [
            (SMTP_URL, "smtps://user:secret@mail.example"),
            (MAIL_FROM, "Support <support@mail.example>"),
            (RESET_URL, "https://app.example/new-password"),
        ];
        assert!(faults(&all).is_empty());
        let names: Vec<&str> = faults(&all[..1]).iter().map(|fault| fault.0).collect();
        assert_eq!(names, [MAIL_FROM, RESET_URL]);
    }

    #[test]
    fn no_term_is_set_that_is_shorter_than_what_is_counted_by_it() {
        for (name, least) in [
            ("RECOVERLY_MESSAGES_DAYS", 60),
            ("RECOVERLY_TRANSCRIPTS_DAYS", 31),
            ("RECOVERLY_EVENTS_DAYS", 31),
        ] {
            assert!(faults(&[(name, &least.to_string())]).is_empty());
            let below = faults(&[(name, &(least - 1).to_string())]);
            assert_eq!(below.first().map(|fault| fault.0), Some(name));
        }
    }

    #[test]
    fn a_search_is_set_within_what_its_index_takes_and_what_may_be_asked_for() {
        for (name, least, most) in [
            ("RECOVERLY_SEARCH_EF", 10, 1_000),
            ("RECOVERLY_SEARCH_WALKED_MAX", 1_000, 10_000_000),
            ("RECOVERLY_SEARCH_COMPARED_MAX", 100, 100_000),
            ("RECOVERLY_SEARCH_CANDIDATES", 100, 1_000),
        ] {
            for good in [least, most] {
                assert!(faults(&[(name, &good.to_string())]).is_empty(), "{name} {good}");
            }
            for bad in [least - 1, most + 1] {
                let refused = faults(&[(name, &bad.to_string())]);
                assert_eq!(refused.first().map(|fault| fault.0), Some(name), "{bad}");
            }
        }
    }

    #[test]
    fn every_variable_is_described_also_where_others_are_missing() {
        let mut env = Env::from_pairs(&[]);
        assert!(Config::read(&mut env).is_none());
        let described: Vec<&str> = env.described().iter().map(|variable| variable.name).collect();
        for name in ["RECOVERLY_SEARCH_EF", "RECOVERLY_EVENTS_DAYS"] {
            assert!(described.contains(&name), "{name} {described:?}");
        }
    }

    #[test]
    fn mail_in_clear_and_short_keys_are_refused_without_their_value() {
        for (name, value) in [
            (SMTP_URL, "smtp://user:secret@mail.example"),
            (SMTP_URL, "smtp://user:secret@mail.example?tls=opportunistic"),
            (SMTP_URL, "http://secret.example"),
            (TOTP_KEY, "secret"),
        ] {
            let found = faults(&[(name, value)]);
            assert_eq!(
                found.iter().map(|fault| fault.0).collect::<Vec<_>>(),
                [name],
                "{value}"
            );
            assert!(!found.iter().any(|fault| fault.1.contains("secret")));
        }
    }
}
