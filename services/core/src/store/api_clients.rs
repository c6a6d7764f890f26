//! `core.api_clients`: the programs that call.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use serde_json::Value;

use crate::domain::program::NewProgram;

/// Whether there is a program of this id (`$1`), working or not.
pub(crate) const EXISTS: &str = "select c.client_id from core.api_clients c where c.client_id = $1";

/// Registers a program, or renames it and limits it to other scopes where some are named; `false` where the id belongs
/// to one of another kind.
pub(crate) async fn register(tx: &Tx, program: &NewProgram) -> Result<bool, db::Error> {
    let touched = tx
        .execute(
            "insert into core.api_clients as c (client_id, kind, name, scopes) values ($1, $2, $3, $4)
             on conflict (client_id) do update set name = excluded.name,
                 scopes = case when excluded.scopes = '{}' then c.scopes else excluded.scopes end
             where c.kind = excluded.kind",
            &[
                &program.client_id,
                &program.kind.as_str(),
                &program.name,
                &program.scopes,
            ],
        )
        .await?;
    Ok(touched > 0)
}

/// Registers a program that must be new; `None` where there is one of this id.
pub(crate) async fn insert(tx: &Tx, program: &NewProgram) -> Result<Option<DateTime<Utc>>, db::Error> {
    let row = tx
        .query_opt(
            "insert into core.api_clients (client_id, kind, name, scopes) values ($1, $2, $3, $4)
             on conflict (client_id) do nothing
             returning created_at",
            &[
                &program.client_id,
                &program.kind.as_str(),
                &program.name,
                &program.scopes,
            ],
        )
        .await?;
    row.map(|row| Ok(row.try_get("created_at")?)).transpose()
}

/// A program as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) client_id: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) disabled_at: Option<DateTime<Utc>>,
    /// Those that work, newest first: when made, when they end, when last used.
    pub(crate) secrets: Value,
}

/// Programs by id, each with the secrets that work. `$1` the last id seen or empty, `$2` limit.
pub(crate) const LIST: &str = "
    select c.client_id, c.kind, c.name, c.scopes, c.created_at, c.disabled_at,
        (select coalesce(jsonb_agg(jsonb_build_object('created_at', s.created_at, 'expires_at', s.expires_at,
                'last_used_at', s.last_used_at) order by s.secret_id desc), '[]')
         from core.api_client_secrets s
         where s.client_id = c.client_id and s.revoked_at is null and s.expires_at > now()) as secrets
    from core.api_clients c
    where c.client_id > $1
    order by c.client_id
    limit $2";

pub(crate) fn from_row(row: &Row) -> Result<Program, db::Error> {
    Ok(Program {
        client_id: row.try_get("client_id")?,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        scopes: row.try_get("scopes")?,
        created_at: row.try_get("created_at")?,
        disabled_at: row.try_get("disabled_at")?,
        secrets: row.try_get("secrets")?,
    })
}

/// What the tokens of a program are limited to; `None` where there is none.
pub(crate) async fn scopes(tx: &Tx, client_id: &str) -> Result<Option<Vec<String>>, db::Error> {
    let row = tx
        .query_opt(
            "select c.scopes from core.api_clients c where c.client_id = $1",
            &[&client_id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("scopes")?)).transpose()
}

/// Locks a program; whether it is switched off, and `None` where there is none.
pub(crate) async fn lock(tx: &Tx, client_id: &str) -> Result<Option<bool>, db::Error> {
    let row = tx
        .query_opt(
            "select c.disabled_at is not null as is_disabled from core.api_clients c
             where c.client_id = $1 for no key update",
            &[&client_id],
        )
        .await?;
    row.map(|row| Ok(row.try_get("is_disabled")?)).transpose()
}

/// Switches a program off.
pub(crate) async fn disable(tx: &Tx, client_id: &str) -> Result<(), db::Error> {
    tx.execute(
        "update core.api_clients c set disabled_at = now() where c.client_id = $1 and c.disabled_at is null",
        &[&client_id],
    )
    .await?;
    Ok(())
}
