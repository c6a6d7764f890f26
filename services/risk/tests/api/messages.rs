//! `core.message.created`.

use common::contracts::MessageCreated;
use common::{ConversationType, Event, SenderRole};
use testkit::{Follower, event};

use crate::started;

fn message(user_id: &str, sender_role: SenderRole, timestamp: &str) -> Event {
    event(&MessageCreated {
        message_id: 1,
        user_id: user_id.to_owned(),
        timestamp: timestamp.parse().unwrap(),
        conversation_type: ConversationType::Buddy,
        sender_role,
    })
}

pub(crate) fn own(user_id: &str, timestamp: &str) -> Event {
    message(user_id, SenderRole::User, timestamp)
}

/// Client, day, messages, time of the last one.
async fn engagement(service: &Follower) -> Vec<String> {
    let sql = "select format('%s %s %s %s', user_id, day, messages, (last_message_at at time zone 'UTC')::time) as line
        from risk.daily_engagement order by user_id, day";
    service.lines(sql).await
}

#[tokio::test]
async fn a_message_delivered_twice_is_counted_once() {
    let service = started().await;
    let once = own("client-a", "2026-03-01T08:00:00Z");
    assert_eq!(service.deliver(std::slice::from_ref(&once)).await, 1);
    assert_eq!(service.deliver(std::slice::from_ref(&once)).await, 0);
    assert_eq!(
        service
            .deliver(&[once, own("client-a", "2026-03-01T09:00:00Z")])
            .await,
        1
    );
    assert_eq!(engagement(&service).await, ["client-a 2026-03-01 2 09:00:00"]);
}

#[tokio::test]
async fn messages_count_on_their_day_in_utc_for_their_client() {
    let service = started().await;
    let batch = [
        own("client-b", "2026-03-01T12:00:00Z"),
        own("client-a", "2026-03-01T23:59:59Z"),
        own("client-a", "2026-03-01T23:30:00-05:00"),
        own("client-a", "2026-03-02T00:00:00Z"),
    ];
    service.deliver(&batch).await;
    let expected = [
        "client-a 2026-03-01 1 23:59:59",
        "client-a 2026-03-02 2 04:30:00",
        "client-b 2026-03-01 1 12:00:00",
    ];
    assert_eq!(engagement(&service).await, expected);
}

#[tokio::test]
async fn a_late_message_counts_without_moving_the_last_one_back() {
    let service = started().await;
    service.deliver(&[own("client-a", "2026-03-01T12:00:00Z")]).await;
    service.deliver(&[own("client-a", "2026-03-01T07:00:00Z")]).await;
    assert_eq!(engagement(&service).await, ["client-a 2026-03-01 2 12:00:00"]);
}

#[tokio::test]
async fn what_staff_and_the_companion_write_does_not_count() {
    let service = started().await;
    let batch = [
        message("client-a", SenderRole::Staff, "2026-03-01T08:00:00Z"),
        message("client-a", SenderRole::Assistant, "2026-03-01T09:00:00Z"),
    ];
    assert_eq!(service.deliver(&batch).await, 2);
    assert!(engagement(&service).await.is_empty());
}

#[tokio::test]
async fn a_message_of_an_erased_client_is_skipped_and_its_neighbour_counted() {
    let service = started().await;
    let batch = [
        own("gone", "2026-03-01T08:00:00Z"),
        own("client-a", "2026-03-01T08:00:00Z"),
    ];
    assert_eq!(service.deliver(&batch).await, 2);
    assert_eq!(engagement(&service).await, ["client-a 2026-03-01 1 08:00:00"]);
}
