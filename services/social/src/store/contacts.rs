//! `social.contacts`.

use chrono::{DateTime, Utc};
use common::ContactOutcome;
use db::{Row, Tx};

use super::word;

/// A contact of staff with a client.
pub(crate) struct Contact {
    pub(crate) contact_id: i64,
    pub(crate) client_id: String,
    pub(crate) staff_id: Option<String>,
    pub(crate) escalation_id: Option<i64>,
    pub(crate) method: String,
    pub(crate) outcome: ContactOutcome,
    pub(crate) at: DateTime<Utc>,
    pub(crate) notes: Option<String>,
}

pub(crate) fn from_row(row: &Row) -> Result<Contact, db::Error> {
    Ok(Contact {
        contact_id: row.try_get("contact_id")?,
        client_id: row.try_get("client_id")?,
        staff_id: row.try_get("staff_id")?,
        escalation_id: row.try_get("escalation_id")?,
        method: row.try_get("method")?,
        outcome: word(row, "outcome")?,
        at: row.try_get("at")?,
        notes: row.try_get("notes")?,
    })
}

/// What came of a contact, as staff say it.
pub(crate) struct Said {
    pub(crate) escalation_id: Option<i64>,
    pub(crate) method: &'static str,
    pub(crate) outcome: ContactOutcome,
    pub(crate) notes: Option<String>,
}

/// Records a contact with a client; `None` where the episode it names is not of that client.
pub(crate) async fn insert(
    tx: &Tx,
    client_id: &str,
    staff_id: &str,
    said: &Said,
    now: Option<DateTime<Utc>>,
) -> Result<Option<Contact>, db::Error> {
    let row = tx
        .query_opt(
            "insert into social.contacts (client_id, staff_id, escalation_id, method, outcome, at, notes)
             select $1::varchar, $2, $3::int8, $4, $5, coalesce($7::timestamptz, now()), $6
             where $3::int8 is null
                or exists (select from social.escalations e where e.escalation_id = $3 and e.user_id = $1::varchar)
             returning contact_id, client_id, staff_id, escalation_id, method, outcome, at, notes",
            &[
                &client_id,
                &staff_id,
                &said.escalation_id,
                &said.method,
                &said.outcome.as_str(),
                &said.notes,
                &now,
            ],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Newest first. `$1` the client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select c.contact_id, c.client_id, c.staff_id, c.escalation_id, c.method, c.outcome, c.at, c.notes
    from social.contacts c
    where c.client_id = $1 and (c.at, c.contact_id) < ($2, $3)
    order by c.at desc, c.contact_id desc
    limit $4";
