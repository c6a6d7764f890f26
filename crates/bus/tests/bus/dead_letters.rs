//! What could not be applied, and how it comes back.

use std::sync::atomic::Ordering;

use bus::dead::{self, Redrive};
use bus::topology::{dead_queue, inbox_queue};
use bus::{Redriven, topology};
use lapin::Channel;
use lapin::options::{BasicGetOptions, BasicRejectOptions};

use crate::world::{CREATED, RECORDED, Recorder, World, created, eventually, poison};

/// Takes the one event of a queue and sends it back, `times` over, as a process does that dies of it.
async fn send_back(channel: &Channel, queue: &str, times: usize) {
    for _ in 0..times {
        let queue = queue.into();
        let message = channel
            .basic_get(queue, BasicGetOptions::default())
            .await
            .unwrap()
            .unwrap();
        message
            .reject(BasicRejectOptions { requeue: true })
            .await
            .unwrap();
    }
}

async fn wait_for_the_dead_queue(channel: &Channel) {
    eventually(async || {
        let options = lapin::options::QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let name = dead_queue("social").as_str().into();
        channel
            .queue_declare(name, options, Default::default())
            .await
            .unwrap()
            .message_count()
            > 0
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_at_once_with_its_reason_and_body() {
    let world = World::new().await;
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    world.publish(b"\xff not json \0").await;
    world.publish(br#"{"specversion": "0.3"}"#).await;
    consumer.drain().await.unwrap();

    let letters = dead::list(&world.db, 10, None).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(
        letters
            .iter()
            .all(|letter| letter.attempts == 1 && letter.event_id.is_none())
    );
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason.starts_with("not an event: "))
    );
    assert_eq!(
        world
            .count(r"dead_letters where body = '\xff206e6f74206a736f6e2000'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_redriven_letter_is_applied_once_and_marked() {
    let world = World::new().await;
    let recorder = Recorder::default();
    let mut consumer = world.consumer(&recorder);
    consumer.drain().await.unwrap();
    world.write(&[poison()]).await;
    world.relay().drain().await.unwrap();
    consumer.drain().await.unwrap();
    let letter = dead::list(&world.db, 10, None).await.unwrap().remove(0);
    // All that follows needs no broker.
    world.to_broker.down();
    assert_eq!(
        consumer.redrive_tick().await.unwrap(),
        Redriven::default(),
        "nobody has asked"
    );

    assert_eq!(request(&world, letter.id).await, Redrive::Requested);
    assert_eq!(
        consumer.redrive_tick().await.unwrap(),
        Redriven {
            applied: 0,
            failed: 1
        }
    );
    let failed = dead::list(&world.db, 10, None).await.unwrap().remove(0);
    assert_eq!(
        (failed.attempts, failed.redrive_requested_at),
        (letter.attempts + 1, None)
    );

    recorder.cured.store(1, Ordering::SeqCst);
    assert_eq!(request(&world, letter.id).await, Redrive::Requested);
    assert_eq!(
        consumer.redrive_tick().await.unwrap(),
        Redriven {
            applied: 1,
            failed: 0
        }
    );
    assert_eq!(consumer.redrive_tick().await.unwrap(), Redriven::default());
    assert_eq!(request(&world, letter.id).await, Redrive::AlreadyRedriven);
    assert_eq!(request(&world, -1).await, Redrive::NotFound);
    assert_eq!(world.count("effects").await, 1);
    assert_eq!(world.count("inbox").await, 1);
    assert_eq!(world.count("dead_letters where redriven_at is not null").await, 1);
}

async fn request(world: &World, id: i64) -> Redrive {
    let tx = world.db.begin_worker().await.unwrap();
    let answer = dead::request_redrive(&tx, id).await.unwrap();
    tx.commit().await.unwrap();
    answer
}

#[tokio::test]
async fn what_the_broker_gave_up_is_tried_once_more_and_then_a_dead_letter() {
    let world = World::new().await;
    topology::declare_for(&world.broker, &[CREATED, RECORDED])
        .await
        .unwrap();
    world.write(&[poison()]).await;
    world.relay().drain().await.unwrap();
    let channel = world.channel().await;
    send_back(&channel, &inbox_queue("social"), 6).await;
    wait_for_the_dead_queue(&channel).await;

    let recorder = Recorder::default();
    world.consumer(&recorder).drain().await.unwrap();
    assert_eq!(recorder.poison_tries.load(Ordering::SeqCst), 1);
    let letter = dead::list(&world.db, 10, None).await.unwrap().remove(0);
    assert_eq!(
        letter.reason,
        "given up by the broker: delivery_limit; then: no such rule"
    );
    assert_eq!(letter.event_type.as_deref(), Some(CREATED));
}

#[tokio::test]
async fn what_killed_the_process_even_then_is_not_tried_again() {
    let world = World::new().await;
    topology::declare_for(&world.broker, &[CREATED, RECORDED])
        .await
        .unwrap();
    world.write(&[poison()]).await;
    world.relay().drain().await.unwrap();
    let channel = world.channel().await;
    send_back(&channel, &inbox_queue("social"), 6).await;
    wait_for_the_dead_queue(&channel).await;
    send_back(&channel, &dead_queue("social"), 1).await;
    wait_for_the_dead_queue(&channel).await;

    let recorder = Recorder::default();
    world.consumer(&recorder).drain().await.unwrap();
    assert_eq!(recorder.poison_tries.load(Ordering::SeqCst), 0);
    let letter = dead::list(&world.db, 10, None).await.unwrap().remove(0);
    assert_eq!(letter.reason, "given up by the broker: delivery_limit");
}

#[tokio::test]
async fn an_innocent_event_that_the_broker_gave_up_is_applied() {
    let world = World::new().await;
    topology::declare_for(&world.broker, &[CREATED, RECORDED])
        .await
        .unwrap();
    world.write(&[created("client-1")]).await;
    world.relay().drain().await.unwrap();
    let channel = world.channel().await;
    send_back(&channel, &inbox_queue("social"), 6).await;
    wait_for_the_dead_queue(&channel).await;

    world.consumer(&Recorder::default()).drain().await.unwrap();
    assert_eq!(world.count("effects").await, 1);
    assert_eq!(world.count("dead_letters").await, 0);
}

#[tokio::test]
async fn letters_are_listed_newest_first_in_pages() {
    let world = World::new().await;
    let mut consumer = world.consumer(&Recorder::default());
    consumer.drain().await.unwrap();
    for n in 0..5 {
        world.publish(format!("letter {n}").as_bytes()).await;
        consumer.drain().await.unwrap();
    }
    let first = dead::list(&world.db, 3, None).await.unwrap();
    let rest = dead::list(&world.db, 3, first.last().map(|letter| letter.id))
        .await
        .unwrap();
    let ids: Vec<i64> = first.iter().chain(&rest).map(|letter| letter.id).collect();
    assert_eq!((first.len(), rest.len()), (3, 2));
    assert!(ids.is_sorted_by(|a, b| a > b));
    assert_eq!(dead::list(&world.db, -1, None).await.unwrap().len(), 1);
}
