//! The functions of all schemas by which an account is exported, read through a cursor.

use chrono::{DateTime, Utc};
use db::Tx;
use serde_json::Value;

/// Rows of one page.
const PAGE_ROWS: usize = 100;

/// What an export begins with.
pub(crate) struct Opened {
    /// client or staff.
    pub(crate) kind: String,
    /// The instant that all of it is of.
    pub(crate) at: DateTime<Utc>,
    /// The version of each schema.
    pub(crate) schema_versions: Value,
}

/// Opens the export of an account, in a transaction in which nothing was read yet; `None` where there is no such
/// account. Postgres gathers the rows of a schema when the first of them is asked for, on its disk where they are many.
pub(crate) async fn open(tx: &Tx, user_id: &str) -> Result<Option<Opened>, db::Error> {
    tx.batch("set transaction isolation level repeatable read, read only")
        .await?;
    let account = "select u.kind, now() as at, core.schema_versions() as schema_versions
        from core.users u where u.user_id = $1";
    let Some(row) = tx.query_opt(account, &[&user_id]).await? else {
        return Ok(None);
    };
    tx.execute(
        "declare exported no scroll cursor for
         select json_build_object('schema', 'core', 'table', e.table_name, 'row', e.row_data)::text as line
         from core.export_user($1) e
         union all select json_build_object('schema', 'social', 'table', e.table_name, 'row', e.row_data)::text
         from social.export_user($1) e
         union all select json_build_object('schema', 'risk', 'table', e.table_name, 'row', e.row_data)::text
         from risk.export_user($1) e
         union all select json_build_object('schema', 'reco', 'table', e.table_name, 'row', e.row_data)::text
         from reco.export_user($1) e
         union all select json_build_object('schema', 'causal', 'table', e.table_name, 'row', e.row_data)::text
         from causal.export_user($1) e",
        &[&user_id],
    )
    .await?;
    Ok(Some(Opened {
        kind: row.try_get("kind")?,
        at: row.try_get("at")?,
        schema_versions: row.try_get("schema_versions")?,
    }))
}

/// The next rows of the open export, each a JSON object of schema, table and row; none at its end.
pub(crate) async fn page(tx: &Tx) -> Result<Vec<String>, db::Error> {
    let rows = tx
        .query(&format!("fetch forward {PAGE_ROWS} from exported"), &[])
        .await?;
    rows.iter().map(|row| Ok(row.try_get("line")?)).collect()
}
