//! Which code applies which event type.

use std::error::Error as StdError;

use common::Event;
use db::Tx;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use crate::EncodeError;

/// Applies events of one type inside the consumer's transaction.
///
/// Gets events that this service has not applied before, in the order of their arrival, at most
/// [`crate::Consumer::BATCH_EVENTS_MAX`] at a time, so that it can write them by one statement. It assumes no
/// order between types or users, sends nothing anywhere and neither commits nor rolls back.
pub trait Handler: Send + Sync {
    /// # Errors
    /// Nothing of the batch is then kept. Its events are applied again, one by one.
    fn apply<'a>(&'a self, tx: &'a Tx, events: &'a [Event]) -> BoxFuture<'a, Result<(), HandleError>>;
}

/// Why events could not be applied. Its text is kept with the dead letter: it must not quote the event.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Postgres is away or refused.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The data is not what its type promises.
    #[error(transparent)]
    Decode(#[from] common::DecodeError),
    /// An event that follows from this one could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The service's own reason.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl HandleError {
    /// Wraps the service's own error, or a sentence. A [`db::Error`] among its sources still counts as one.
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Whether the same events may be applied when tried again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database(error) => error.is_retryable(),
            Self::Decode(_) | Self::Encode(_) => false,
            Self::Other(error) => {
                let first: &(dyn StdError + 'static) = error.as_ref();
                std::iter::successors(Some(first), |&error| error.source())
                    .filter_map(|error| error.downcast_ref::<db::Error>())
                    .any(db::Error::is_retryable)
            }
        }
    }
}

/// The table of a service's handlers; its inbox is bound to exactly these types.
///
/// Events of one batch are applied type by type in the order of the table.
#[derive(Default)]
pub struct Handlers(Vec<(&'static str, Box<dyn Handler>)>);

impl Handlers {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler: a plain `async fn(&Tx, &[Event])`, one with state made by [`with`], or any [`Handler`].
    #[must_use]
    pub fn on(mut self, event_type: &'static str, handler: impl Handler + 'static) -> Self {
        self.0.push((event_type, Box::new(handler)));
        self
    }

    pub(crate) fn types(&self) -> Vec<&'static str> {
        self.0.iter().map(|(event_type, _)| *event_type).collect()
    }

    pub(crate) fn handles(&self, event_type: &str) -> bool {
        self.0.iter().any(|(handled, _)| *handled == event_type)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &dyn Handler)> {
        self.0
            .iter()
            .map(|(event_type, handler)| (*event_type, handler.as_ref()))
    }
}

/// A plain async function as a [`Handler`]. The helper trait names the future's type for each lifetime, which
/// a bound on the function alone cannot.
pub trait HandlerFn<'a>: Fn(&'a Tx, &'a [Event]) -> Self::Applying {
    /// The future it returns.
    type Applying: Future<Output = Result<(), HandleError>> + Send + 'a;
}

impl<'a, F, A> HandlerFn<'a> for F
where
    F: Fn(&'a Tx, &'a [Event]) -> A,
    A: Future<Output = Result<(), HandleError>> + Send + 'a,
{
    type Applying = A;
}

impl<F> Handler for F
where
    F: for<'a> HandlerFn<'a> + Send + Sync,
{
    fn apply<'a>(&'a self, tx: &'a Tx, events: &'a [Event]) -> BoxFuture<'a, Result<(), HandleError>> {
        Box::pin(self(tx, events))
    }
}

/// As [`HandlerFn`], for functions that take state first.
pub trait StatefulFn<'a, S: 'a>: Fn(&'a S, &'a Tx, &'a [Event]) -> Self::Applying {
    /// The future it returns.
    type Applying: Future<Output = Result<(), HandleError>> + Send + 'a;
}

impl<'a, S: 'a, F, A> StatefulFn<'a, S> for F
where
    F: Fn(&'a S, &'a Tx, &'a [Event]) -> A,
    A: Future<Output = Result<(), HandleError>> + Send + 'a,
{
    type Applying = A;
}

struct Stateful<S, F> {
    state: S,
    function: F,
}

impl<S, F> Handler for Stateful<S, F>
where
    S: Send + Sync + 'static,
    F: for<'a> StatefulFn<'a, S> + Send + Sync,
{
    fn apply<'a>(&'a self, tx: &'a Tx, events: &'a [Event]) -> BoxFuture<'a, Result<(), HandleError>> {
        Box::pin((self.function)(&self.state, tx, events))
    }
}

/// Gives a handler its state: `with(rules.clone(), users::created)` calls
/// `async fn created(rules: &Rules, tx: &Tx, events: &[Event]) -> Result<(), HandleError>`.
pub fn with<S, F>(state: S, function: F) -> impl Handler + 'static
where
    S: Send + Sync + 'static,
    F: for<'a> StatefulFn<'a, S> + Send + Sync + 'static,
{
    Stateful { state, function }
}

/// The data of events of one type, by their contract, of which some have several types.
///
/// # Errors
/// When an event lacks a field of the contract, which no retry will mend.
pub fn read<T: DeserializeOwned>(events: &[Event]) -> Result<Vec<T>, HandleError> {
    Ok(events.iter().map(Event::data).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn plain(_: &Tx, _: &[Event]) -> Result<(), HandleError> {
        Ok(())
    }

    async fn with_state(_: &String, _: &Tx, _: &[Event]) -> Result<(), HandleError> {
        Ok(())
    }

    #[derive(Debug, thiserror::Error)]
    #[error("a service's own error")]
    struct Own(#[source] db::Error);

    #[test]
    fn handlers_are_plain_functions_with_or_without_state() {
        let handlers = Handlers::new()
            .on("a.b.c", plain)
            .on("a.b.d", with("state".to_owned(), with_state));
        assert_eq!(handlers.types(), ["a.b.c", "a.b.d"]);
        assert!(handlers.handles("a.b.d") && !handlers.handles("a.b.e"));
    }

    #[test]
    fn postgres_away_is_seen_through_a_service_s_own_error() {
        let away = || db::Error::Unavailable("no connection".to_owned());
        assert!(HandleError::from(away()).is_retryable());
        assert!(HandleError::other(Own(away())).is_retryable());
        assert!(!HandleError::other(Own(db::Error::Row("shape".to_owned()))).is_retryable());
        assert!(!HandleError::other("no such rule").is_retryable());
    }
}
