//! How staff are reached outside the app.

use std::sync::Arc;

use ::config::Env;
use mail::{MailError, Mailbox, Mailer, Smtp, SmtpUrl};
use secrecy::SecretString;
use url::Url;

use crate::domain::callback::Reach;

/// Keys have at least as many bytes as their hash.
const MIN_KEY_BYTES: usize = 32;

const SMTP_URL: &str = "RECOVERLY_SMTP_URL";
const SMTP_URL_HELP: &str =
    "mail server, smtps:// or smtp://…?tls=required; without it nobody is paged by mail";
const MAIL_FROM: &str = "RECOVERLY_MAIL_FROM";
const MAIL_FROM_HELP: &str = "address that mail is sent from; must be set with RECOVERLY_SMTP_URL";
const CONTACT_KEY: &str = "RECOVERLY_CONTACT_KEY";
const CONTACT_KEY_HELP: &str =
    "key that seals the secrets of webhooks, 32 bytes or more; without it nobody is paged by webhook";
const DASHBOARD_URL: &str = "RECOVERLY_DASHBOARD_URL";
const DASHBOARD_URL_HELP: &str =
    "page where staff answer escalations; must be set with RECOVERLY_SMTP_URL or RECOVERLY_CONTACT_KEY";
const INSECURE_CALLBACKS: &str = "RECOVERLY_INSECURE_CALLBACKS";
const INSECURE_CALLBACKS_HELP: &str =
    "true lets webhooks go to http and to addresses inside: for tests and demonstrations alone";

/// How staff are reached outside the app.
#[derive(Clone, Debug)]
pub struct PagingConfig {
    /// Where they answer pages.
    pub dashboard: Url,
    pub(crate) mail: Option<(SmtpUrl, Mailbox)>,
    /// Seals the secrets of webhooks; without it there are none.
    pub contact_key: Option<SecretString>,
    pub(crate) reach: Reach,
}

impl PagingConfig {
    /// Reads it; `None` where a fault was recorded, `Some(None)` where nobody is reached outside the app.
    pub(crate) fn read(env: &mut Env) -> Option<Option<Self>> {
        let smtp_url = env.optional::<SmtpUrl>(SMTP_URL, SMTP_URL_HELP);
        let from = env.optional::<Mailbox>(MAIL_FROM, MAIL_FROM_HELP);
        let key = env.optional::<String>(CONTACT_KEY, CONTACT_KEY_HELP);
        let dashboard = env.optional::<Url>(DASHBOARD_URL, DASHBOARD_URL_HELP);
        let is_insecure = env.or(INSECURE_CALLBACKS, false, INSECURE_CALLBACKS_HELP);
        if key.as_ref().is_some_and(|key| key.len() < MIN_KEY_BYTES) {
            let problem = format!("is shorter than {MIN_KEY_BYTES} bytes");
            env.fault(CONTACT_KEY, problem, CONTACT_KEY_HELP);
        }
        if smtp_url.is_none() && key.is_none() {
            return Some(None);
        }
        if smtp_url.is_some() && from.is_none() {
            env.fault(MAIL_FROM, "is not set", MAIL_FROM_HELP);
        }
        if dashboard.is_none() {
            env.fault(DASHBOARD_URL, "is not set", DASHBOARD_URL_HELP);
        }
        Some(Some(Self {
            dashboard: dashboard?,
            mail: smtp_url.zip(from),
            contact_key: key.map(SecretString::from),
            reach: if is_insecure {
                Reach::Anywhere
            } else {
                Reach::Outside
            },
        }))
    }

    /// For tests: by the mail server at a URL, where one is given, and by webhooks, on this machine where it is said.
    #[must_use]
    pub fn for_testing(dashboard: Url, smtp_url: Option<&str>, insecure_callbacks: bool) -> Self {
        let from = "Paging <paging@mail.example>".parse().ok();
        Self {
            dashboard,
            mail: smtp_url.and_then(|url| url.parse().ok()).zip(from),
            contact_key: Some(SecretString::from(
                "a contact key of tests, thirty-two bytes and more",
            )),
            reach: if insecure_callbacks {
                Reach::Anywhere
            } else {
                Reach::Outside
            },
        }
    }

    /// The way of mail, where there is one.
    pub(crate) fn mailer(&self) -> Result<Option<Arc<dyn Mailer>>, MailError> {
        let Some((url, from)) = &self.mail else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Smtp::new(url, from.clone())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(pairs: &[(&str, &str)]) -> Vec<&'static str> {
        let mut env = Env::from_pairs(pairs);
        let read = PagingConfig::read(&mut env);
        let read = env.finish(|| read);
        read.err().map_or(Vec::new(), |error| {
            error.faults().iter().map(|fault| fault.name).collect()
        })
    }

    #[test]
    fn each_way_needs_what_belongs_to_it() {
        const KEY: &str = "a key of thirty-two bytes and more";
        assert!(faults(&[]).is_empty());
        assert_eq!(
            faults(&[(SMTP_URL, "smtps://mail.example")]),
            [MAIL_FROM, DASHBOARD_URL]
        );
        assert_eq!(faults(&[(CONTACT_KEY, KEY)]), [DASHBOARD_URL]);
        assert_eq!(
            faults(&[(CONTACT_KEY, "short"), (DASHBOARD_URL, "https://desk.example")]),
            [CONTACT_KEY]
        );
        let all = [
            (SMTP_URL, "smtps://mail.example"),
            (MAIL_FROM, "paging@mail.example"),
            (CONTACT_KEY, KEY),
            (DASHBOARD_URL, "https://desk.example"),
        ];
        assert!(faults(&all).is_empty());
    }

    #[test]
    fn webhooks_stay_outside_where_nothing_else_is_said() {
        let pairs = [
            (CONTACT_KEY, "a key of thirty-two bytes and more"),
            (DASHBOARD_URL, "https://desk.example"),
        ];
        let read = PagingConfig::read(&mut Env::from_pairs(&pairs)).flatten();
        assert_eq!(read.map(|config| config.reach), Some(Reach::Outside));
    }
}
