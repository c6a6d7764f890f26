//! `core.embedding_models`: whose embeddings are taken.

use db::{Db, Row, Tx};

use crate::domain::embedding::Model;

/// All of them, by name. They are nobody's data.
pub(crate) async fn all(db: &Db) -> Result<Vec<Model>, db::Error> {
    let rows = db
        .call(
            "select m.name, m.dimensions, m.purpose, m.active from core.embedding_models m order by m.name",
            &[],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Model, db::Error> {
    let dimensions: i32 = row.try_get("dimensions")?;
    Ok(Model {
        name: row.try_get("name")?,
        dimensions: usize::try_from(dimensions).unwrap_or_default(),
        purpose: row.try_get("purpose")?,
        active: row.try_get("active")?,
    })
}

/// Registers a model; `false` where the name is known. The database wants its embeddings of what is remembered.
pub(crate) async fn insert(tx: &Tx, name: &str, dimensions: i32, purpose: &str) -> Result<bool, db::Error> {
    let made = tx
        .execute(
            "insert into core.embedding_models (name, dimensions, purpose) values ($1, $2, $3)
             on conflict (name) do nothing",
            &[&name, &dimensions, &purpose],
        )
        .await?;
    Ok(made > 0)
}
