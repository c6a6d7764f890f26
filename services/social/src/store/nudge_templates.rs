//! `social.nudge_templates`.

use chrono::{DateTime, Utc};
use db::{Row, ToSql, Tx};

use crate::domain::template::Template;

/// The texts in use in the languages of clients (`$1`), and in the one of everybody (`$2`).
pub(crate) const FOR: &str = "
    select t.template_id, t.nudge_type, t.locale, t.message
    from social.nudge_templates t
    where t.active and split_part(lower(t.locale), '-', 1) in (
        select split_part(lower(u.locale), '-', 1) from core.users u where u.user_id = any ($1) and u.locale is not null
        union all select $2::varchar)";

pub(crate) fn from_row(row: &Row) -> Result<Template, db::Error> {
    Ok(Template {
        template_id: row.try_get("template_id")?,
        nudge_type: row.try_get("nudge_type")?,
        locale: row.try_get("locale")?,
        message: row.try_get("message")?,
    })
}

/// A text as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) nudge_type: String,
    pub(crate) locale: String,
    pub(crate) message: String,
    pub(crate) active: bool,
}

/// One that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) template_id: i64,
    pub(crate) text: Written,
    pub(crate) updated_at: DateTime<Utc>,
}

const COLUMNS: &str = "t.template_id, t.nudge_type, t.locale, t.message, t.active, t.updated_at";

pub(crate) fn kept_from_row(row: &Row) -> Result<Kept, db::Error> {
    Ok(Kept {
        template_id: row.try_get("template_id")?,
        text: Written {
            nudge_type: row.try_get("nudge_type")?,
            locale: row.try_get("locale")?,
            message: row.try_get("message")?,
            active: row.try_get("active")?,
        },
        updated_at: row.try_get("updated_at")?,
    })
}

/// Those behind a row (`$1`), at most `$2`, the first kept first.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.nudge_templates t
         where t.template_id > $1
         order by t.template_id
         limit $2"
    )
}

/// One. `$1` its id.
pub(crate) fn find_sql() -> String {
    format!("select {COLUMNS} from social.nudge_templates t where t.template_id = $1")
}

const WRITTEN: &str = "nudge_type, locale, message, active";

/// What is written of one, in the order of [`WRITTEN`].
fn written(text: &Written) -> [&(dyn ToSql + Sync); 4] {
    [&text.nudge_type, &text.locale, &text.message, &text.active]
}

/// Keeps another one.
pub(crate) async fn insert(tx: &Tx, text: &Written) -> Result<Kept, db::Error> {
    let sql = format!(
        "insert into social.nudge_templates as t ({WRITTEN}) values ($1, $2, $3, $4) returning {COLUMNS}"
    );
    kept_from_row(&tx.query_one(&sql, &written(text)).await?)
}

/// Writes one anew; `None` where there is none.
pub(crate) async fn replace(tx: &Tx, template_id: i64, text: &Written) -> Result<Option<Kept>, db::Error> {
    let sql = format!(
        "update social.nudge_templates t set ({WRITTEN}, updated_at) = ($1, $2, $3, $4, now())
         where t.template_id = $5 returning {COLUMNS}"
    );
    let params = [written(text).as_slice(), &[&template_id]].concat();
    tx.query_opt(&sql, &params)
        .await?
        .as_ref()
        .map(kept_from_row)
        .transpose()
}

/// Whether there was one.
pub(crate) async fn delete(tx: &Tx, template_id: i64) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from social.nudge_templates t where t.template_id = $1",
            &[&template_id],
        )
        .await?;
    Ok(deleted > 0)
}
