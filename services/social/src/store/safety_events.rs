//! `social.safety_events`.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::safety::{Finding, LEVELS};

/// What a check of one message found, as it stands.
#[derive(Clone, Debug)]
pub(crate) struct SafetyEvent {
    pub(crate) id: i64,
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) finding: Finding,
    pub(crate) escalation_id: Option<i64>,
}

const COLUMNS: &str =
    "s.id, s.message_id, s.user_id, s.created_at, s.risk_level, s.show_crisis_banner, s.emotion_label,
    s.emotion_score, s.policy_action, s.rationale, s.degraded, s.escalation_id";

pub(crate) fn from_row(row: &Row) -> Result<SafetyEvent, db::Error> {
    let level: &str = row.try_get("risk_level")?;
    let known = LEVELS.iter().find(|known| **known == level);
    Ok(SafetyEvent {
        id: row.try_get("id")?,
        message_id: row.try_get("message_id")?,
        user_id: row.try_get("user_id")?,
        created_at: row.try_get("created_at")?,
        finding: Finding {
            risk_level: known.ok_or_else(|| db::Error::Row(format!("risk_level: {level}")))?,
            show_crisis_banner: row.try_get("show_crisis_banner")?,
            emotion_label: row.try_get("emotion_label")?,
            emotion_score: row.try_get("emotion_score")?,
            policy_action: row.try_get("policy_action")?,
            rationale: row.try_get("rationale")?,
            degraded: row.try_get("degraded")?,
        },
        escalation_id: row.try_get("escalation_id")?,
    })
}

/// Who wrote a message that the caller sees. `$1` its id.
pub(crate) const AUTHOR: &str = "
    select m.user_id, m.sender_role from core.messages m where m.message_id = $1 and m.user_id is not null";

/// Stores what was found of a message, unless something stands; `None` where it does.
pub(crate) async fn insert(
    tx: &Tx,
    message_id: i64,
    user_id: &str,
    finding: &Finding,
    now: Option<DateTime<Utc>>,
) -> Result<Option<SafetyEvent>, db::Error> {
    let sql = format!(
        "insert into social.safety_events as s (message_id, user_id, created_at, risk_level, show_crisis_banner,
            emotion_label, emotion_score, policy_action, rationale, degraded)
         values ($1, $2, coalesce($3::timestamptz, now()), $4, $5, $6, $7, $8, $9, $10)
         on conflict (message_id) do nothing
         returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[
        &message_id,
        &user_id,
        &now,
        &finding.risk_level,
        &finding.show_crisis_banner,
        &finding.emotion_label,
        &finding.emotion_score,
        &finding.policy_action,
        &finding.rationale,
        &finding.degraded,
    ];
    tx.query_opt(&sql, params)
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// Names the episode that a finding opened or joined.
pub(crate) async fn name_escalation(tx: &Tx, id: i64, escalation_id: i64) -> Result<(), db::Error> {
    tx.execute(
        "update social.safety_events s set escalation_id = $2 where s.id = $1",
        &[&id, &escalation_id],
    )
    .await?;
    Ok(())
}

/// What was found of a message. `$1` its id.
pub(crate) fn find_sql() -> String {
    format!("select {COLUMNS} from social.safety_events s where s.message_id = $1")
}

/// Removes what was found of messages that are gone.
pub(crate) async fn delete(tx: &Tx, user_ids: &[&str], message_ids: &[i64]) -> Result<(), db::Error> {
    tx.execute(
        "delete from social.safety_events s where s.message_id = any ($2) and s.user_id = any ($1)",
        &[&user_ids, &message_ids],
    )
    .await?;
    Ok(())
}
