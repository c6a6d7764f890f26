//! Forgotten passwords: asked about in a request, looked into after it. So the request takes as long whether there is such
//! an account or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use db::Db;
use mail::{Mail, Mailer};
use tokio::sync::mpsc;
use url::Url;
use web::Stranger;

use crate::domain::password_reset::{SUBJECT, text};
use crate::domain::token::{Purpose, Token};
use crate::error::Error;
use crate::ops::named::named;
use crate::store::password_resets;

/// Addresses that wait to be looked into, at most.
const MAX_WAITING: usize = 256;

/// An address whose password is forgotten, and who says so.
type Forgotten = (String, Stranger);

/// The way into the queue; without mail it leads nowhere. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Resets {
    queue: Option<mpsc::Sender<Forgotten>>,
}

/// Looks into one address after the other, until nobody can ask any more.
pub(crate) struct Resetter {
    pub(crate) db: Db,
    pub(crate) mailer: Arc<dyn Mailer>,
    /// Where a person sets the new password.
    pub(crate) page: Url,
    /// Whether the last mail was taken.
    pub(crate) works: Arc<AtomicBool>,
}

impl Resets {
    /// No mail is sent.
    pub(crate) fn none() -> Self {
        Self { queue: None }
    }

    /// A queue, and what is at its other end.
    pub(crate) fn to(resetter: Resetter) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        (Self { queue: Some(queue) }, resetter.run(waiting))
    }

    /// Has an address looked into.
    ///
    /// # Errors
    /// [`Error::Busy`] where too many wait.
    pub(crate) fn ask(&self, email: String, from: Stranger) -> Result<(), Error> {
        match &self.queue {
            Some(queue) => queue.try_send((email, from)).map_err(|_| Error::Busy),
            None => Ok(()),
        }
    }
}

impl Resetter {
    async fn run(self, mut waiting: mpsc::Receiver<Forgotten>) {
        while let Some((email, from)) = waiting.recv().await {
            if let Err(error) = self.reset(&email, &from).await {
                tracing::warn!(%error, "a forgotten password could not be looked into");
            }
        }
    }

    /// Makes a token and mails it once it is stored. One that reached nobody is forgotten, so that the person may ask
    /// again at once.
    async fn reset(&self, email: &str, from: &Stranger) -> Result<(), Error> {
        let token = Token::of(Purpose::Reset, rand::random());
        let tx = self.db.begin_worker().await?;
        let found = password_resets::insert(&tx, email, &token.hash()).await?;
        if let Some(found) = &found {
            from.asked_in(&tx, named(found.kind, &found.user_id));
        }
        tx.commit().await?;
        let Some(found) = found else { return Ok(()) };
        let mail = Mail {
            to: found.email,
            subject: SUBJECT,
            text: text(&self.page, &token),
        };
        let sent = self.mailer.send(mail).await;
        self.works.store(sent.is_ok(), Ordering::Relaxed);
        if let Err(error) = sent {
            tracing::warn!(%error, "a mail was not sent");
            let tx = self.db.begin_worker().await?;
            password_resets::forget(&tx, &token.hash()).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
