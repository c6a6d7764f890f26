//! Hashing passwords: off the threads that serve, a few at a time, and with an end to the queue.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use web::Problem;

use crate::domain::password_hash::{self, Verdict};
use crate::error::Error;

/// Hashes at work. Each takes a core for some hundredths of a second, and 19 MiB.
const MAX_AT_WORK: usize = 4;
/// Requests that wait for one, at most; whoever comes next is sent away.
const MAX_WAITING: usize = 64;

/// The way to a password's hash. Cloning is cheap and shares the bounds.
#[derive(Clone)]
pub(crate) struct Hasher {
    places: Arc<Semaphore>,
    at_work: Arc<Semaphore>,
}

/// A place in the queue, for as many hashes as its request needs, one after the other.
pub(crate) struct Place {
    at_work: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_AT_WORK + MAX_WAITING)),
            at_work: Arc::new(Semaphore::new(MAX_AT_WORK)),
        }
    }

    /// Takes a place. To be done before an attempt is counted: who is sent away has not failed.
    ///
    /// # Errors
    /// [`Error::Busy`] where the queue is full.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        Ok(Place {
            at_work: Arc::clone(&self.at_work),
            _place: place.map_err(|_| Error::Busy)?,
        })
    }
}

impl Place {
    /// Compares a password with a stored hash; where there is none, at the same cost with nobody's.
    ///
    /// # Errors
    /// When the thread that hashes dies.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Result<Verdict, Error> {
        let (password, stored) = (password.clone(), stored.map(str::to_owned));
        self.run(move || match &stored {
            Some(stored) => password_hash::verify(password.expose_secret(), stored),
            None => {
                password_hash::verify(password.expose_secret(), password_hash::NOBODY);
                Verdict::Wrong
            }
        })
        .await
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// When the thread that hashes dies.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, Error> {
        let (password, salt) = (password.clone(), rand::random());
        let hashed = self
            .run(move || password_hash::hash(password.expose_secret(), salt))
            .await?;
        Ok(hashed.map_err(Problem::internal)?)
    }

    /// The permit goes with the work: what nobody waits for any more still has its core until it is done.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let permit = Arc::clone(&self.at_work)
            .acquire_owned()
            .await
            .map_err(Problem::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        Ok(done.await.map_err(Problem::internal)?)
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_queue_has_an_end_and_a_place_comes_back() {
        let hasher = Hasher::new();
        let mut places: Vec<Place> = (0..MAX_AT_WORK + MAX_WAITING)
            .map(|_| hasher.place().expect("a place"))
            .collect();
        let refused = hasher.place().err().expect("a refusal").problem();
        assert_eq!(refused.code(), web::Code::Unavailable);
        places.pop();
        let place = hasher.place().expect("a place");
        let password = SecretString::from("a pin by the sea");
        let stored = place.hash(&password).await.expect("a hash");
        let verified = place.verify(&password, Some(&stored)).await.expect("a verdict");
        assert_eq!(verified, Verdict::Right);
        let nobody = place.verify(&password, None).await.expect("a verdict");
        assert_eq!(nobody, Verdict::Wrong);
    }

    fn resident_mib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
    }

    #[tokio::test]
    async fn a_burst_of_hashes_leaves_no_memory_behind() {
        let hasher = Hasher::new();
        let before = resident_mib();
        for _ in 0..4 {
            let burst = (0..MAX_AT_WORK).map(|_| async {
                let place = hasher.place().expect("a place");
                place.hash(&SecretString::from("a pin by the sea")).await
            });
            for hashed in futures::future::join_all(burst).await {
                hashed.expect("a hash");
            }
        }
        let after = resident_mib();
        assert!(after < before + 30, "{before} MiB before, {after} MiB after");
    }
}
