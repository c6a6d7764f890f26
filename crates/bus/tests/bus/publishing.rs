//! The outbox and its relay.

use bus::{Drained, NewEvent, Relay};
use common::Event;
use lapin::options::QueueDeleteOptions;
use serde_json::json;
use tokio::sync::watch;

use crate::world::{RECORDED, Recorder, World, created, created_many, eventually};

/// Enough events that a cut falls among them.
const MANY: usize = 300;
/// Bytes of the first hundred events or so.
const AMONG_THEM: i64 = 50_000;

#[tokio::test]
async fn an_event_travels_as_a_cloud_event_in_structured_json() {
    let world = World::new().await;
    let watch = world.watch().await;
    let data = json!({"user_id": "client-1", "message_id": 7, "sentiment": -0.5});
    world
        .write(&[NewEvent::new(RECORDED, Some("client-1".into()), &data).unwrap()])
        .await;
    world.relay().tick().await.unwrap();

    let delivery = watch.next().await.unwrap();
    let properties = delivery.properties;
    assert_eq!(delivery.routing_key.as_str(), RECORDED);
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "application/cloudevents+json"
    );
    assert_eq!(*properties.delivery_mode(), Some(2));
    let envelope: serde_json::Value = serde_json::from_slice(&delivery.data).unwrap();
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), envelope["id"]);
    insta::assert_json_snapshot!(envelope, {".id" => "[id]", ".time" => "[time]", ".traceparent" => "[traceparent]"}, @r#"
    {
      "data": {
        "message_id": 7,
        "sentiment": -0.5,
        "user_id": "client-1"
      },
      "datacontenttype": "application/json",
      "dataschema": "urn:recoverly:event:social.prediction.recorded:1",
      "id": "[id]",
      "sequence": "1",
      "source": "/recoverly/social",
      "specversion": "1.0",
      "subject": "client-1",
      "time": "[time]",
      "traceparent": "[traceparent]",
      "type": "social.prediction.recorded"
    }
    "#);
}

#[tokio::test]
async fn an_event_is_marked_only_after_its_confirm() {
    let world = World::new().await;
    let watch = world.watch().await;
    let mut relay = world.relay();
    relay.tick().await.unwrap();
    world.write(&[created("client-1")]).await;

    world.to_broker.cut_after(0);
    relay.tick().await.unwrap_err();
    assert_eq!(world.count("outbox where published_at is not null").await, 0);
    assert_eq!(watch.count().await, 0);

    world.to_broker.up();
    assert_eq!(relay.tick().await.unwrap().published, 1);
    assert_eq!(world.count("outbox where published_at is not null").await, 1);
    assert_eq!(watch.count().await, 1);
}

#[tokio::test]
async fn a_connection_cut_mid_batch_loses_nothing() {
    let world = World::new().await;
    assert_eq!(applied_after_a_cut(&world, world.relay()).await, MANY);
    assert_eq!(
        world.count("effects").await,
        i64::try_from(MANY).unwrap(),
        "and none is applied twice"
    );
}

/// The negative control of the test above.
#[tokio::test]
async fn a_relay_that_marks_before_the_confirm_loses_events() {
    let world = World::new().await;
    let (broker, db) = (world.broker.clone(), world.db.clone());
    let relay = Relay::marking_before_confirm_for_negative_control(broker, db, &world.outbox);
    assert!(applied_after_a_cut(&world, relay).await < MANY);
}

async fn applied_after_a_cut(world: &World, mut relay: Relay) -> usize {
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    // The consumer's connection stays whole: it is opened before the bytes are counted.
    relay.tick().await.unwrap();
    world.write(&created_many(MANY)).await;
    world.to_broker.cut_after(AMONG_THEM);
    relay.tick().await.unwrap_err();
    world.to_broker.up();
    relay.drain().await.unwrap();
    consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    let rows = world
        .rows("select count(distinct event_id) as n from {s}.effects")
        .await;
    usize::try_from(rows[0].try_get::<_, i64>("n").unwrap()).unwrap()
}

#[tokio::test]
async fn an_unroutable_event_backs_off_and_the_others_flow() {
    let world = World::new().await;
    let watch = world.watch().await;
    let mut relay = world.relay();
    relay.tick().await.unwrap();
    // Unbound by hand, the alternate exchange has nowhere to put what nobody wants: a broken topology.
    let channel = world.channel().await;
    channel
        .queue_delete("watch".into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    channel
        .queue_delete("recoverly.unrouted".into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let nobodys = NewEvent::new("core.nothing.happened", None, &json!({})).unwrap();
    world
        .write(&[created("client-1"), nobodys, created("client-2")])
        .await;

    let drained = relay.tick().await.unwrap();
    assert_eq!(
        drained,
        Drained {
            published: 2,
            backed_off: 1
        }
    );
    let waiting = "outbox where published_at is null and claimed_until is null and next_attempt_at > now() \
                   and last_error like 'returned: 312%' and event_type = 'core.nothing.happened'";
    assert_eq!(world.count(waiting).await, 1);
    drop(watch);
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_kept_in_the_unrouted_queue() {
    let world = World::new().await;
    let mut relay = world.relay();
    world.write(&[created("client-1")]).await;
    assert_eq!(relay.tick().await.unwrap().published, 1);
    let channel = world.channel().await;
    let message = channel
        .basic_get("recoverly.unrouted".into(), Default::default())
        .await
        .unwrap();
    assert!(Event::decode(&message.unwrap().data).is_ok());
}

#[tokio::test]
async fn a_full_inbox_backs_its_events_off_and_the_others_flow() {
    let world = World::new().await;
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    drop(consumer);
    let mut relay = world.relay();
    world.shrink_the_inbox().await;
    // The bound is checked between batches, not within one, and the policy takes effect after a moment.
    let mut written = 0;
    loop {
        world
            .write(&[
                created("client-1"),
                NewEvent::new("core.else", None, &json!({})).unwrap(),
            ])
            .await;
        written += 1;
        if relay.tick().await.unwrap()
            == (Drained {
                published: 1,
                backed_off: 1,
            })
        {
            break;
        }
        assert!(written < 1_000, "the inbox is never full");
    }
    let waiting = "outbox where published_at is null and event_type = 'core.user.created' \
                   and next_attempt_at > now() and last_error like 'refused%'";
    assert_eq!(world.count(waiting).await, 1);

    world.consumer(&Recorder::default()).drain().await.unwrap();
    world.rows("update {s}.outbox set next_attempt_at = now()").await;
    assert_eq!(relay.drain().await.unwrap().published, 1);
    world.consumer(&Recorder::default()).drain().await.unwrap();
    assert_eq!(world.count("effects").await, written);
}

#[tokio::test]
async fn a_second_relay_publishes_nothing_twice() {
    let world = World::new().await;
    let watch = world.watch().await;
    let (mut first, mut second) = (world.relay(), world.relay());
    world.write(&created_many(MANY)).await;
    let (one, other) = tokio::join!(first.drain(), second.drain());
    assert_eq!(one.unwrap().published + other.unwrap().published, MANY);
    assert_eq!(watch.count().await, MANY);
}

#[tokio::test]
async fn writes_go_on_while_the_broker_is_away_and_are_published_when_it_is_back() {
    let world = World::new().await;
    let watch = world.watch().await;
    let (stop, stopping) = watch::channel(false);
    let relay = world.relay();
    let health = relay.health();
    let running = tokio::spawn(relay.run(stopping));
    eventually(async || health.connected()).await;

    world.to_broker.down();
    world.write(&created_many(10)).await;
    eventually(async || !health.connected() && world.to_broker.refused() > 2).await;
    world.write(&created_many(10)).await;
    assert_eq!(world.count("outbox where published_at is null").await, 20);

    world.to_broker.up();
    world.until(20, "outbox where published_at is not null").await;
    assert!(watch.count().await >= 20);
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn a_stopping_relay_empties_the_outbox_first() {
    let world = World::new().await;
    let watch = world.watch().await;
    let (stop, stopping) = watch::channel(false);
    world.write(&created_many(MANY * 2)).await;
    stop.send(true).unwrap();
    world.relay().run(stopping).await;
    assert_eq!(watch.count().await, MANY * 2);
    assert_eq!(world.count("outbox where published_at is null").await, 0);
}
