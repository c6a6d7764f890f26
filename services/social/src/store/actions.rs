//! `social.actions`: every decision, also to do nothing.

use chrono::{DateTime, Utc};
use common::RiskLabel;
use db::{Json, Tx};
use serde::Serialize;
use serde_json::Value;

use crate::domain::nudge::Source;

/// A decision that is about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) user_id: String,
    pub(crate) decided_at: DateTime<Utc>,
    pub(crate) action_type: &'static str,
    pub(crate) risk_level: RiskLabel,
    /// What was chosen; `none` where nothing was.
    pub(crate) chosen: String,
    /// The ids it led to.
    pub(crate) action_data: Value,
    pub(crate) status: &'static str,
    pub(crate) ai_reasoning: String,
    pub(crate) confidence_score: f64,
    pub(crate) policy_version: String,
    pub(crate) eligible: Vec<String>,
    pub(crate) probability: Option<f64>,
    pub(crate) withheld_reason: Option<&'static str>,
    pub(crate) source: Source,
    /// What there was to choose from.
    pub(crate) arms: Vec<Arm>,
    /// What was drawn with, where something was.
    pub(crate) seed: Option<i64>,
}

/// What could be chosen, or why not.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Arm {
    pub(crate) arm: String,
    pub(crate) eligible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
}

/// Stores decisions; returns their ids in the order given.
pub(crate) async fn insert(tx: &Tx, rows: &[Insert]) -> Result<Vec<i64>, db::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let stored = tx
        .query(
            "with stored as (
                insert into social.actions (user_id, timestamp, action_type, risk_level, action_data, status,
                    ai_reasoning, confidence_score, policy_version, eligible, probability, withheld_reason,
                    source, arms, seed)
                select n.user_id, n.decided_at, n.action_type, n.risk_level,
                    jsonb_build_object('chosen', n.chosen) || n.action_data, n.status, n.ai_reasoning,
                    n.confidence_score, n.policy_version, n.eligible, n.probability, n.withheld_reason, n.source, n.arms,
                    n.seed
                from unnest($1::varchar[], $2::timestamptz[], $3::varchar[], $4::varchar[], $5::text[], $6::jsonb[],
                    $7::varchar[], $8::text[], $9::float8[], $10::varchar[], $11::jsonb[], $12::float8[], $13::varchar[],
                    $14::varchar[], $15::jsonb[], $16::bigint[])
                    with ordinality as n (user_id, decided_at, action_type, risk_level, chosen, action_data, status,
                        ai_reasoning, confidence_score, policy_version, eligible, probability, withheld_reason,
                        source, arms, seed, position)
                order by n.position
                returning action_id)
            select action_id from stored order by action_id",
            &[
                &rows.iter().map(|row| row.user_id.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.decided_at).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.action_type).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.risk_level.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.chosen.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| &row.action_data).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.status).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.ai_reasoning.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.confidence_score).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.policy_version.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| Json(&row.eligible)).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.probability).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.withheld_reason).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.source.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| Json(&row.arms)).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.seed).collect::<Vec<_>>(),
            ],
        )
        .await?;
    stored.iter().map(|row| Ok(row.try_get("action_id")?)).collect()
}
