//! How pages and codes leave: by mail or webhook, at the edge of our system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use mail::{Mail, MailError, Mailer};
use service::StartError;
use url::Url;
use web::Readiness;

use crate::config::PagingConfig;
use crate::domain::contact::{CODE_SUBJECT, Code, Method};
use crate::domain::page::Page;
use crate::store::contact_methods::Place;
use crate::webhook::Webhooks;

/// Why something was not taken, in words that hold no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) words: String,
    /// Whether trying again is of no use.
    pub(crate) is_for_good: bool,
}

impl Failed {
    pub(crate) fn for_good(words: &str) -> Self {
        Self {
            words: words.to_owned(),
            is_for_good: true,
        }
    }

    pub(crate) fn for_now(words: &str) -> Self {
        Self {
            words: words.to_owned(),
            is_for_good: false,
        }
    }
}

impl From<MailError> for Failed {
    fn from(error: MailError) -> Self {
        Self {
            words: error.to_string(),
            is_for_good: error.is_for_good(),
        }
    }
}

/// The ways out, as far as they are configured.
pub(crate) struct Paging {
    /// Where staff answer pages.
    dashboard: Url,
    mailer: Option<Arc<dyn Mailer>>,
    /// Whether the last mail was taken.
    mail_works: AtomicBool,
    webhooks: Option<Webhooks>,
}

impl Paging {
    /// The ways of this configuration.
    ///
    /// # Errors
    /// When a URL or a key is none.
    pub(crate) fn new(config: &PagingConfig) -> Result<Self, StartError> {
        let mailer = config
            .mailer()
            .map_err(|_| StartError::Url("RECOVERLY_SMTP_URL"))?;
        let key = config.contact_key.as_ref();
        let webhooks =
            key.map(|key| Webhooks::new(key, config.reach).ok_or(StartError::Key("RECOVERLY_CONTACT_KEY")));
        Ok(Self {
            dashboard: config.dashboard.clone(),
            mailer,
            mail_works: AtomicBool::new(true),
            webhooks: webhooks.transpose()?,
        })
    }

    /// Whether mail can be sent at all.
    pub(crate) fn has_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// The way of webhooks, where there is a key to seal their secrets by.
    pub(crate) fn webhooks(&self) -> Option<&Webhooks> {
        self.webhooks.as_ref()
    }

    /// Sends a page; the status that it has then.
    pub(crate) async fn page(&self, place: &Place, page: &Page) -> Result<&'static str, Failed> {
        match place.method {
            Method::Email => {
                let text = page.text(&self.dashboard);
                self.mail(place, page.subject(), text).await.map(|()| "sent")
            }
            Method::Webhook => {
                let body = page.body(&self.dashboard);
                let id = page.delivery_id.to_string();
                self.webhook()?
                    .send(place, &id, &body)
                    .await
                    .map(|()| "delivered")
            }
        }
    }

    /// Sends a code to whoever reads at a place. `id` is that of the webhook.
    pub(crate) async fn code(
        &self,
        place: &Place,
        code: &Code,
        (id, now): (&str, DateTime<Utc>),
    ) -> Result<(), Failed> {
        match place.method {
            Method::Email => self.mail(place, CODE_SUBJECT, code.text()).await,
            Method::Webhook => self.webhook()?.send(place, id, &code.body(now)).await,
        }
    }

    async fn mail(&self, place: &Place, subject: &'static str, text: String) -> Result<(), Failed> {
        let mailer = self.mailer.as_ref();
        let mailer = mailer.ok_or_else(|| Failed::for_good("mail is not configured"))?;
        let mail = Mail {
            to: place.address.clone(),
            subject,
            text,
        };
        let sent = mailer.send(mail).await;
        // A server that refuses one address for good works.
        let works = sent.as_ref().map_or_else(MailError::is_for_good, |()| true);
        self.mail_works.store(works, Ordering::Relaxed);
        Ok(sent?)
    }

    fn webhook(&self) -> Result<&Webhooks, Failed> {
        let webhooks = self.webhooks.as_ref();
        webhooks.ok_or_else(|| Failed::for_good("webhooks are not configured"))
    }

    fn mail_state(&self) -> Result<(), &'static str> {
        match (&self.mailer, self.mail_works.load(Ordering::Relaxed)) {
            (None, _) => Err("not configured"),
            (Some(_), true) => Ok(()),
            (Some(_), false) => Err("the last mail was not taken"),
        }
    }
}

/// What readiness shows of mail: it is not needed to be ready.
pub(crate) fn watched(paging: Option<&Arc<Paging>>) -> Readiness {
    let paging = paging.cloned();
    Readiness::new().watch("mail", move || {
        let state = paging
            .as_ref()
            .map_or(Err("not configured"), |paging| paging.mail_state());
        async move { state }
    })
}
