//! The database crate against a real Postgres.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use db::{Actor, Error};
use testkit::{Principals, TestDb};

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

#[tokio::test]
async fn a_failing_last_statement_commits_nothing() {
    let database = TestDb::new().await;
    let social = database.pools("social");
    let insert =
        "insert into social.inbox (consumer, event_id) values ('t', '00000000-0000-0000-0000-000000000001')";
    let tx = social.begin_worker().await.unwrap();
    let error = tx
        .commit_with(&[(insert, &[]), (insert, &[])])
        .await
        .expect_err("the second insert is refused");
    assert_eq!(error.constraint(), Some("pk_inbox"));
    assert_eq!(database.count("select count(*) from social.inbox").await, 0);
    let tx = social.begin_worker().await.unwrap();
    tx.commit_with(&[(insert, &[])]).await.unwrap();
    assert_eq!(database.count("select count(*) from social.inbox").await, 1);
}
