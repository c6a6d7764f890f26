//! A connection that publishes, and the broker's answer to each event.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::time::{Instant, timeout_at};

use super::ledger::Claim;
use crate::broker::in_time;
use crate::topology::{self, EVENTS_EXCHANGE, short};
use crate::{Broker, Error};

/// How long a round waits for its confirms; well within a claim, so that nobody else publishes meanwhile.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// CloudEvents, one event, attributes and data in one JSON object.
const CONTENT_TYPE: &str = "application/cloudevents+json";
/// Written to disk before it is confirmed.
const PERSISTENT: u8 = 2;

/// What became of one published event.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The broker has it, on disk, in every queue that wants it.
    Confirmed,
    /// It had no way to any queue, not even to the unrouted one.
    Returned(String),
    /// A queue did not take it, because it is full.
    Refused,
    /// The connection broke, or the time was up, before an answer came.
    Unknown(Error),
}

/// An open session that confirms what it takes.
pub(crate) struct Publisher {
    connection: Connection,
    channel: Channel,
}

impl Publisher {
    pub(crate) async fn open(broker: &Broker) -> Result<Self, Error> {
        in_time(async {
            let connection = broker.connect("relay").await?;
            let channel = connection.create_channel().await?;
            topology::declare_shared(&channel).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        })
        .await
    }

    /// # Errors
    /// When the session has ended, or the broker has asked publishers to wait.
    pub(crate) fn ensure_usable(&self) -> Result<(), Error> {
        if !self.channel.status().connected() {
            return Err(Error::Ended);
        }
        if self.connection.status().blocked() {
            return Err(Error::Blocked);
        }
        Ok(())
    }

    /// Sends all events and gathers all answers; one outcome for each event, in their order.
    pub(crate) async fn publish(&self, service: &str, claims: &[Claim]) -> Vec<Outcome> {
        let deadline = Instant::now() + CONFIRM_TIMEOUT;
        let answers = join_all(claims.iter().map(|claim| async move {
            timeout_at(deadline, self.publish_one(service, claim))
                .await
                .unwrap_or(Err(Error::Timeout(CONFIRM_TIMEOUT)))
        }))
        .await;
        attribute(claims, answers)
    }

    async fn publish_one(&self, service: &str, claim: &Claim) -> Result<Confirmation, Error> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(short(&claim.event_id.to_string()))
            .with_type(short(&claim.event_type));
        let confirm = self
            .channel
            .basic_publish(
                EVENTS_EXCHANGE.into(),
                short(&claim.event_type),
                options,
                &claim.encode(service),
                properties,
            )
            .await?;
        Ok(confirm.await?)
    }

    pub(crate) async fn close(self) {
        // Nothing is lost without the handshake; it only spares the broker a warning.
        drop(tokio::time::timeout(CLOSE_TIMEOUT, self.connection.close(200, "OK".into())).await);
    }
}

/// Tells which events were returned.
///
/// The driver hands a returned message to whichever confirm it resolves next, which need not be its own: it
/// is matched by message id here. All returns are known once all confirms are in, since the broker sends each
/// return before its confirm. If some confirms are missing, a return may be missing too; then one seen return
/// makes every outcome unknown, and the events are published again.
fn attribute(claims: &[Claim], answers: Vec<Result<Confirmation, Error>>) -> Vec<Outcome> {
    let complete = answers.iter().all(Result::is_ok);
    let mut returned: HashMap<String, String> = HashMap::new();
    let mut outcomes = Vec::with_capacity(answers.len());
    for answer in answers {
        let (outcome, message) = match answer {
            Ok(Confirmation::Ack(message)) => (Outcome::Confirmed, message),
            Ok(Confirmation::Nack(message)) => (Outcome::Refused, message),
            // Only on a channel without confirms, and ours is opened with them.
            Ok(Confirmation::NotRequested) => (Outcome::Unknown(Error::Ended), None),
            Err(error) => (Outcome::Unknown(error), None),
        };
        outcomes.push(outcome);
        if let Some(message) = message {
            let id = message.properties.message_id().as_ref();
            returned.insert(
                id.map(ToString::to_string).unwrap_or_default(),
                format!("{} {}", message.reply_code, message.reply_text),
            );
        }
    }
    if returned.is_empty() {
        return outcomes;
    }
    if !complete {
        return claims.iter().map(|_| Outcome::Unknown(Error::Ended)).collect();
    }
    claims
        .iter()
        .zip(outcomes)
        .map(
            |(claim, outcome)| match returned.remove(&claim.event_id.to_string()) {
                Some(reason) => Outcome::Returned(reason),
                None => outcome,
            },
        )
        .collect()
}
