//! `social.user_risk_profiles` and the history of its labels.

use chrono::{DateTime, Utc};
use common::contracts::RiskLevelChanged;
use common::{ModelRiskLevel, Probability};
use db::{Json, Row, Tx};

use super::word;
use crate::domain::profile::{Profile, Standing};

/// Locks the profiles of the authors of messages (`$1`: message ids), in one order for everybody.
pub(crate) const LOCK_AUTHORS: &str = "
    select p.user_id, p.current_risk_label, p.risk_label_since, p.risk_trend, p.last_decision_at,
        p.nudge_reconsider_at
    from social.user_risk_profiles p
    where p.user_id in (select m.user_id from core.messages m where m.message_id = any ($1))
    order by p.user_id
    for update of p";

/// Locks the profiles of clients (`$1`: user ids), in one order for everybody.
pub(crate) const LOCK: &str = "
    select p.user_id, p.current_risk_label, p.risk_label_since, p.risk_trend, p.last_decision_at,
        p.nudge_reconsider_at
    from social.user_risk_profiles p
    where p.user_id = any ($1)
    order by p.user_id
    for update of p";

/// Locks profiles of which time has changed an input, longest due first; leaves those that somebody works on.
const LOCK_DUE: &str = "
    select p.user_id, p.current_risk_label, p.risk_label_since, p.risk_trend, p.last_decision_at,
        p.nudge_reconsider_at
    from social.user_risk_profiles p
    where p.next_recompute_at <= coalesce($1::timestamptz, now())
    order by p.next_recompute_at
    limit $2
    for update of p skip locked";

/// Locks profiles that another policy than this one (`$1`) has judged; leaves those that somebody works on. No index finds
/// them: it would cost every prediction, and they are looked for after an activation alone.
const LOCK_JUDGED_OTHERWISE: &str = "
    select p.user_id, p.current_risk_label, p.risk_label_since, p.risk_trend, p.last_decision_at,
        p.nudge_reconsider_at
    from social.user_risk_profiles p
    where p.policy_version <> $1 and not p.is_drill
    limit $2
    for update of p skip locked";

/// Locks the profiles of clients and reads nothing of them: everybody who works on a client does so before anything else of
/// theirs, also whoever erases them.
pub(crate) async fn lock(tx: &Tx, user_ids: &[&str]) -> Result<(), db::Error> {
    tx.query(LOCK, &[&user_ids]).await?;
    Ok(())
}

/// As [`lock`], and how they stand.
pub(crate) async fn lock_standings(tx: &Tx, user_ids: &[&str]) -> Result<Vec<Standing>, db::Error> {
    let locked = tx.query(LOCK, &[&user_ids]).await?;
    locked.iter().map(standing_from_row).collect()
}

pub(crate) fn standing_from_row(row: &Row) -> Result<Standing, db::Error> {
    Ok(Standing {
        user_id: row.try_get("user_id")?,
        label: word(row, "current_risk_label")?,
        label_since: row.try_get("risk_label_since")?,
        risk_trend: word(row, "risk_trend")?,
        last_decision_at: row.try_get("last_decision_at")?,
        nudge_reconsider_at: row.try_get("nudge_reconsider_at")?,
    })
}

pub(crate) async fn lock_judged_otherwise(
    tx: &Tx,
    version: &str,
    limit: i64,
) -> Result<Vec<Standing>, db::Error> {
    let rows = tx.query(LOCK_JUDGED_OTHERWISE, &[&version, &limit]).await?;
    rows.iter().map(standing_from_row).collect()
}

pub(crate) async fn lock_due(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Standing>, db::Error> {
    tx.query(LOCK_DUE, &[&now, &limit])
        .await?
        .iter()
        .map(standing_from_row)
        .collect()
}

/// Makes the profiles of clients who have none yet: label UNKNOWN, due at once.
pub(crate) async fn create(tx: &Tx, user_ids: &[&str], now: Option<DateTime<Utc>>) -> Result<u64, db::Error> {
    tx.execute(
        "insert into social.user_risk_profiles
            (user_id, policy_version, last_updated, computed_at, risk_label_since, next_recompute_at)
         select u.user_id, p.version, clock.now, clock.now, clock.now, clock.now
         from core.users u
         cross join social.risk_policies p
         cross join (select coalesce($2::timestamptz, now()) as now) as clock
         where u.user_id = any ($1) and u.kind = 'client' and p.active
         order by u.user_id
         on conflict (user_id) do nothing",
        &[&user_ids, &now],
    )
    .await
}

/// A computed profile and when it is due again.
pub(crate) struct Save<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) last_decision_at: Option<DateTime<Utc>>,
    pub(crate) nudge_reconsider_at: Option<DateTime<Utc>>,
    pub(crate) next_recompute_at: Option<DateTime<Utc>>,
}

/// Stores computed profiles with the commit; they are locked.
pub(crate) fn save(tx: &Tx, rows: &[Save<'_>]) {
    if rows.is_empty() {
        return;
    }
    let score = |of: fn(&Profile) -> Option<f64>| rows.iter().map(|row| of(row.profile)).collect::<Vec<_>>();
    let count = |of: fn(&Profile) -> Option<i64>| {
        rows.iter()
            .map(|row| of(row.profile).map(|n| i32::try_from(n).unwrap_or(i32::MAX)))
            .collect::<Vec<_>>()
    };
    let text = |of: fn(&Profile) -> &str| {
        rows.iter()
            .map(|row| of(row.profile).to_owned())
            .collect::<Vec<_>>()
    };
    let time = |of: fn(&Save<'_>) -> Option<DateTime<Utc>>| rows.iter().map(of).collect::<Vec<_>>();
    tx.at_commit(
        SAVE,
        vec![
            Box::new(text(|p| p.user_id.as_str())),
            Box::new(time(|row| Some(row.profile.windows.now))),
            Box::new(score(|p| p.windows.short.mean_risk())),
            Box::new(score(|p| p.windows.short_max.map(Probability::as_f64))),
            Box::new(score(|p| p.windows.short.mean_isolation())),
            Box::new(count(|p| Some(p.windows.short_high_risk_count))),
            Box::new(count(|p| Some(p.windows.short_toxic_incidents))),
            Box::new(score(|p| p.windows.medium.mean_risk())),
            Box::new(score(|p| p.windows.medium_max.map(Probability::as_f64))),
            Box::new(score(|p| p.windows.medium.mean_isolation())),
            Box::new(text(|p| p.risk_trend.as_str())),
            Box::new(text(|p| p.isolation_trend.as_str())),
            Box::new(text(|p| p.label.as_str())),
            Box::new(time(|row| Some(row.profile.label_since))),
            Box::new(count(|p| Some(p.windows.messages.total))),
            Box::new(count(|p| Some(p.windows.messages.buddy))),
            Box::new(count(|p| Some(p.windows.messages.counselor))),
            Box::new(time(|row| row.profile.windows.messages.last_at)),
            Box::new(count(|p| p.windows.days_since_last_buddy_msg())),
            Box::new(
                rows.iter()
                    .map(|row| Json(row.profile.reasons.clone()))
                    .collect::<Vec<_>>(),
            ),
            Box::new(text(|p| p.policy_version.as_str())),
            Box::new(time(|row| row.next_recompute_at)),
            Box::new(time(|row| row.last_decision_at)),
            Box::new(time(|row| row.nudge_reconsider_at)),
        ],
    );
}

const SAVE: &str = "
    update social.user_risk_profiles p
    set last_updated = n.computed_at, computed_at = n.computed_at,
        short_avg_risk_score = n.short_avg_risk_score, short_max_risk_score = n.short_max_risk_score,
        short_avg_isolation = n.short_avg_isolation, short_high_risk_count = n.short_high_risk_count,
        short_toxic_incidents = n.short_toxic_incidents, medium_avg_risk_score = n.medium_avg_risk_score,
        medium_max_risk_score = n.medium_max_risk_score, medium_avg_isolation = n.medium_avg_isolation,
        risk_trend = n.risk_trend, isolation_trend = n.isolation_trend, current_risk_label = n.current_risk_label,
        risk_label_since = n.risk_label_since, total_messages_7d = n.total_messages_7d,
        buddy_messages_7d = n.buddy_messages_7d, counselor_messages_7d = n.counselor_messages_7d,
        last_message_time = n.last_message_time, days_since_last_buddy_msg = n.days_since_last_buddy_msg,
        reasons = n.reasons, policy_version = n.policy_version, next_recompute_at = n.next_recompute_at,
        last_decision_at = n.last_decision_at, nudge_reconsider_at = n.nudge_reconsider_at
    from unnest($1::varchar[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::int4[], $7::int4[],
        $8::float8[], $9::float8[], $10::float8[], $11::varchar[], $12::varchar[], $13::varchar[],
        $14::timestamptz[], $15::int4[], $16::int4[], $17::int4[], $18::timestamptz[], $19::int4[], $20::jsonb[],
        $21::varchar[], $22::timestamptz[], $23::timestamptz[], $24::timestamptz[])
        as n (user_id, computed_at, short_avg_risk_score, short_max_risk_score, short_avg_isolation,
            short_high_risk_count, short_toxic_incidents, medium_avg_risk_score, medium_max_risk_score,
            medium_avg_isolation, risk_trend, isolation_trend, current_risk_label, risk_label_since,
            total_messages_7d, buddy_messages_7d, counselor_messages_7d, last_message_time,
            days_since_last_buddy_msg, reasons, policy_version, next_recompute_at, last_decision_at,
            nudge_reconsider_at)
    where p.user_id = n.user_id";

/// Keeps the history of labels, with the commit.
pub(crate) fn record_label_changes(tx: &Tx, changed: &[&Profile]) {
    if changed.is_empty() {
        return;
    }
    let text = |of: fn(&Profile) -> &str| changed.iter().map(|p| of(p).to_owned()).collect::<Vec<_>>();
    tx.at_commit(
        "insert into social.risk_label_changes (user_id, from_label, to_label, changed_at, reasons, policy_version)
         select n.user_id, n.from_label, n.to_label, n.changed_at, n.reasons, n.policy_version
         from unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::timestamptz[], $5::jsonb[], $6::varchar[])
            as n (user_id, from_label, to_label, changed_at, reasons, policy_version)",
        vec![
            Box::new(text(|p| p.user_id.as_str())),
            Box::new(text(|p| p.previous_label.as_str())),
            Box::new(text(|p| p.label.as_str())),
            Box::new(changed.iter().map(|p| p.windows.now).collect::<Vec<_>>()),
            Box::new(changed.iter().map(|p| Json(p.reasons.clone())).collect::<Vec<_>>()),
            Box::new(text(|p| p.policy_version.as_str())),
        ],
    );
}

/// Keeps what the risk service said last of each client. The profiles are locked; what it said before what stands is passed
/// over.
pub(crate) async fn save_model_levels(tx: &Tx, changes: &[RiskLevelChanged]) -> Result<(), db::Error> {
    let text = |of: fn(&RiskLevelChanged) -> Option<&str>| changes.iter().map(of).collect::<Vec<_>>();
    tx.execute(
        "update social.user_risk_profiles p
         set model_risk_level = n.level, model_level_since = n.since, model_predicted_at = n.predicted_at,
            model_name = n.model_name, model_version = n.model_version
         from (select distinct on (l.user_id) l.user_id, l.level, l.since, l.predicted_at, l.model_name, l.model_version
               from unnest($1::varchar[], $2::varchar[], $3::timestamptz[], $4::timestamptz[], $5::varchar[], $6::varchar[])
                    with ordinality as l (user_id, level, since, predicted_at, model_name, model_version, position)
               order by l.user_id, l.since desc, l.position desc) as n
         where p.user_id = n.user_id and (p.model_level_since is null or p.model_level_since <= n.since)",
        &[
            &text(|change| Some(&change.user_id)),
            &text(|change| change.to.map(ModelRiskLevel::as_str)),
            &changes.iter().map(|change| change.since).collect::<Vec<_>>(),
            &changes.iter().map(|change| change.predicted_at).collect::<Vec<_>>(),
            &text(|change| change.model_name.as_deref()),
            &text(|change| change.model_version.as_deref()),
        ],
    )
    .await?;
    Ok(())
}
