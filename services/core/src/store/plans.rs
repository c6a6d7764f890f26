//! Lists stay small on a large programme: a page of a counselor with 200 of 50,000 clients, and of an admin, is reached
//! by index.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use db::Actor;
use testkit::TestDb;
use testkit::plan::{assert_reached_by_index, plant_large_programme, scans};

use super::{caseload, users};

/// The caseload, and a page of it looked up in the policy's place.
const MAX_ROWS: f64 = 300.0;

#[tokio::test]
async fn a_page_of_a_counselor_with_200_of_50_000_clients_touches_the_caseload_alone() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database
        .pools("core")
        .begin(&Actor::Staff("staff-7".to_owned()))
        .await
        .unwrap();
    let types = "varchar, text, varchar, bigint";
    for values in [
        "null, null, '', 51",
        "null, null, 'client-025006', 51",
        "null, 'client-0250', '', 51",
        "'suspended', null, '', 51",
    ] {
        let found = scans(&tx, &users::caseload_sql(), types, values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        assert!(found.iter().any(|scan| scan.table == "users"), "{found:?}");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn an_admin_s_page_and_search_touch_what_they_show() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    let types = "varchar, varchar, varchar, bigint";
    let page = scans(&tx, &users::list_sql(), types, "null, null, 'client-025006', 51").await;
    assert_reached_by_index(&page, MAX_ROWS);
    let types = "varchar, varchar, varchar, bigint, text";
    for (q, count) in [
        ("Client-02500", 10.0),
        ("c4711", 1.0),
        ("STAFF 25", 1.0),
        ("nobody", 0.0),
    ] {
        let values = format!("null, null, '', 51, '{q}'");
        let found = scans(&tx, &users::search_sql(), types, &values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        let rows: f64 = found.iter().map(|scan| scan.rows).sum();
        assert!(rows >= count, "{q}: {found:?}");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_page_of_assignments_is_reached_from_the_staff_or_the_client() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    let types = "varchar, varchar, bigint, bigint";
    for (of_staff, of_client, values) in [
        (true, false, "'staff-7', null, 0, 51"),
        (true, true, "'staff-7', 'client-025006', 0, 51"),
        (false, true, "null, 'client-025006', 0, 51"),
        (false, false, "null, null, 25000, 51"),
    ] {
        let found = scans(&tx, caseload::list_sql(of_staff, of_client), types, values).await;
        assert_reached_by_index(&found, MAX_ROWS);
    }
    tx.rollback().await.unwrap();
}
