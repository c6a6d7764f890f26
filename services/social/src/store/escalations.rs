//! `social.escalations` and who was told of them.

use chrono::{DateTime, Utc};
use common::{ContactOutcome, EscalationStatus, EscalationType, Urgency};
use db::{Row, Tx};
use uuid::Uuid;

use super::word;
use crate::domain::escalation::Trigger;

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
    pub(crate) tier: i32,
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
const COLUMNS: &str = "e.escalation_id, e.user_id, e.timestamp, e.escalation_type, e.urgency, e.risk_score,
    e.risk_level, e.trigger_reason, e.trigger_data, e.trigger_count, e.last_triggered_at, e.status, e.tier,
    e.escalated_to, e.notification_method, e.acknowledged_at, e.acknowledged_by, e.ack_expires_at, e.resolved_at,
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
        tier: row.try_get("tier")?,
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
/// score and reasons, and raises the urgency where it is higher. One trigger per client and type.
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
            trigger_reason, trigger_data, timestamp, last_triggered_at)
         select n.user_id, n.escalation_type, n.urgency, n.risk_score, n.risk_level, n.reason, n.data, clock.now, clock.now
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

/// Locks open episodes that wait for an answer and of which somebody was not told: nobody could be when it was raised,
/// or somebody has come on call, or to the client, since.
pub(crate) async fn lock_untold(
    tx: &Tx,
    limit: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Escalation>, db::Error> {
    let sql = format!(
        "select {COLUMNS} from social.escalations e
         where e.status in ('pending', 'notified') and e.user_id is not null
            and exists (
                select from social.crisis_staff(array[e.user_id], coalesce($2::timestamptz, now())) s
                where not exists (
                    select from social.notification_deliveries d
                    where d.escalation_id = e.escalation_id and d.tier = e.tier and d.staff_id = s.staff_id))
         order by e.timestamp limit $1 for update of e skip locked"
    );
    tx.query(&sql, &[&limit, &now])
        .await?
        .iter()
        .map(from_row)
        .collect()
}

/// The relation of those who are told because they are on call.
const ON_CALL: &str = "oncall";

/// Somebody to tell.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    pub(crate) escalation_id: i64,
    pub(crate) client_id: String,
    pub(crate) staff_id: String,
    pub(crate) relation: String,
}

/// Who is told of these episodes: each client's counselors, and everybody on call who is on duty.
pub(crate) async fn recipients(
    tx: &Tx,
    escalations: &[&Escalation],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Recipient>, db::Error> {
    let clients: Vec<&str> = escalations.iter().filter_map(|e| e.user_id.as_deref()).collect();
    let rows = tx
        .query(
            "select e.escalation_id, s.client_id, s.staff_id, s.relation
             from social.escalations e
             join social.crisis_staff($2, coalesce($3::timestamptz, now())) s on s.client_id = e.user_id
             where e.escalation_id = any ($1)
             order by e.escalation_id, s.relation, s.staff_id",
            &[
                &escalations.iter().map(|e| e.escalation_id).collect::<Vec<_>>(),
                &clients,
                &now,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Recipient {
                escalation_id: row.try_get("escalation_id")?,
                client_id: row.try_get("client_id")?,
                staff_id: row.try_get("staff_id")?,
                relation: row.try_get("relation")?,
            })
        })
        .collect()
}

/// Who was told just now, and which episodes that moved.
pub(crate) struct Told {
    /// People told; somebody who knew of the tier already is none.
    pub(crate) deliveries: u64,
    /// Episodes that nobody knew of before.
    pub(crate) notified: Vec<Escalation>,
}

/// Records who is told in the app, and lets those on call see the client for as long as the episode is open: the
/// client's counselors see the client anyway, for as long as they are. Telling the same person of the same tier again
/// changes nothing.
pub(crate) async fn tell(tx: &Tx, recipients: &[Recipient]) -> Result<Told, db::Error> {
    let ids: Vec<i64> = recipients.iter().map(|r| r.escalation_id).collect();
    let staff: Vec<&str> = recipients.iter().map(|r| r.staff_id.as_str()).collect();
    let relations: Vec<&str> = recipients.iter().map(|r| r.relation.as_str()).collect();
    let delivery_ids: Vec<Uuid> = recipients.iter().map(|_| Uuid::now_v7()).collect();
    let deliveries = tx
        .execute(
            "insert into social.notification_deliveries (delivery_id, escalation_id, staff_id, relation, tier)
             select n.delivery_id, n.escalation_id, n.staff_id, n.relation, e.tier
             from unnest($1::uuid[], $2::int8[], $3::varchar[], $4::varchar[])
                as n (delivery_id, escalation_id, staff_id, relation)
             join social.escalations e on e.escalation_id = n.escalation_id
             on conflict (escalation_id, tier, staff_id, method) do nothing",
            &[&delivery_ids, &ids, &staff, &relations],
        )
        .await?;
    let on_call: Vec<&Recipient> = recipients.iter().filter(|r| r.relation == ON_CALL).collect();
    tx.query(
        "select core.grant_temporary_access($1, $2, 'escalation', $3)",
        &[
            &on_call.iter().map(|r| r.staff_id.as_str()).collect::<Vec<_>>(),
            &on_call.iter().map(|r| r.client_id.as_str()).collect::<Vec<_>>(),
            &on_call.iter().map(|r| r.escalation_id).collect::<Vec<_>>(),
        ],
    )
    .await?;
    let sql = format!(
        "update social.escalations e
         set status = 'notified', notification_method = 'in_app', escalated_to = n.staff_id
         from (select distinct on (escalation_id) escalation_id, staff_id
               from unnest($1::int8[], $2::varchar[]) as told (escalation_id, staff_id)) as n
         where e.escalation_id = n.escalation_id and e.status = 'pending'
         returning {COLUMNS}"
    );
    let notified = tx
        .query(&sql, &[&ids, &staff])
        .await?
        .iter()
        .map(from_row)
        .collect::<Result<_, _>>()?;
    Ok(Told { deliveries, notified })
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

/// Somebody takes a locked, open episode for so many minutes.
pub(crate) async fn acknowledge(
    tx: &Tx,
    escalation_id: i64,
    staff_id: &str,
    lease_minutes: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Escalation, db::Error> {
    let sql = format!(
        "update social.escalations e
         set status = 'acknowledged', acknowledged_by = $2, acknowledged_at = case when e.status = 'acknowledged' then e.acknowledged_at
                else coalesce($4::timestamptz, now()) end,
            ack_expires_at = coalesce($4::timestamptz, now()) + $3::int8 * interval '1 minute'
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

/// Ends a locked, open episode, records the contact and ends the access it gave.
pub(crate) async fn resolve(
    tx: &Tx,
    escalation_id: i64,
    staff_id: &str,
    resolution: &Resolution,
    now: Option<DateTime<Utc>>,
) -> Result<Escalation, db::Error> {
    let sql = format!(
        "with contact as (
            insert into social.contacts (client_id, staff_id, escalation_id, method, outcome, at, notes)
            select c.user_id, $2, c.escalation_id, 'other', $3, coalesce($6::timestamptz, now()), $4
            from social.escalations c where c.escalation_id = $1)
         update social.escalations e
         set status = 'resolved', outcome = $3, resolution_notes = $4, next_contact_at = $5,
            resolved_at = coalesce($6::timestamptz, now())
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
    // Last: for on-call staff the row is out of sight from here on.
    tx.query(
        "select core.end_temporary_access('escalation', $1)",
        &[&vec![escalation_id]],
    )
    .await?;
    Ok(resolved)
}

/// Takes back acknowledgements that ran out without a contact: the episode wants an answer again.
pub(crate) async fn expire_leases(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Escalation>, db::Error> {
    let sql = format!(
        "with clock as (select coalesce($1::timestamptz, now()) as now), over as (
            select a.escalation_id from social.escalations a, clock
            where a.status = 'acknowledged' and a.ack_expires_at <= clock.now
                and not exists (select from social.contacts c
                    where c.escalation_id = a.escalation_id and c.at >= a.acknowledged_at)
            order by a.ack_expires_at limit $2 for update of a skip locked)
         update social.escalations e
         set status = 'notified', acknowledged_at = null, acknowledged_by = null, ack_expires_at = null
         from over
         where e.escalation_id = over.escalation_id
         returning {COLUMNS}"
    );
    tx.query(&sql, &[&now, &limit])
        .await?
        .iter()
        .map(from_row)
        .collect()
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
