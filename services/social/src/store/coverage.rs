//! `social.coverage_gaps`: when nobody would be told but the last resort, and when a schedule stands empty.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// Whether somebody is to look ahead now, and nobody else does: an active policy was not looked at within the hour.
pub(crate) async fn is_due(tx: &Tx, now: Option<DateTime<Utc>>) -> Result<bool, db::Error> {
    let row = tx
        .query_one(
            "select exists (select from social.escalation_policies p
                where p.active and coalesce(p.forecast_at <= coalesce($1::timestamptz, now()) - interval '1 hour', true))
                and pg_try_advisory_xact_lock(hashtextextended('social.coverage_gaps', 0)) as is_due",
            &[&now],
        )
        .await?;
    Ok(row.try_get("is_due")?)
}

/// Finds every gap of the next 14 days (`$1` the time). Who is on duty changes only where a shift or an override begins or
/// ends: between two such moments it is as at the first, and there `social.oncall_at` says it. A schedule to which nobody
/// was ever put, and which no active policy names, is none. Counselors are reached of every client, or they are no answer
/// for some.
const FIND: &str = "
    with clock as materialized (
        select c.now, c.now + interval '336 hours' as until, tstzmultirange(tstzrange(c.now, c.now + interval '336 hours')) as ahead
        from (select coalesce($1::timestamptz, now()) as now) as c),
    steps as materialized (
        select s.policy_id, s.target, s.staff_id, s.schedule_id
        from social.escalation_policies p join social.escalation_policy_steps s on s.policy_id = p.policy_id
        where p.active),
    schedules as materialized (
        select s.schedule_id from social.oncall_schedules s
        where s.schedule_id in (select n.schedule_id from steps n)
            or exists (select from social.oncall_shifts h where h.schedule_id = s.schedule_id)
            or exists (select from social.oncall_overrides o where o.schedule_id = s.schedule_id)
            or exists (select from social.oncall_rotations r where r.schedule_id = s.schedule_id)),
    spans as (
        select h.schedule_id, h.starts_at, h.ends_at from clock, social.oncall_shifts h
        where h.ends_at > clock.now and h.starts_at < clock.until and h.starts_at > clock.now - interval '700 hours'
        union all
        select o.schedule_id, o.starts_at, o.ends_at from clock, social.oncall_overrides o
        where o.ends_at > clock.now and o.starts_at < clock.until and o.starts_at > clock.now - interval '700 hours'),
    moments as (
        select s.schedule_id, clock.now as at from clock, schedules s
        union
        select s.schedule_id, m.at from clock, spans s cross join lateral (values (s.starts_at), (s.ends_at)) as m (at)
        where m.at > clock.now and m.at < clock.until),
    stretches as materialized (
        select m.schedule_id, m.at, lead(m.at, 1, clock.until) over (partition by m.schedule_id order by m.at) as until
        from clock, moments m),
    held as materialized (
        select s.schedule_id, range_agg(tstzrange(s.at, s.until)) as times from stretches s
        where exists (select from social.oncall_at(s.schedule_id, s.at))
        group by s.schedule_id),
    -- As social.on_duty says it.
    anybody as (
        select case
            when exists (select from social.oncall_shifts) or exists (select from social.oncall_overrides) then
                (select range_agg(t.time) from held h cross join lateral unnest(h.times) as t (time))
            when social.role_is_held('oncall') then clock.ahead end as times
        from clock),
    counselled as materialized (
        select exists (select from steps s where s.target = 'counselors') and not social.some_lack_a_counselor() as are_all),
    reached as (
        select s.policy_id, range_agg(t.time) as times
        from clock cross join steps s cross join anybody a cross join counselled c left join held h on h.schedule_id = s.schedule_id
        cross join lateral unnest(case s.target
            when 'schedule' then case when s.schedule_id is null then a.times else h.times end
            when 'staff' then case when social.answers_escalations(s.staff_id) then clock.ahead end
            else case when c.are_all then clock.ahead end end) as t (time)
        group by s.policy_id)
    insert into social.coverage_gaps (policy_id, schedule_id, starts_at, ends_at)
    select p.policy_id, null, lower(g.time), upper(g.time)
    from clock cross join social.escalation_policies p left join reached r on r.policy_id = p.policy_id
    cross join lateral unnest(clock.ahead - coalesce(r.times, '{}')) as g (time)
    where p.active
    union all
    select null, s.schedule_id, lower(g.time), upper(g.time)
    from clock cross join schedules s left join held h on h.schedule_id = s.schedule_id
    cross join lateral unnest(clock.ahead - coalesce(h.times, '{}')) as g (time)";

/// Replaces what is known of gaps by what the next 14 days hold; returns how many policies were looked at.
pub(crate) async fn look_ahead(tx: &Tx, now: Option<DateTime<Utc>>) -> Result<u64, db::Error> {
    // The policies first: a change of one that is under way is waited for and seen, and a later one asks for another look.
    tx.execute(
        "update social.escalation_policies p set forecast_at = null where not p.active and p.forecast_at is not null",
        &[],
    )
    .await?;
    let looked_at = tx
        .execute(
            "update social.escalation_policies p set forecast_at = coalesce($1::timestamptz, now()) where p.active",
            &[&now],
        )
        .await?;
    tx.pipeline(&[("delete from social.coverage_gaps", &[]), (FIND, &[&now])])
        .await?;
    Ok(looked_at)
}

/// A time at which somebody is missed.
pub(crate) struct Gap {
    /// The schedule that is empty; `None`: the tiers of the policy reach nobody.
    pub(crate) schedule_id: Option<i64>,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
}

/// The gaps of a policy (`$1`) and of the schedules by which it pages that are not over (`$2` the time), by time; no row
/// where there is no such policy, and one without a gap where it has none. `$3` limit.
pub(crate) const OF_POLICY: &str = "
    select p.forecast_at, p.forecast_at + interval '336 hours' as until, g.schedule_id, g.starts_at, g.ends_at
    from social.escalation_policies p
    left join social.coverage_gaps g on p.active and p.forecast_at is not null and g.ends_at > coalesce($2::timestamptz, now())
        and (g.policy_id = p.policy_id or g.schedule_id is not null and exists (
            select from social.escalation_policy_steps s
            where s.policy_id = p.policy_id and s.target = 'schedule'
                and (s.schedule_id is null or s.schedule_id = g.schedule_id)))
    where p.policy_id = $1
    order by g.starts_at, g.schedule_id nulls first
    limit $3";

/// Reads a gap, where the row has one.
pub(crate) fn gap(row: &Row) -> Result<Option<Gap>, db::Error> {
    let (starts_at, ends_at): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) =
        (row.try_get("starts_at")?, row.try_get("ends_at")?);
    let schedule_id = row.try_get("schedule_id")?;
    Ok(starts_at.zip(ends_at).map(|(starts_at, ends_at)| Gap {
        schedule_id,
        starts_at,
        ends_at,
    }))
}
