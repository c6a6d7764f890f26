//! `social.escalations` and who was told of them.

use chrono::{DateTime, Utc};
use common::{ContactOutcome, EscalationStatus, EscalationType, Urgency};
use db::{Row, Tx};

use super::word;
use crate::domain::escalation::Trigger;

/// How long a follow-up takes, until who made it says otherwise.
const FOLLOW_UP_MINUTES: i64 = 30;

/// An episode as lists, answers and events tell of it.
#[derive(Clone, Debug)]
pub(crate) struct Escalation {
    pub(crate) escalation_id: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) escalation_type: EscalationType,
    pub(crate) urgency: Urgency,
    pub(crate) risk_score: Option<f64>,
    pub(crate) risk_level: String,
    pub(crate) trigger_reason: Option<String>,
    pub(crate) trigger_data: Option<serde_json::Value>,
    pub(crate) trigger_count: i32,
    pub(crate) last_triggered_at: DateTime<Utc>,
    pub(crate) status: EscalationStatus,
    pub(crate) policy_id: Option<i64>,
    pub(crate) tier: i32,
    pub(crate) round: i32,
    pub(crate) next_tier_at: Option<DateTime<Utc>>,
    pub(crate) escalated_to: Option<String>,
    pub(crate) notification_method: Option<String>,
    pub(crate) acknowledged_at: Option<DateTime<Utc>>,
    pub(crate) acknowledged_by: Option<String>,
    pub(crate) ack_expires_at: Option<DateTime<Utc>>,
    pub(crate) resolved_at: Option<DateTime<Utc>>,
    pub(crate) outcome: Option<ContactOutcome>,
    pub(crate) resolution_notes: Option<String>,
    pub(crate) next_contact_at: Option<DateTime<Utc>>,
}

/// The columns of [`Escalation`], for every statement that yields one under the alias `e`.
pub(super) const COLUMNS: &str = "e.escalation_id, e.user_id, e.timestamp, e.escalation_type, e.urgency, e.risk_score,
    e.risk_level, e.trigger_reason, e.trigger_data, e.trigger_count, e.last_triggered_at, e.status,
    e.policy_id, e.tier, e.round, e.next_tier_at, e.escalated_to, e.notification_method, e.acknowledged_at, e.acknowledged_by, e.ack_expires_at, e.resolved_at,
    e.outcome, e.resolution_notes, e.next_contact_at";

pub(crate) fn from_row(row: &Row) -> Result<Escalation, db::Error> {
    let outcome: Option<&str> = row.try_get("outcome")?;
    Ok(Escalation {
        escalation_id: row.try_get("escalation_id")?,
        user_id: row.try_get("user_id")?,
        timestamp: row.try_get("timestamp")?,
        escalation_type: word(row, "escalation_type")?,
        urgency: word(row, "urgency")?,
        risk_score: row.try_get("risk_score")?,
        risk_level: row.try_get("risk_level")?,
        trigger_reason: row.try_get("trigger_reason")?,
        trigger_data: row.try_get("trigger_data")?,
        trigger_count: row.try_get("trigger_count")?,
        last_triggered_at: row.try_get("last_triggered_at")?,
        status: word(row, "status")?,
        policy_id: row.try_get("policy_id")?,
        tier: row.try_get("tier")?,
        round: row.try_get("round")?,
        next_tier_at: row.try_get("next_tier_at")?,
        escalated_to: row.try_get("escalated_to")?,
        notification_method: row.try_get("notification_method")?,
        acknowledged_at: row.try_get("acknowledged_at")?,
        acknowledged_by: row.try_get("acknowledged_by")?,
        ack_expires_at: row.try_get("ack_expires_at")?,
        resolved_at: row.try_get("resolved_at")?,
        outcome: outcome.map(|_| word(row, "outcome")).transpose()?,
        resolution_notes: row.try_get("resolution_notes")?,
        next_contact_at: row.try_get("next_contact_at")?,
    })
}

/// Opens an episode per trigger, or joins the open one of its client and type: counts the trigger, keeps its
/// score and reasons, and raises the urgency where it is higher. One trigger per client and type. An episode that is new
/// stands before the first tier of its policy.
pub(crate) async fn open_or_join(
    tx: &Tx,
    triggers: &[Trigger],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Escalation>, db::Error> {
    if triggers.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "insert into social.escalations as e (user_id, escalation_type, urgency, risk_score, risk_level,
            trigger_reason, trigger_data, timestamp, last_triggered_at, tier, policy_id)
         select n.user_id, n.escalation_type, n.urgency, n.risk_score, n.risk_level, n.reason, n.data, clock.now, clock.now,
            0, social.policy_for(n.escalation_type)
         from unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::float8[], $5::varchar[], $6::text[], $7::jsonb[])
            as n (user_id, escalation_type, urgency, risk_score, risk_level, reason, data),
            (select coalesce($8::timestamptz, now()) as now) as clock
         order by n.user_id, n.escalation_type
         on conflict (user_id, escalation_type) where status in ('pending', 'notified', 'acknowledged')
         do update set trigger_count = e.trigger_count + 1, risk_score = excluded.risk_score,
            risk_level = excluded.risk_level, trigger_reason = excluded.trigger_reason,
            trigger_data = excluded.trigger_data, last_triggered_at = excluded.last_triggered_at,
            urgency = case when array_position(array['low', 'medium', 'high', 'critical'], excluded.urgency::text)
                > array_position(array['low', 'medium', 'high', 'critical'], e.urgency::text)
                then excluded.urgency else e.urgency end
         returning {COLUMNS}"
    );
    let rows = tx
        .query(
            &sql,
            &[
                &triggers.iter().map(|t| t.user_id.as_str()).collect::<Vec<_>>(),
                &triggers
                    .iter()
                    .map(|t| t.escalation_type.as_str())
                    .collect::<Vec<_>>(),
                &triggers.iter().map(|t| t.urgency.as_str()).collect::<Vec<_>>(),
                &triggers.iter().map(|t| t.risk_score).collect::<Vec<_>>(),
                &triggers.iter().map(|t| t.risk_level.as_str()).collect::<Vec<_>>(),
                &triggers.iter().map(|t| t.reason.as_str()).collect::<Vec<_>>(),
                &triggers.iter().map(|t| &t.data).collect::<Vec<_>>(),
                &now,
            ],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

/// Locks one episode, as far as the caller sees it.
pub(crate) async fn lock(tx: &Tx, escalation_id: i64) -> Result<Option<Escalation>, db::Error> {
    let sql =
        format!("select {COLUMNS} from social.escalations e where e.escalation_id = $1 for update of e");
    tx.query_opt(&sql, &[&escalation_id])
        .await?
        .as_ref()
        .map(from_row)
        .transpose()
}

/// Somebody takes a locked, open episode for so many minutes, or for as long as its policy says.
pub(crate) async fn acknowledge(
    tx: &Tx,
    escalation_id: i64,
    staff_id: &str,
    lease_minutes: Option<i64>,
    now: Option<DateTime<Utc>>,
) -> Result<Escalation, db::Error> {
    let sql = format!(
        "update social.escalations e
         set status = 'acknowledged', acknowledged_by = $2, acknowledged_at = case when e.status = 'acknowledged' then e.acknowledged_at
                else coalesce($4::timestamptz, now()) end,
            ack_expires_at = coalesce($4::timestamptz, now()) + interval '1 minute'
                * coalesce($3::int8, social.ack_minutes(coalesce(e.policy_id, social.policy_for(e.escalation_type))))
         where e.escalation_id = $1
         returning {COLUMNS}"
    );
    from_row(
        &tx.query_one(&sql, &[&escalation_id, &staff_id, &lease_minutes, &now])
            .await?,
    )
}

/// How an episode ended.
pub(crate) struct Resolution {
    pub(crate) outcome: ContactOutcome,
    pub(crate) notes: Option<String>,
    pub(crate) next_contact_at: Option<DateTime<Utc>>,
}

/// Ends a locked, open episode, records the contact, proposes the next one as a meeting, and ends the access it gave.
pub(crate) async fn resolve(
    tx: &Tx,
    escalation_id: i64,
    staff_id: &str,
    resolution: &Resolution,
    now: Option<DateTime<Utc>>,
) -> Result<Escalation, db::Error> {
    let sql = format!(
        "with clock as (select coalesce($6::timestamptz, now()) as now),
         contact as (
            insert into social.contacts (client_id, staff_id, escalation_id, method, outcome, at, notes)
            select c.user_id, $2, c.escalation_id, 'other', $3, clock.now, $4
            from social.escalations c cross join clock where c.escalation_id = $1),
         follow_up as (
            insert into social.meetings (user_id, created_at, meeting_type, status, counselor_id, scheduled_time,
                duration_minutes, ends_at)
            select c.user_id, clock.now, 'follow_up', 'proposed', $2, $5::timestamptz, {FOLLOW_UP_MINUTES},
                $5::timestamptz + interval '{FOLLOW_UP_MINUTES} minutes'
            from social.escalations c cross join clock where c.escalation_id = $1 and $5::timestamptz is not null)
         update social.escalations e
         set status = 'resolved', outcome = $3, resolution_notes = $4, next_contact_at = $5,
            resolved_at = (select clock.now from clock)
         where e.escalation_id = $1
         returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[
        &escalation_id,
        &staff_id,
        &resolution.outcome.as_str(),
        &resolution.notes,
        &resolution.next_contact_at,
        &now,
    ];
    let resolved = from_row(&tx.query_one(&sql, params).await?)?;
    end_access(tx, escalation_id).await?;
    Ok(resolved)
}

/// Ends a locked, open episode that needs no answer, and the access it gave.
pub(crate) async fn cancel(
    tx: &Tx,
    escalation_id: i64,
    reason: &str,
    now: Option<DateTime<Utc>>,
) -> Result<Escalation, db::Error> {
    let sql = format!(
        "update social.escalations e
         set status = 'cancelled', resolution_notes = $2, resolved_at = coalesce($3::timestamptz, now())
         where e.escalation_id = $1
         returning {COLUMNS}"
    );
    let cancelled = from_row(&tx.query_one(&sql, &[&escalation_id, &reason, &now]).await?)?;
    end_access(tx, escalation_id).await?;
    Ok(cancelled)
}

/// Last in its transaction: for on-call staff the episode is out of sight from here on.
async fn end_access(tx: &Tx, escalation_id: i64) -> Result<(), db::Error> {
    tx.query(
        "select core.end_temporary_access('escalation', $1)",
        &[&vec![escalation_id]],
    )
    .await?;
    Ok(())
}

/// Newest first. `$1` status, `$2` urgency and `$3` acknowledged by, each or null; `$4` and `$5` the row to go on
/// behind, `$6` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.escalations e
         where e.user_id = any ((select core.visible_clients())::varchar[]) and ($1::varchar is null or e.status = $1) and ($2::varchar is null or e.urgency = $2)
            and ($3::varchar is null or e.acknowledged_by = $3)
            and (e.timestamp, e.escalation_id) < ($4, $5)
         order by e.timestamp desc, e.escalation_id desc
         limit $6"
    )
}

/// One episode. `$1` its id.
pub(crate) fn find_sql() -> String {
    format!("select {COLUMNS} from social.escalations e where e.escalation_id = $1")
}
