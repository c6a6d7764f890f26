//! `core.caseload_assignments`: who cares for whom.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// An assignment that lasts.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) id: i64,
    pub(crate) staff_id: String,
    pub(crate) client_id: String,
    pub(crate) relation: String,
    pub(crate) starts_at: DateTime<Utc>,
}

/// Assignments that last, oldest first. `$1` staff and `$2` client, each or null; `$3` the last id seen, `$4` limit.
/// What is not asked for is not in the condition: "or is null" reaches no index.
pub(crate) fn list_sql(of_staff: bool, of_client: bool) -> &'static str {
    match (of_staff, of_client) {
        (true, _) => {
            "select c.id, c.staff_id, c.client_id, c.relation, c.starts_at
             from core.caseload_assignments c
             where c.staff_id = $1 and ($2::varchar is null or c.client_id = $2) and c.ends_at is null and c.id > $3
             order by c.id
             limit $4"
        }
        (false, true) => {
            "select c.id, c.staff_id, c.client_id, c.relation, c.starts_at
             from core.caseload_assignments c
             where c.client_id = $2 and $1::varchar is null and c.ends_at is null and c.id > $3
             order by c.id
             limit $4"
        }
        (false, false) => {
            "select c.id, c.staff_id, c.client_id, c.relation, c.starts_at
             from core.caseload_assignments c
             where $1::varchar is null and $2::varchar is null and c.ends_at is null and c.id > $3
             order by c.id
             limit $4"
        }
    }
}

pub(crate) fn from_row(row: &Row) -> Result<Assignment, db::Error> {
    Ok(Assignment {
        id: row.try_get("id")?,
        staff_id: row.try_get("staff_id")?,
        client_id: row.try_get("client_id")?,
        relation: row.try_get("relation")?,
        starts_at: row.try_get("starts_at")?,
    })
}

/// Assigns a client, or finds the assignment that lasts and gives it the relation where one is named. The flag says
/// whether it is new.
pub(crate) async fn assign(
    tx: &Tx,
    staff_id: &str,
    client_id: &str,
    relation: Option<&str>,
) -> Result<(Assignment, bool), db::Error> {
    // A row that was inserted has no xmax yet; one that the conflict updated has.
    let row = tx
        .query_one(
            "insert into core.caseload_assignments as c (staff_id, client_id, relation)
             values ($1, $2, coalesce($3, 'counselor'))
             on conflict (staff_id, client_id) where ends_at is null
             do update set relation = coalesce($3, c.relation)
             returning c.id, c.staff_id, c.client_id, c.relation, c.starts_at, c.xmax = 0 as is_new",
            &[&staff_id, &client_id, &relation],
        )
        .await?;
    Ok((from_row(&row)?, row.try_get("is_new")?))
}

/// Ends the assignment that lasts; `false` where there is none.
pub(crate) async fn end(tx: &Tx, staff_id: &str, client_id: &str) -> Result<bool, db::Error> {
    let ended = tx
        .execute(
            "update core.caseload_assignments c set ends_at = greatest(c.starts_at, now())
             where c.staff_id = $1 and c.client_id = $2 and c.ends_at is null",
            &[&staff_id, &client_id],
        )
        .await?;
    Ok(ended > 0)
}
