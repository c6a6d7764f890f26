//! `social.screener_answers`.

use chrono::{DateTime, Utc};
use common::Urgency;
use db::{Row, Tx};

use super::word;
use crate::domain::safety::{BEHAVIOURS, Screener};

/// Answers as they stand.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) id: i64,
    pub(crate) screener: Screener,
    pub(crate) urgency: Option<Urgency>,
    pub(crate) escalation_id: Option<i64>,
}

const COLUMNS: &str =
    "a.id, a.answered_at, a.wish_to_be_dead, a.suicidal_thoughts, a.thoughts_of_method, a.intent,
    a.plan_with_intent, a.behaviour, a.urgency, a.escalation_id";

pub(crate) fn from_row(row: &Row) -> Result<Answered, db::Error> {
    let behaviour: &str = row.try_get("behaviour")?;
    let known = BEHAVIOURS.iter().find(|known| **known == behaviour);
    let urgency: Option<&str> = row.try_get("urgency")?;
    Ok(Answered {
        id: row.try_get("id")?,
        screener: Screener {
            answered_at: row.try_get("answered_at")?,
            wish_to_be_dead: row.try_get("wish_to_be_dead")?,
            suicidal_thoughts: row.try_get("suicidal_thoughts")?,
            thoughts_of_method: row.try_get("thoughts_of_method")?,
            intent: row.try_get("intent")?,
            plan_with_intent: row.try_get("plan_with_intent")?,
            behaviour: known.ok_or_else(|| db::Error::Row(format!("behaviour: {behaviour}")))?,
        },
        urgency: urgency.map(|_| word(row, "urgency")).transpose()?,
        escalation_id: row.try_get("escalation_id")?,
    })
}

/// Stores answers, unless some of the same time stand; `None` where they do.
pub(crate) async fn insert(tx: &Tx, user_id: &str, new: &Screener) -> Result<Option<Answered>, db::Error> {
    let sql = format!(
        "insert into social.screener_answers as a (user_id, answered_at, wish_to_be_dead, suicidal_thoughts,
            thoughts_of_method, intent, plan_with_intent, behaviour, urgency)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (user_id, answered_at) do nothing
         returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[
        &user_id,
        &new.answered_at,
        &new.wish_to_be_dead,
        &new.suicidal_thoughts,
        &new.thoughts_of_method,
        &new.intent,
        &new.plan_with_intent,
        &new.behaviour,
        &new.urgency().map(Urgency::as_str),
    ];
    tx.query_opt(&sql, params)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// Names the episode that answers opened or joined.
pub(crate) async fn name_escalation(tx: &Tx, id: i64, escalation_id: i64) -> Result<(), db::Error> {
    tx.execute(
        "update social.screener_answers a set escalation_id = $2 where a.id = $1",
        &[&id, &escalation_id],
    )
    .await?;
    Ok(())
}

/// Answers of one client at one time.
pub(crate) async fn find(tx: &Tx, user_id: &str, at: DateTime<Utc>) -> Result<Option<Answered>, db::Error> {
    let sql = format!(
        "select {COLUMNS} from social.screener_answers a where a.user_id = $1 and a.answered_at = $2"
    );
    let row = tx.query_opt(&sql, &[&user_id, &at]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Answers of one client, newest first. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.screener_answers a
         where a.user_id = $1 and (a.answered_at, a.id) < ($2, $3)
         order by a.answered_at desc, a.id desc
         limit $4"
    )
}
