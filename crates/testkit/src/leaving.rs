//! What a service that follows `core.user.erased` does about somebody who has no account any more.

use chrono::Utc;
use common::Event;
use common::contracts::UserErased;

use crate::{Follower, event};

/// Panics unless the service sweeps what somebody called `gone` left behind and applies this late event about them to
/// nothing: `table`, which is empty before, stays so. Of `client-a`, who has an account again by now, everything stays.
///
/// # Panics
/// With the rows that are left.
pub async fn sweeps_and_applies_nothing_late(service: &Follower, late: Event, table: &str) {
    let schema = service.name;
    let row = |user_id: &str| {
        format!(
            "insert into {schema}.outbox (event_id, event_type, subject, data)
             values (gen_random_uuid(), '{schema}.test.happened', '{user_id}', '{{}}');
             insert into {schema}.idempotency_keys (principal, key, request_hash, people)
             values ('staff:s1', '{user_id}', '', array['s1', '{user_id}']);"
        )
    };
    let superuser = service.database.superuser().await;
    superuser.run(&(row("gone") + &row("client-a"))).await;
    let heard = [erased("gone"), late, erased("client-a")];
    assert_eq!(service.deliver(&heard).await, 3);
    for (table, column) in [("outbox", "subject"), ("idempotency_keys", "key")] {
        let left = service
            .lines(&format!("select {column} as line from {schema}.{table}"))
            .await;
        assert_eq!(left, ["client-a"], "{table}");
    }
    let applied = service
        .database
        .count(&format!("select count(*) from {table}"))
        .await;
    assert_eq!(applied, 0, "{table}");
}

fn erased(user_id: &str) -> Event {
    event(&UserErased {
        user_id: user_id.to_owned(),
        erased_at: Utc::now(),
    })
}
