//! The inbox and its consumer.

use std::sync::atomic::Ordering;

use common::Event;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::world::{CREATED, RECORDED, Recorder, World, created, created_many, eventually, poison};

fn event(event_type: &str) -> Event {
    Event {
        id: Uuid::now_v7(),
        source: "/recoverly/core".into(),
        event_type: event_type.into(),
        subject: None,
        time: chrono::DateTime::UNIX_EPOCH,
        dataschema: None,
        sequence: None,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        data: json!({}),
    }
}

#[tokio::test]
async fn an_event_delivered_again_is_applied_once() {
    let world = World::new().await;
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    let body = event(CREATED).encode();
    for _ in 0..3 {
        world.publish(&body).await;
    }
    consumer.drain().await.unwrap();
    world.publish(&body).await;
    consumer.drain().await.unwrap();
    assert_eq!(world.count("effects").await, 1);
    assert_eq!(world.count("inbox where consumer = 'social'").await, 1);
}

#[tokio::test]
async fn a_batch_is_applied_whole_and_only_its_new_events() {
    let world = World::new().await;
    let consumer = world.consumer(&Recorder::default());
    let known = event(CREATED);
    assert_eq!(
        consumer.apply_events(std::slice::from_ref(&known)).await.unwrap(),
        1
    );
    let batch = [event(RECORDED), known, event(CREATED), event("core.nobody.cares")];
    assert_eq!(consumer.apply_events(&batch).await.unwrap(), 2);
    assert_eq!(world.count("effects").await, 3);

    let mut bad = event(RECORDED);
    bad.data = json!({"poison": true});
    consumer.apply_events(&[event(CREATED), bad]).await.unwrap_err();
    assert_eq!(world.count("effects").await, 3);
    assert_eq!(world.count("inbox").await, 3);
}

#[tokio::test]
async fn unknown_fields_and_types_are_ignored() {
    let world = World::new().await;
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    let mut envelope: serde_json::Value = serde_json::from_slice(&event(CREATED).encode()).unwrap();
    envelope["someday"] = json!({"more": 1});
    envelope["data"]["new_field"] = json!(true);
    world.publish(envelope.to_string().as_bytes()).await;
    world.publish(&event("core.someday.happened").encode()).await;
    consumer.drain().await.unwrap();
    assert_eq!(world.count("effects").await, 1);
    assert_eq!(world.count("dead_letters").await, 0);
}

#[tokio::test]
async fn poison_is_a_dead_letter_after_five_tries_and_its_neighbours_flow() {
    let world = World::new().await;
    let recorder = Recorder::default();
    let mut consumer = world.consumer(&recorder);
    consumer.drain().await.unwrap();
    let mut events = created_many(20);
    events.insert(10, poison());
    world.write(&events).await;
    world.relay().drain().await.unwrap();
    consumer.drain().await.unwrap();

    assert_eq!(world.count("effects").await, 20);
    assert_eq!(recorder.poison_tries.load(Ordering::SeqCst), 5);
    assert_eq!(
        world
            .count("dead_letters where reason = 'no such rule' and attempts = 5")
            .await,
        1
    );
    assert_eq!(
        world.count("inbox").await,
        20,
        "a dead letter is not counted as applied"
    );
}

#[tokio::test]
async fn an_event_that_is_always_cut_off_does_not_hold_up_the_others() {
    let world = World::new().await;
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    let mut slow = created("client-0");
    slow.data = json!({"slow": true});
    world.write(&[slow, created("client-1")]).await;
    world.relay().drain().await.unwrap();
    consumer.drain().await.unwrap();
    assert_eq!(world.count("effects").await, 1);
    assert_eq!(
        world
            .count("dead_letters where reason like '%statement timeout'")
            .await,
        1
    );
}

#[tokio::test]
async fn postgres_away_costs_no_delivery() {
    let world = World::new().await;
    let recorder = Recorder::default();
    world.consumer(&recorder).drain().await.unwrap();
    world.write(&created_many(3)).await;
    world.relay().drain().await.unwrap();

    world.to_postgres.down();
    let (stop, stopping) = watch::channel(false);
    let consumer = world.consumer(&recorder);
    let health = consumer.health();
    let running = tokio::spawn(consumer.run(stopping));
    // More failures than the broker would forgive.
    eventually(async || world.to_postgres.refused() > 10 && health.connected()).await;
    world.to_postgres.up();
    world.until(3, "effects").await;
    assert_eq!(world.count("dead_letters").await, 0);
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn the_broker_away_is_no_loss_to_the_consumer() {
    let world = World::new().await;
    let (stop, stopping) = watch::channel(false);
    let consumer = world.consumer(&Recorder::default());
    let health = consumer.health();
    let running = tokio::spawn(consumer.run(stopping));
    eventually(async || health.connected()).await;
    for round in 1..=3 {
        world.to_broker.down();
        eventually(async || !health.connected()).await;
        world.write(&created_many(50)).await;
        world.to_broker.up();
        world.relay().drain().await.unwrap();
        world.until(50 * round, "effects").await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(world.count("inbox").await, 150);
}

#[tokio::test]
async fn a_stopping_consumer_acknowledges_nothing_it_did_not_apply() {
    let world = World::new().await;
    world.consumer(&Recorder::default()).drain().await.unwrap();
    world.write(&created_many(500)).await;
    world.relay().drain().await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(world.consumer(&Recorder::default()).run(stopping));
    eventually(async || world.count("effects").await > 0).await;
    stop.send(true).unwrap();
    running.await.unwrap();

    world.consumer(&Recorder::default()).drain().await.unwrap();
    assert_eq!(world.count("effects").await, 500);
    assert_eq!(world.count("inbox").await, 500);
}

#[tokio::test]
async fn the_trace_of_the_writer_travels_with_the_event() {
    let world = World::new().await;
    let watch = world.watch().await;
    world.write(&[created("client-1")]).await;
    world
        .rows("update {s}.outbox set traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'")
        .await;
    world.relay().drain().await.unwrap();
    let event = Event::decode(&watch.next().await.unwrap().data).unwrap();
    assert_eq!(
        event.traceparent.as_deref(),
        Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    );
}
