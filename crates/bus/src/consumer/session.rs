//! An open session with the broker: two subscriptions, and the failed events that wait to be sent back.

use std::time::Duration;

use futures::future::try_join_all;
use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
    QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use tokio::time::Instant;

use super::headers;
use crate::broker::in_time;
use crate::topology::{self, dead_queue, inbox_queue, short};
use crate::{Broker, Consumer, Error};

/// How many unacknowledged events the broker sends ahead: the next batch arrives while one is applied.
const PREFETCH_EVENTS: u16 = 200;

/// What a session has for its consumer.
pub(crate) enum Arrived {
    /// From the inbox, in order.
    Inbox(Vec<Delivery>),
    /// From the dead-letter queue.
    Dead(Vec<Delivery>),
    /// Nothing yet, but the time may have come to send failed events back.
    RetryDue,
}

/// A failed event, held unacknowledged until it goes back.
struct Waiting {
    due: Instant,
    delivery: Delivery,
}

/// Ends with its first error; dropping it returns everything unacknowledged to the broker.
pub(crate) struct Session {
    connection: Connection,
    inbox: Subscription,
    dead: Subscription,
    waiting: Vec<Waiting>,
    /// How many events were sent back and have not come again.
    returned: usize,
}

/// A channel with the one queue that is consumed over it.
struct Subscription {
    channel: Channel,
    stream: lapin::Consumer,
    ended: bool,
}

impl Session {
    pub(crate) async fn open(broker: &Broker, event_types: &[&str]) -> Result<Self, Error> {
        let service = broker.service();
        in_time(async {
            let connection = broker.connect("consumer").await?;
            let channel = connection.create_channel().await?;
            topology::declare_shared(&channel).await?;
            topology::declare_inbox(&channel, service, event_types).await?;
            // A channel of its own, so that a full inbox cannot use up the dead letters' prefetch.
            let dead_channel = connection.create_channel().await?;
            Ok(Self {
                connection,
                inbox: Subscription::open(channel, &inbox_queue(service)).await?,
                dead: Subscription::open(dead_channel, &dead_queue(service)).await?,
                waiting: Vec::new(),
                returned: 0,
            })
        })
        .await
    }

    /// Waits for something to do. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Arrived, Error> {
        let due = self.waiting.iter().map(|waiting| waiting.due).min();
        let retry = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            deliveries = self.inbox.batch() => {
                let deliveries = deliveries?.ok_or(Error::Ended)?;
                let back = deliveries.iter().filter(|delivery| headers::failures(delivery) > 0).count();
                self.returned = self.returned.saturating_sub(back);
                Ok(Arrived::Inbox(deliveries))
            }
            deliveries = self.dead.batch() => Ok(Arrived::Dead(deliveries?.ok_or(Error::Ended)?)),
            () = retry => Ok(Arrived::RetryDue),
        }
    }

    /// As [`Self::next`], or `None` when nothing waits here and nothing is ready at the broker. For the only
    /// consumer of a queue: an event that was sent back is expected to come again.
    pub(crate) async fn next_unless_drained(&mut self) -> Result<Option<Arrived>, Error> {
        // Asked twice: the broker may count an event as sent just before it sends it. By its second answer
        // that event is here.
        for _ in 0..2 {
            if let Some(arrived) = self.next().now_or_never() {
                return arrived.map(Some);
            }
            let expected = self.waiting.len() + self.returned;
            if expected > 0 || self.inbox.ready().await? + self.dead.ready().await? > 0 {
                return self.next().await.map(Some);
            }
        }
        self.next().now_or_never().transpose()
    }

    /// Asks the broker to send no more.
    pub(crate) async fn cancel(&self) -> Result<(), Error> {
        self.inbox.cancel().await?;
        self.dead.cancel().await
    }

    /// After [`Self::cancel`]: what the broker had already sent; `None` when all is taken.
    pub(crate) async fn received(&mut self) -> Result<Option<Arrived>, Error> {
        Ok(self.inbox.batch().await?.map(Arrived::Inbox))
    }

    pub(crate) async fn ack(&self, deliveries: &[Delivery]) -> Result<(), Error> {
        let acks = deliveries
            .iter()
            .map(|delivery| delivery.ack(BasicAckOptions::default()));
        // `false`: the channel has gone, and with it the right to acknowledge.
        if try_join_all(acks).await?.into_iter().all(|acked| acked) {
            Ok(())
        } else {
            Err(Error::Ended)
        }
    }

    /// Keeps a failed event back for a while, then returns it. At most the prefetch can wait here.
    pub(crate) fn retry_after(&mut self, delivery: Delivery, pause: Duration) {
        self.waiting.push(Waiting {
            due: Instant::now() + pause,
            delivery,
        });
    }

    /// Returns the failed events whose time has come.
    pub(crate) async fn return_due(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        for waiting in self.waiting.extract_if(.., |waiting| waiting.due <= now) {
            // Every version of the broker counts a `reject` as a failed delivery; newer ones do not count a `nack`.
            waiting
                .delivery
                .reject(BasicRejectOptions { requeue: true })
                .await?;
            self.returned += 1;
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), Error> {
        Ok(self.connection.close(200, "OK".into()).await?)
    }
}

impl Subscription {
    async fn open(channel: Channel, queue: &str) -> Result<Self, Error> {
        channel
            .basic_qos(PREFETCH_EVENTS, BasicQosOptions::default())
            .await?;
        let stream = channel
            .basic_consume(
                short(queue),
                ShortString::default(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(Self {
            channel,
            stream,
            ended: false,
        })
    }

    /// Waits for a delivery and takes those that have come behind it, up to a batch, without waiting for more.
    /// `None` at the end of the stream, which the driver tells only once.
    async fn batch(&mut self) -> Result<Option<Vec<Delivery>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let Some(first) = self.stream.next().await else {
            self.ended = true;
            return Ok(None);
        };
        let mut deliveries = vec![first?];
        while deliveries.len() < Consumer::BATCH_EVENTS_MAX {
            match self.stream.next().now_or_never() {
                Some(Some(delivery)) => deliveries.push(delivery?),
                Some(None) => {
                    self.ended = true;
                    break;
                }
                None => break,
            }
        }
        Ok(Some(deliveries))
    }

    /// How many events wait at the broker.
    async fn ready(&self) -> Result<u32, Error> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::durable()
        };
        let queue = self
            .channel
            .queue_declare(self.stream.queue(), passive, FieldTable::default())
            .await?;
        Ok(queue.message_count())
    }

    async fn cancel(&self) -> Result<(), Error> {
        let options = BasicCancelOptions::default();
        Ok(self.channel.basic_cancel(self.stream.tag(), options).await?)
    }
}
