//! Gathering single predictions that come at the same time into one transaction.
//!
//! One write at a time costs Postgres several times what the same write costs inside a set. So requests queue, and
//! whoever is free takes what waits: an idle service takes one at once and nobody waits for company. Each caller is
//! answered after the commit, with its own result.

use std::pin::Pin;
use std::sync::Arc;

use bus::Outbox;
use db::Db;
use service::Clock;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::domain::prediction::NewPrediction;
use crate::error::Error;
use crate::ops::record::{Opening, Outcome, record};

/// Predictions that may wait; more are answered 503, which is kinder than a time-out.
const MAX_WAITING: usize = 1_024;
/// Predictions of one transaction.
const MAX_GATHERED: usize = 128;
/// Transactions at a time: one on its way through Postgres while the next is being read and locked.
const GATHERERS: usize = 2;
/// A transaction that lost a deadlock is run again so many times.
const MAX_ATTEMPTS: usize = 3;

struct Waiting {
    prediction: NewPrediction,
    answer: oneshot::Sender<Outcome>,
}

/// The queue's entrance.
#[derive(Clone)]
pub(crate) struct Gather(mpsc::Sender<Waiting>);

/// The workers, to be spawned; each ends when the last [`Gather`] is gone.
pub(crate) type Gatherers = Vec<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Gather {
    pub(crate) fn new(db: Db, outbox: Outbox, clock: Clock) -> (Self, Gatherers) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        let gatherers = (0..GATHERERS).map(|_| {
            let worker = Worker {
                receiver: Arc::clone(&receiver),
                db: db.clone(),
                outbox: outbox.clone(),
                clock: clock.clone(),
            };
            Box::pin(worker.run()) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        (Self(sender), gatherers.collect())
    }

    /// Stores a prediction together with whatever else is waiting; answers after the commit.
    pub(crate) async fn record(&self, prediction: NewPrediction) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.0
            .try_send(Waiting { prediction, answer })
            .map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Busy)?
    }
}

struct Worker {
    receiver: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    db: Db,
    outbox: Outbox,
    clock: Clock,
}

impl Worker {
    async fn run(self) {
        let mut gathered = Vec::with_capacity(MAX_GATHERED);
        loop {
            // Held while waiting for work, not while working: the other worker takes over here.
            if self
                .receiver
                .lock()
                .await
                .recv_many(&mut gathered, MAX_GATHERED)
                .await
                == 0
            {
                return;
            }
            let (predictions, answers): (Vec<_>, Vec<_>) = gathered
                .drain(..)
                .map(|waiting| (waiting.prediction, waiting.answer))
                .unzip();
            match self.commit(&predictions).await {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // A caller that has gone away misses its answer; its prediction is stored all the same.
                        let _ = answer.send(outcome);
                    }
                }
                Err(error) => self.one_by_one(predictions, answers, error).await,
            }
        }
    }

    async fn commit(&self, predictions: &[NewPrediction]) -> Result<Vec<Outcome>, Error> {
        let mut attempt = 1;
        loop {
            match self.attempt(predictions).await {
                Err(Error::Db(db::Error::Serialization)) if attempt < MAX_ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    async fn attempt(&self, predictions: &[NewPrediction]) -> Result<Vec<Outcome>, Error> {
        let now = self.clock.fixed();
        let (tx, opened) = Opening::new(predictions, now).begin(&self.db).await?;
        let outcomes = record(&tx, &self.outbox, now, predictions, opened).await?;
        tx.commit().await?;
        Ok(outcomes)
    }

    /// What failed as a set is tried alone, so that nobody pays for a neighbour. While Postgres is away everybody
    /// is told so at once.
    async fn one_by_one(
        &self,
        predictions: Vec<NewPrediction>,
        answers: Vec<oneshot::Sender<Outcome>>,
        error: Error,
    ) {
        let away = matches!(&error, Error::Db(error) if error.is_unavailable());
        let alone = predictions.len() == 1;
        let mut error = Some(error);
        for (prediction, answer) in predictions.into_iter().zip(answers) {
            let outcome = if away || alone {
                Err(error.take().unwrap_or(Error::Busy))
            } else {
                let single = self.commit(std::slice::from_ref(&prediction)).await;
                single.and_then(|outcomes| outcomes.into_iter().next().unwrap_or(Err(Error::Busy)))
            };
            let _ = answer.send(outcome);
        }
    }
}
