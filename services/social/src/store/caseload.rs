//! What counselors start their day with: the profiles of everybody they may see, and their sums.

use chrono::{DateTime, Utc};
use common::{ContactOutcome, EscalationStatus, EscalationType, ModelRiskLevel, RiskLabel, Trend, Urgency};
use db::{Json, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::word;
use crate::domain::label::Reason;

/// The columns of a profile, under the alias `p`.
const PROFILE: &str = "p.user_id, p.last_updated, p.short_avg_risk_score, p.short_max_risk_score, p.short_avg_isolation,
    p.short_high_risk_count, p.short_toxic_incidents, p.medium_avg_risk_score, p.medium_max_risk_score,
    p.medium_avg_isolation, p.risk_trend, p.isolation_trend, p.current_risk_label, p.risk_label_since,
    p.total_messages_7d, p.buddy_messages_7d, p.counselor_messages_7d, p.last_message_time,
    p.days_since_last_buddy_msg, p.reasons, p.policy_version, p.computed_at, p.model_risk_level, p.model_level_since,
    p.model_predicted_at, p.model_name, p.model_version";

/// A profile as it is read.
pub(crate) struct Profile {
    pub(crate) user_id: String,
    pub(crate) last_updated: DateTime<Utc>,
    pub(crate) short_avg_risk_score: Option<f64>,
    pub(crate) short_max_risk_score: Option<f64>,
    pub(crate) short_avg_isolation: Option<f64>,
    pub(crate) short_high_risk_count: i32,
    pub(crate) short_toxic_incidents: i32,
    pub(crate) medium_avg_risk_score: Option<f64>,
    pub(crate) medium_max_risk_score: Option<f64>,
    pub(crate) medium_avg_isolation: Option<f64>,
    pub(crate) risk_trend: Trend,
    pub(crate) isolation_trend: Trend,
    pub(crate) current_risk_label: RiskLabel,
    pub(crate) risk_label_since: DateTime<Utc>,
    pub(crate) total_messages_7d: i32,
    pub(crate) buddy_messages_7d: i32,
    pub(crate) counselor_messages_7d: i32,
    pub(crate) last_message_time: Option<DateTime<Utc>>,
    pub(crate) days_since_last_buddy_msg: Option<i32>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) policy_version: String,
    pub(crate) computed_at: DateTime<Utc>,
    pub(crate) model_risk_level: Option<ModelRiskLevel>,
    pub(crate) model_level_since: Option<DateTime<Utc>>,
    pub(crate) model_predicted_at: Option<DateTime<Utc>>,
    pub(crate) model_name: Option<String>,
    pub(crate) model_version: Option<String>,
}

pub(crate) fn profile_from_row(row: &Row) -> Result<Profile, db::Error> {
    let Json(reasons): Json<Vec<Reason>> = row.try_get("reasons")?;
    let model_risk_level: Option<&str> = row.try_get("model_risk_level")?;
    Ok(Profile {
        user_id: row.try_get("user_id")?,
        last_updated: row.try_get("last_updated")?,
        short_avg_risk_score: row.try_get("short_avg_risk_score")?,
        short_max_risk_score: row.try_get("short_max_risk_score")?,
        short_avg_isolation: row.try_get("short_avg_isolation")?,
        short_high_risk_count: row.try_get("short_high_risk_count")?,
        short_toxic_incidents: row.try_get("short_toxic_incidents")?,
        medium_avg_risk_score: row.try_get("medium_avg_risk_score")?,
        medium_max_risk_score: row.try_get("medium_max_risk_score")?,
        medium_avg_isolation: row.try_get("medium_avg_isolation")?,
        risk_trend: word(row, "risk_trend")?,
        isolation_trend: word(row, "isolation_trend")?,
        current_risk_label: word(row, "current_risk_label")?,
        risk_label_since: row.try_get("risk_label_since")?,
        total_messages_7d: row.try_get("total_messages_7d")?,
        buddy_messages_7d: row.try_get("buddy_messages_7d")?,
        counselor_messages_7d: row.try_get("counselor_messages_7d")?,
        last_message_time: row.try_get("last_message_time")?,
        days_since_last_buddy_msg: row.try_get("days_since_last_buddy_msg")?,
        reasons,
        policy_version: row.try_get("policy_version")?,
        computed_at: row.try_get("computed_at")?,
        model_risk_level: model_risk_level
            .map(|_| word(row, "model_risk_level"))
            .transpose()?,
        model_level_since: row.try_get("model_level_since")?,
        model_predicted_at: row.try_get("model_predicted_at")?,
        model_name: row.try_get("model_name")?,
        model_version: row.try_get("model_version")?,
    })
}

/// One profile. `$1` the client.
pub(crate) fn find_sql() -> String {
    format!("select {PROFILE} from social.user_risk_profiles p where p.user_id = $1")
}

/// Whether the caller sees the client at all, and for more than a crisis. `$1` the client.
pub(crate) const SEES: &str = "
    select p.user_id = any (array(select core.crisis_clients())) as in_crisis_only
    from social.user_risk_profiles p
    where p.user_id = $1";

/// A row where there is such a client, also one who has no profile yet. `$1` the client.
pub(crate) const IS_CLIENT: &str =
    "select u.user_id from core.users u where u.user_id = $1 and u.kind = 'client'";

/// A client on the caseload list.
pub(crate) struct Client {
    pub(crate) profile: Profile,
    pub(crate) display_name: Option<String>,
    /// How urgent the label is, most urgent first: the first part of the list's order.
    pub(crate) urgency: i32,
    /// Open escalations, newest first, at most [`MAX_OPEN_SHOWN`].
    pub(crate) open_escalations: Vec<OpenEscalation>,
    pub(crate) last_contact: Option<LastContact>,
}

/// An open escalation as the caseload list shows it.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OpenEscalation {
    escalation_id: i64,
    #[schema(value_type = String, example = "profile_risk")]
    escalation_type: EscalationType,
    #[schema(value_type = String, example = "critical")]
    urgency: Urgency,
    #[schema(value_type = String, example = "notified")]
    status: EscalationStatus,
    timestamp: DateTime<Utc>,
    trigger_count: i32,
    acknowledged_by: Option<String>,
}

/// The last contact as the caseload list shows it.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct LastContact {
    at: DateTime<Utc>,
    staff_id: Option<String>,
    method: String,
    #[schema(value_type = String, example = "spoke")]
    outcome: ContactOutcome,
}

/// Open escalations shown per client; one of each type can be open.
pub(crate) const MAX_OPEN_SHOWN: i64 = 6;

/// The caseload, most urgent first: by label, then by mean risk of the last 7 days. `$1` label and `$2` trend or
/// null; `$3`, `$4`, `$5` urgency, mean risk (-1 for none) and id of the last row seen, or null; `$6` limit.
///
/// The page is cut before anything is looked up beside it. That the clients are visible is the row policy's to
/// decide; it is said here as well so that the index on them is used.
pub(crate) fn list_sql() -> String {
    format!(
        "select page.*, u.display_name, open.escalations as open_escalations, contact.last as last_contact
         from (
            select {PROFILE}, label.urgency, coalesce(p.short_avg_risk_score, -1) as mean_risk
            from social.user_risk_profiles p
            cross join lateral (select array_position(
                array['HIGH_RISK', 'MODERATE_RISK', 'ISOLATION_ONLY', 'UNKNOWN', 'LOW_RISK'],
                p.current_risk_label::text) as urgency) as label
            where p.user_id = any ((select core.visible_clients())::varchar[]) and not p.is_drill
                and ($1::varchar is null or p.current_risk_label = $1)
                and ($2::varchar is null or p.risk_trend = $2)
                and ($3::int4 is null or (label.urgency, -coalesce(p.short_avg_risk_score, -1), p.user_id)
                    > ($3, -($4::float8), $5::varchar))
            order by label.urgency, mean_risk desc, p.user_id
            limit $6
         ) as page
         left join lateral (
            select d.display_name from core.users d where d.user_id = page.user_id
         ) as u on true
         left join lateral (
            select coalesce(jsonb_agg(jsonb_build_object(
                'escalation_id', e.escalation_id, 'escalation_type', e.escalation_type, 'urgency', e.urgency,
                'status', e.status, 'timestamp', e.timestamp, 'trigger_count', e.trigger_count,
                'acknowledged_by', e.acknowledged_by)), '[]') as escalations
            from (
                select o.escalation_id, o.escalation_type, o.urgency, o.status, o.timestamp, o.trigger_count,
                    o.acknowledged_by
                from social.escalations o
                where o.user_id = page.user_id and o.status in ('pending', 'notified', 'acknowledged')
                order by o.timestamp desc limit {MAX_OPEN_SHOWN}) as e
         ) as open on true
         left join lateral (
            select jsonb_build_object('at', c.at, 'staff_id', c.staff_id, 'method', c.method, 'outcome', c.outcome) as last
            from social.contacts c
            where c.client_id = page.user_id
            order by c.at desc limit 1
         ) as contact on true
         order by page.urgency, page.mean_risk desc, page.user_id"
    )
}

pub(crate) fn client_from_row(row: &Row) -> Result<Client, db::Error> {
    let Json(open_escalations): Json<Vec<OpenEscalation>> = row.try_get("open_escalations")?;
    let last_contact: Option<Json<LastContact>> = row.try_get("last_contact")?;
    Ok(Client {
        profile: profile_from_row(row)?,
        display_name: row.try_get("display_name")?,
        urgency: row.try_get("urgency")?,
        open_escalations,
        last_contact: last_contact.map(|Json(contact)| contact),
    })
}

/// Clients per label, how that changed within 24 hours, and open escalations: one row a label. `$1` now or null.
pub(crate) const SUMMARY: &str = "
    with changed as (
        select distinct on (c.user_id) c.user_id, c.from_label
        from social.risk_label_changes c
        where c.user_id = any ((select core.visible_clients())::varchar[])
            and c.changed_at > coalesce($1::timestamptz, now()) - interval '24 hours'
        order by c.user_id, c.changed_at, c.id
    )
    select l.label,
        count(p.user_id) as clients,
        count(p.user_id) - count(p.user_id) filter (where changed.from_label is not null)
            + (select count(*) from changed before where before.from_label = l.label) as clients_yesterday,
        (select count(*) from social.escalations e
         where e.user_id = any ((select core.visible_clients())::varchar[])
            and e.escalation_type <> 'drill' and e.status in ('pending', 'notified', 'acknowledged')) as open_escalations
    from unnest(array['HIGH_RISK', 'MODERATE_RISK', 'ISOLATION_ONLY', 'UNKNOWN', 'LOW_RISK'])
        with ordinality as l (label, position)
    left join social.user_risk_profiles p on p.current_risk_label = l.label
        and p.user_id = any ((select core.visible_clients())::varchar[]) and not p.is_drill
    left join changed on changed.user_id = p.user_id
    group by l.label, l.position
    order by l.position";

/// The label history of a client, newest first. `$1` user, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const HISTORY: &str = "
    select c.id, c.from_label, c.to_label, c.changed_at, c.reasons, c.policy_version
    from social.risk_label_changes c
    where c.user_id = $1 and (c.changed_at, c.id) < ($2, $3)
    order by c.changed_at desc, c.id desc
    limit $4";

#[cfg(test)]
mod tests {
    /// Indentation apart.
    fn words(sql: &str) -> Vec<&str> {
        sql.split_whitespace().collect()
    }

    #[test]
    fn the_benchmark_measures_the_statement_that_is_served() {
        let measured = include_str!("../../../../bench/service/caseload.sql");
        assert_eq!(words(measured), words(&super::list_sql()));
    }
}
