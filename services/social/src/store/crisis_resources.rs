//! `social.crisis_resources`.

use chrono::{DateTime, Utc};
use db::{Row, ToSql, Tx};

/// Where help is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) region: Option<String>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) text_to: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) hours: String,
    pub(crate) position: i32,
}

/// One that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) resource_id: i64,
    pub(crate) resource: Resource,
    pub(crate) updated_at: DateTime<Utc>,
}

const COLUMNS: &str = "r.resource_id, r.region, r.name, r.description, r.phone, r.text_to, r.url, r.hours, r.position, r.updated_at";

pub(crate) fn from_row(row: &Row) -> Result<Kept, db::Error> {
    Ok(Kept {
        resource_id: row.try_get("resource_id")?,
        resource: Resource {
            region: row.try_get("region")?,
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            phone: row.try_get("phone")?,
            text_to: row.try_get("text_to")?,
            url: row.try_get("url")?,
            hours: row.try_get("hours")?,
            position: row.try_get("position")?,
        },
        updated_at: row.try_get("updated_at")?,
    })
}

/// Those of a region and those of everywhere, the region's first; all where none is named. `$1` region or null.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.crisis_resources r
         where $1::varchar is null or r.region = $1 or r.region is null
         order by r.region nulls last, r.position, r.resource_id"
    )
}

const WRITTEN: &str = "region, name, description, phone, text_to, url, hours, position";

/// What is written of one, in the order of [`WRITTEN`].
fn written(new: &Resource) -> [&(dyn ToSql + Sync); 8] {
    [
        &new.region,
        &new.name,
        &new.description,
        &new.phone,
        &new.text_to,
        &new.url,
        &new.hours,
        &new.position,
    ]
}

/// Keeps another one.
pub(crate) async fn insert(tx: &Tx, new: &Resource) -> Result<Kept, db::Error> {
    let sql = format!(
        "insert into social.crisis_resources as r ({WRITTEN}) values ($1, $2, $3, $4, $5, $6, $7, $8) returning {COLUMNS}"
    );
    from_row(&tx.query_one(&sql, &written(new)).await?)
}

/// Says of one how it is now; `None` where there is none.
pub(crate) async fn replace(tx: &Tx, resource_id: i64, new: &Resource) -> Result<Option<Kept>, db::Error> {
    let sql = format!(
        "update social.crisis_resources r set ({WRITTEN}, updated_at) = ($1, $2, $3, $4, $5, $6, $7, $8, now())
         where r.resource_id = $9 returning {COLUMNS}"
    );
    let params = [written(new).as_slice(), &[&resource_id]].concat();
    tx.query_opt(&sql, &params)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// Whether there was one.
pub(crate) async fn delete(tx: &Tx, resource_id: i64) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from social.crisis_resources r where r.resource_id = $1",
            &[&resource_id],
        )
        .await?;
    Ok(deleted > 0)
}

/// Those of the region that a client's locale names, and those of everywhere, the region's first.
pub(crate) async fn of_client(tx: &Tx, user_id: &str) -> Result<Vec<Kept>, db::Error> {
    let sql = format!(
        "select {COLUMNS} from social.crisis_resources r
         where r.region is null or r.region = (
            select upper(substring(u.locale from '[-_]([A-Za-z]{{2}})$')) from core.users u where u.user_id = $1)
         order by r.region nulls last, r.position, r.resource_id"
    );
    tx.query(&sql, &[&user_id]).await?.iter().map(from_row).collect()
}
