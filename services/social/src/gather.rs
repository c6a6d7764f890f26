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
use web::Caller;

use crate::domain::prediction::NewPrediction;
use crate::error::Error;
use crate::ops::record::{Opening, Outcome, record};

/// Predictions that may wait; more are answered 503, which is kinder than a time-out.
const MAX_WAITING: usize = 1_024;
/// Predictions of one transaction.
const MAX_GATHERED: usize = 128;
/// Transactions at a time: one on its way through Postgres while the next is being read and locked.
const GATHERERS: usize = 2;

struct Waiting {
    prediction: NewPrediction,
    caller: Caller,
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
    pub(crate) async fn record(&self, caller: Caller, prediction: NewPrediction) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.0
            .try_send(Waiting {
                prediction,
                caller,
                answer,
            })
            .map_err(|_| Error::Busy)?;
        answered.await.map_err(|_| Error::Busy)?
    }
}

/// Predictions, each with who brought it at the same place.
#[derive(Default)]
struct Asked {
    predictions: Vec<NewPrediction>,
    callers: Vec<Caller>,
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
            let mut asked = Asked::default();
            let mut answers = Vec::with_capacity(gathered.len());
            for waiting in gathered.drain(..) {
                asked.predictions.push(waiting.prediction);
                asked.callers.push(waiting.caller);
                answers.push(waiting.answer);
            }
            match self.commit(&asked).await {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // A caller that has gone away misses its answer; its prediction is stored all the same.
                        let _ = answer.send(outcome);
                    }
                }
                Err(error) => self.one_by_one(asked, answers, error).await,
            }
        }
    }

    async fn commit(&self, asked: &Asked) -> Result<Vec<Outcome>, Error> {
        db::again(|| self.attempt(asked), Error::is_lost_race).await
    }

    async fn attempt(&self, asked: &Asked) -> Result<Vec<Outcome>, Error> {
        let now = self.clock.fixed();
        let given = asked.predictions.as_slice();
        let (tx, opened) = Opening::new(given, now).begin(&self.db).await?;
        let outcomes = record(&tx, &self.outbox, now, given, opened).await?;
        let stored = asked
            .callers
            .iter()
            .zip(&outcomes)
            .filter_map(|(caller, outcome)| {
                let recorded = outcome.as_ref().ok()?;
                Some((caller, vec![recorded.profile.user_id.clone()]))
            });
        web::audited_together(&tx, stored);
        tx.commit().await?;
        Ok(outcomes)
    }

    /// What failed as a set is tried alone, so that nobody pays for a neighbour. While Postgres is away everybody
    /// is told so at once.
    async fn one_by_one(&self, asked: Asked, answers: Vec<oneshot::Sender<Outcome>>, error: Error) {
        let away = matches!(&error, Error::Db(error) if error.is_unavailable());
        let alone = answers.len() == 1;
        let mut error = Some(error);
        let singles = asked.predictions.into_iter().zip(asked.callers);
        for ((prediction, caller), answer) in singles.zip(answers) {
            let outcome = if away || alone {
                Err(error.take().unwrap_or(Error::Busy))
            } else {
                let single = Asked {
                    predictions: vec![prediction],
                    callers: vec![caller],
                };
                let single = self.commit(&single).await;
                single.and_then(|outcomes| outcomes.into_iter().next().unwrap_or(Err(Error::Busy)))
            };
            let _ = answer.send(outcome);
        }
    }
}
