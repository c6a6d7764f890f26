//! `risk.stage_settlings`: versions whose stage changed, until the levels of all their clients are settled.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// A version that is gone through.
pub(crate) struct Settling {
    model_name: String,
    model_version: String,
    /// The client up to whom it is done; none at the beginning.
    settled_to: Option<String>,
}

fn from_row(row: &Row) -> Result<Settling, db::Error> {
    Ok(Settling {
        model_name: row.try_get("model_name")?,
        model_version: row.try_get("model_version")?,
        settled_to: row.try_get("settled_to")?,
    })
}

/// Locks the version that changed first of those that are due and that nobody works on.
pub(crate) async fn lock_due(tx: &Tx, now: Option<DateTime<Utc>>) -> Result<Option<Settling>, db::Error> {
    let sql = "
        select s.model_name, s.model_version, s.settled_to
        from risk.stage_settlings s
        where s.due_at <= coalesce($1::timestamptz, now())
        order by s.due_at
        limit 1
        for update of s skip locked";
    tx.query_opt(sql, &[&now])
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// The next clients of whom the version has said anything, in the order of their ids.
pub(crate) async fn next_clients(tx: &Tx, settling: &Settling, limit: i64) -> Result<Vec<String>, db::Error> {
    let sql = "
        select u.user_id
        from core.users u
        where u.user_id > coalesce($3::varchar, '') and u.kind = 'client'
            and exists (select from risk.model_predictions p
                where p.user_id = u.user_id and p.model_name = $1 and p.model_version = $2)
        order by u.user_id
        limit $4";
    let params: db::Params<'_> = &[
        &settling.model_name,
        &settling.model_version,
        &settling.settled_to,
        &limit,
    ];
    let rows = tx.query(sql, params).await?;
    rows.iter().map(|row| Ok(row.try_get("user_id")?)).collect()
}

/// Remembers up to whom it is done. Should that client be erased, it begins anew.
pub(crate) async fn go_on_behind(tx: &Tx, settling: &Settling, user_id: &str) -> Result<(), db::Error> {
    let sql = "update risk.stage_settlings set settled_to = $3 where model_name = $1 and model_version = $2";
    tx.execute(sql, &[&settling.model_name, &settling.model_version, &user_id])
        .await?;
    Ok(())
}

/// Everybody was gone through. That happens again a minute after the change, when whoever had read the stage before has
/// written; then the version is done.
pub(crate) async fn end_pass(tx: &Tx, settling: &Settling) -> Result<(), db::Error> {
    let version: db::Params<'_> = &[&settling.model_name, &settling.model_version];
    let done = "
        delete from risk.stage_settlings s
        where s.model_name = $1 and s.model_version = $2 and s.due_at > s.changed_at";
    let again = "
        update risk.stage_settlings s
        set settled_to = null, due_at = s.changed_at + interval '1 minute'
        where s.model_name = $1 and s.model_version = $2 and s.due_at = s.changed_at";
    tx.pipeline(&[(done, version), (again, version)]).await?;
    Ok(())
}
