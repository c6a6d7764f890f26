//! The caseload list stays small on a large programme.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use db::Actor;
use testkit::TestDb;
use testkit::plan::{assert_reached_by_index, plant_large_programme, scans};

use super::caseload;

/// The caseload once, a page of names, and a page of what stands beside it.
const MAX_ROWS: f64 = 500.0;

#[tokio::test]
async fn a_page_of_a_counselor_with_200_of_50_000_clients_touches_the_caseload_alone() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database
        .pools("social")
        .begin(&Actor::Staff("staff-7".to_owned()))
        .await
        .unwrap();
    let types = "varchar, varchar, int4, float8, varchar, bigint";
    for values in [
        "null, null, null, null, null, 51",
        "'UNKNOWN', 'stable', 4, -1, 'client-025006', 51",
    ] {
        let found = scans(&tx, &caseload::list_sql(), types, values).await;
        let large = ["users", "user_risk_profiles"];
        let found: Vec<_> = found
            .into_iter()
            .filter(|scan| large.contains(&scan.table.as_str()))
            .collect();
        assert_reached_by_index(&found, MAX_ROWS);
        let profiles = found.iter().filter(|scan| scan.table == "user_risk_profiles");
        assert_eq!(profiles.count(), 1, "{found:?}");
    }
    tx.rollback().await.unwrap();
}
