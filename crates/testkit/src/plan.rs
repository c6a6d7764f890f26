//! What Postgres does for a statement on a large programme: which tables it scans how, and how many rows it touches.

use db::Tx;
use serde_json::Value;

use crate::TestDb;

/// Plants 250 counselors, `staff-1` to `staff-250`, with 200 clients each: 50,000 clients, `client-000001` and on, with
/// their profiles. Every client has another name.
///
/// # Panics
/// When Postgres refuses.
pub async fn plant_large_programme(database: &TestDb) {
    let sql = "
        insert into core.users (user_id, kind, username, display_name)
        select 'staff-' || n, 'staff', 'staff' || n, 'Staff ' || n from generate_series(1, 250) as n;
        insert into core.staff_roles (user_id, role) select 'staff-' || n, 'counselor' from generate_series(1, 250) as n;
        insert into core.users (user_id, kind, username, email, full_name, display_name)
        select 'client-' || lpad(n::text, 6, '0'), 'client', 'c' || n, md5(n::text) || '@mail.example',
            md5('full' || n), md5('shown' || n)
        from generate_series(1, 50000) as n;
        insert into core.caseload_assignments (client_id, staff_id)
        select 'client-' || lpad(n::text, 6, '0'), 'staff-' || 1 + n % 250 from generate_series(1, 50000) as n;
        insert into social.user_risk_profiles (user_id, policy_version)
        select u.user_id, 'fusion_v2' from core.users u where u.kind = 'client'";
    let superuser = database.superuser().await;
    superuser.run(sql).await;
    superuser
        .run("analyze core.users, core.caseload_assignments, core.staff_roles, social.user_risk_profiles")
        .await;
}

/// A scan of a table in a plan that was run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Such as `Index Scan`.
    pub kind: String,
    /// The table.
    pub table: String,
    /// Rows that were looked at, also those that a filter then refused.
    pub rows: f64,
}

/// Runs a statement as the transaction's role and actor, as the services' sessions plan it, and tells its scans.
/// `types` and `values` are those of its parameters, as SQL.
///
/// # Panics
/// When Postgres refuses.
pub async fn scans(tx: &Tx, sql: &str, types: &str, values: &str) -> Vec<Scan> {
    tx.batch(&format!("prepare asked ({types}) as {sql}"))
        .await
        .expect("a statement");
    let explain = format!("explain (analyze, format json) execute asked ({values})");
    let row = tx.query_one(&explain, &[]).await.expect("a plan");
    tx.batch("deallocate asked").await.expect("the statement goes");
    let plan: Value = row.try_get("QUERY PLAN").expect("a plan as JSON");
    let mut found = Vec::new();
    collect(&plan, &mut found);
    found
}

fn collect(node: &Value, found: &mut Vec<Scan>) {
    match node {
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, found)),
        Value::Object(fields) => {
            let word = |name| fields.get(name).and_then(Value::as_str);
            let number = |name| fields.get(name).and_then(Value::as_f64).unwrap_or_default();
            if let (Some(kind), Some(table)) = (word("Node Type"), word("Relation Name")) {
                let rows = number("Actual Rows") + number("Rows Removed by Filter");
                found.push(Scan {
                    kind: kind.to_owned(),
                    table: table.to_owned(),
                    rows: rows * number("Actual Loops"),
                });
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Panics where a table is read from end to end, or where more than this many rows are looked at in all.
///
/// # Panics
/// With the scans.
pub fn assert_reached_by_index(scans: &[Scan], rows_max: f64) {
    let rows: f64 = scans.iter().map(|scan| scan.rows).sum();
    let by_index = scans.iter().all(|scan| scan.kind != "Seq Scan");
    assert!(
        !scans.is_empty() && by_index && rows <= rows_max,
        "{rows} rows: {scans:#?}"
    );
}
