//! The database crate against a real Postgres.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use db::{Actor, Error, OwnedParam};
use testkit::{Principals, TestDb};
use uuid::Uuid;

#[tokio::test]
async fn a_transaction_sees_the_actors_caseload_and_nothing_without_one() {
    let database = TestDb::new().await;
    let mut principals = Principals::plant(&database).await;
    principals.client(&database, "client-a", &["counselor"]).await;
    principals
        .client(&database, "client-b", &["counselor_other"])
        .await;
    let seen = async |actor: &str| -> Vec<String> {
        let rows = database
            .seen_by(
                "social",
                &Actor::Staff(actor.into()),
                "select user_id from social.user_risk_profiles order by 1",
            )
            .await;
        rows.iter().map(|row| row.get("user_id")).collect()
    };
    assert_eq!(seen("staff-counselor").await, ["client-a"]);
    assert_eq!(seen("staff-counselor_other").await, ["client-b"]);
    assert!(seen("staff-oncall").await.is_empty());
    assert!(seen("").await.is_empty());
}

#[tokio::test]
async fn a_worker_sees_every_row_and_a_service_no_column_that_is_not_granted() {
    let database = TestDb::new().await;
    let mut principals = Principals::plant(&database).await;
    principals.client(&database, "client-a", &[]).await;
    let social = database.pools("social");
    let rows = social
        .worker_query("select count(*) as n from social.user_risk_profiles", &[])
        .await
        .unwrap();
    assert_eq!(rows[0].get::<_, i64>("n"), 1);
    let refused = social
        .worker_query("select message_text from core.messages", &[])
        .await
        .expect_err("refused");
    assert!(matches!(refused, Error::Refused { sqlstate, .. } if sqlstate == "42501"));
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_behind() {
    let database = TestDb::new().await;
    let social = database.pools("social");
    let tx = social.begin_worker().await.unwrap();
    tx.execute(
        "insert into social.inbox (consumer, event_id) values ('t', gen_random_uuid())",
        &[],
    )
    .await
    .unwrap();
    drop(tx);
    assert_eq!(database.count("select count(*) from social.inbox").await, 0);
}

/// One row of the inbox, under a number.
fn arrival(number: u32) -> Vec<OwnedParam> {
    vec![Box::new(Uuid::from_u128(u128::from(number)))]
}

const ARRIVE: &str = "insert into social.inbox (consumer, event_id) values ('t', $1)";
const INBOX: &str = "select count(*) from social.inbox";

#[tokio::test]
async fn a_statement_that_fails_at_the_commit_keeps_nothing_and_calls_nobody() {
    let database = TestDb::new().await;
    let social = database.pools("social");
    let called = Arc::new(AtomicBool::new(false));
    for (numbers, refused) in [([1, 1], true), ([1, 2], false)] {
        let tx = social.begin_worker().await.unwrap();
        for number in numbers {
            tx.at_commit(ARRIVE, arrival(number));
        }
        let calling = Arc::clone(&called);
        tx.after_commit(move || calling.store(true, Ordering::SeqCst));
        assert_eq!(
            database.count(INBOX).await,
            0,
            "nothing is sent before the commit"
        );
        let committed = tx.commit().await;
        let constraint = committed.as_ref().err().and_then(Error::constraint);
        assert_eq!(constraint, refused.then_some("pk_inbox"));
        assert_eq!(database.count(INBOX).await, if refused { 0 } else { 2 });
        assert_eq!(called.load(Ordering::SeqCst), !refused);
    }
}

#[tokio::test]
async fn a_statement_that_the_driver_refuses_to_send_makes_the_commit_a_rollback() {
    let database = TestDb::new().await;
    let social = database.pools("social");
    let tx = social.begin_worker().await.unwrap();
    tx.at_commit(ARRIVE, arrival(1));
    tx.at_commit(ARRIVE, vec![Box::new("no uuid")]);
    tx.at_commit(ARRIVE, arrival(2));
    let refused = tx.commit().await.expect_err("the parameter has the wrong type");
    assert!(matches!(refused, Error::Row(_)), "{refused}");
    assert_eq!(database.count(INBOX).await, 0);
}

#[tokio::test]
async fn a_statement_whose_table_a_migration_changed_works_at_the_second_try() {
    let database = TestDb::new().await;
    let social = database.pools("social");
    let read = "select attempts from social.outbox";
    let admin = database.superuser().await;
    social.worker_query(read, &[]).await.unwrap();
    let tx = social.begin_worker().await.unwrap();
    tx.query(read, &[]).await.unwrap();
    tx.commit().await.unwrap();
    admin
        .run("alter table social.outbox alter column attempts type bigint")
        .await;
    // A transaction that is rolled back keeps its session, which must have forgotten the old statement.
    let tx = social.begin_worker().await.unwrap();
    let outdated = tx
        .query(read, &[])
        .await
        .expect_err("the old plan has another type");
    assert!(outdated.is_retryable(), "{outdated}");
    tx.rollback().await.unwrap();
    for _ in 0..2 {
        social.worker_query(read, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_left_to_the_commit_is_done_in_its_order_however_much_it_is() {
    let database = TestDb::new().await;
    let social = database.pools("social");
    let tx = social.begin_worker().await.unwrap();
    for number in 0..40 {
        tx.at_commit(ARRIVE, arrival(number));
        // Deletes what stood before, so that another order would leave another row.
        tx.at_commit("delete from social.inbox where event_id <> $1", arrival(number));
    }
    tx.commit().await.unwrap();
    let last = "select count(*) from social.inbox where event_id = '00000000-0000-0000-0000-000000000027'";
    assert_eq!((database.count(INBOX).await, database.count(last).await), (1, 1));
}

#[tokio::test]
async fn staff_who_ask_about_one_client_see_that_one_if_it_is_theirs() {
    let database = TestDb::new().await;
    let mut principals = Principals::plant(&database).await;
    for (client, counselor) in [
        ("client-a", "counselor"),
        ("client-b", "counselor"),
        ("client-c", "counselor_other"),
    ] {
        principals.client(&database, client, &[counselor]).await;
    }
    let social = database.pools("social");
    for (client, expected) in [("client-a", 1), ("client-b", 1), ("client-c", 0), ("absent", 0)] {
        let about = Actor::StaffAbout {
            staff_id: "staff-counselor".to_owned(),
            client_id: client.to_owned(),
        };
        let seen = social
            .read(&about, "select user_id from social.user_risk_profiles", &[])
            .await
            .unwrap();
        assert_eq!(seen.len(), expected, "{client}");
        assert!(seen.iter().all(|row| row.get::<_, &str>("user_id") == client));
    }
    let caseload = Actor::Staff("staff-counselor".to_owned());
    let seen = social
        .read(&caseload, "select user_id from social.user_risk_profiles", &[])
        .await
        .unwrap();
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_transaction_that_lost_a_race_is_tried_three_times_and_one_that_is_refused_once() {
    let faults: [(fn() -> Error, usize); 2] = [(|| Error::Serialization, 3), (|| Error::NotVisible, 1)];
    for (fault, expected) in faults {
        let tried = AtomicUsize::new(0);
        let transaction = async || {
            tried.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(fault())
        };
        let is_lost = |error: &Error| matches!(error, Error::Serialization);
        db::again(&transaction, is_lost).await.unwrap_err();
        assert_eq!(tried.into_inner(), expected, "{}", fault());
    }
}
