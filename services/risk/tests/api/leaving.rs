//! `core.user.erased`.

use chrono::Utc;
use common::contracts::{MessageCreated, UserErased};
use common::{ConversationType, SenderRole};

use crate::world::{World, event};

/// What somebody who has no account any more left behind, and what is still on its way.
#[tokio::test]
async fn what_is_left_of_somebody_is_swept_and_what_comes_late_is_applied_to_nothing() {
    let world = World::new().await;
    let row = |user_id: &str| {
        format!(
            "insert into risk.outbox (event_id, event_type, subject, data)
             values (gen_random_uuid(), 'risk.test.happened', '{user_id}', '{{}}');
             insert into risk.idempotency_keys (principal, key, request_hash, people)
             values ('staff:s1', '{user_id}', '', array['s1', '{user_id}']);"
        )
    };
    let superuser = world.database.superuser().await;
    superuser.run(&(row("gone") + &row("client-a"))).await;
    let late = &MessageCreated {
        message_id: 1,
        user_id: "gone".to_owned(),
        timestamp: Utc::now(),
        conversation_type: ConversationType::Buddy,
        sender_role: SenderRole::User,
    };
    let erased = |user_id: &str| {
        event(&UserErased {
            user_id: user_id.to_owned(),
            erased_at: Utc::now(),
        })
    };
    // The last one has an account again by now.
    let heard = [erased("gone"), event(late), erased("client-a")];
    assert_eq!(world.deliver(&heard).await, 3);
    for (table, column) in [("outbox", "subject"), ("idempotency_keys", "key")] {
        let rows = world
            .database
            .query(&format!("select {column} as who from risk.{table}"))
            .await;
        let left: Vec<&str> = rows.iter().map(|row| row.get("who")).collect();
        assert_eq!(left, ["client-a"], "{table}");
    }
    assert_eq!(
        world
            .database
            .count("select count(*) from risk.daily_engagement")
            .await,
        0
    );
}
