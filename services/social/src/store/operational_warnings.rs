//! `social.operational_warnings`, and what they are looked for by.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::warning::Kind;

/// Something that is not as it should be, and how bad it is: minutes that something waits, or people of whom it is so.
pub(crate) type Found = (Kind, i64);

/// What is too long, and whether anybody is reached outside the app at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) silent_pipeline_minutes: i32,
    pub(crate) queue_lag_minutes: i32,
    pub(crate) pages_leave: bool,
    pub(crate) repeat_hours: i32,
}

/// A day of messages is looked at and no more. Without one that waits, no prediction is owed: nobody has written. The latest
/// of the last hundred predictions, since a backfill may bring old ones; the oldest of the thousand events that are due first.
const FIND: &str = "
    with clock as (select coalesce($1::timestamptz, now()) as now,
            make_interval(mins => $2) as silence, make_interval(mins => $3) as lag),
    predicted as (
        select max(p.timestamp) as at
        from (select l.timestamp from social.message_predictions l order by l.id desc limit 100) as p),
    waiting as (
        select m.timestamp as since
        from clock, predicted, core.messages m
        where m.timestamp > greatest(predicted.at, clock.now - interval '1 day')
            and m.timestamp <= clock.now - clock.silence and m.sender_role = 'user'
            and coalesce(predicted.at <= clock.now - clock.silence, true)
        order by m.timestamp limit 1),
    unreachable as (
        select count(*) as people from clock cross join lateral social.on_duty(clock.now) as d (staff_id)
        where $4 and not exists (select from social.contact_methods c
            where c.staff_id = d.staff_id and c.verified_at is not null)),
    unsent as (
        select min(o.created_at) as since
        from (select u.created_at from social.outbox u where u.published_at is null
            order by u.next_attempt_at, u.id limit 1000) as o),
    uncovered as (
        select (extract(epoch from sum(upper(t.time) - lower(t.time))) / 60)::int8 as minutes
        from (select range_agg(g.time) as times from clock cross join lateral (
                select tstzrange(o.starts_at, o.ends_at) as time from social.coverage_gaps o
                join social.escalation_policies p on p.policy_id = o.policy_id
                where p.escalation_type is distinct from 'drill' and o.ends_at > clock.now
                union all
                -- Of what nobody has looked at for hours nothing is known.
                select tstzrange(greatest(p.forecast_at + interval '14 days', clock.now), clock.now + interval '14 days')
                from social.escalation_policies p
                where p.active and coalesce(p.forecast_at, p.activated_at) < clock.now - interval '3 hours') as g) as c
        cross join lateral unnest(c.times) as t (time)),
    -- Not pages of warnings: that of the lag would be a lag.
    unpaged as (
        select min(d.next_attempt_at) as since from social.notification_deliveries d
        where d.status = 'pending' and d.escalation_id is not null)
    select 'pipeline_silent' as kind, (extract(epoch from clock.now - w.since) / 60)::int8 as measure from clock, waiting w
    union all select 'staff_unreachable', u.people from unreachable u where u.people > 0
    union all select 'outbox_lag', (extract(epoch from clock.now - u.since) / 60)::int8
        from clock, unsent u where u.since <= clock.now - clock.lag
    union all select 'delivery_lag', (extract(epoch from clock.now - u.since) / 60)::int8
        from clock, unpaged u where u.since <= clock.now - clock.lag
    union all select 'coverage_gap', u.minutes from uncovered u where u.minutes is not null";

/// What is not as it should be now.
pub(crate) async fn find(
    tx: &Tx,
    limits: Limits,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Found>, db::Error> {
    let params: db::Params<'_> = &[
        &now,
        &limits.silent_pipeline_minutes,
        &limits.queue_lag_minutes,
        &limits.pages_leave,
    ];
    tx.query(FIND, params)
        .await?
        .iter()
        .map(|row| Ok((Kind::named(row.try_get("kind")?)?, row.try_get("measure")?)))
        .collect()
}

/// Opens a warning of each, or keeps the one that is open; returns the kinds of those that were opened. One that has not
/// changed is not written.
pub(crate) async fn keep(
    tx: &Tx,
    found: &[Found],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<String>, db::Error> {
    let rows = tx
        .query(
            "insert into social.operational_warnings as w (kind, measure, opened_at, last_seen_at)
             select n.kind, n.measure, clock.now, clock.now
             from unnest($1::varchar[], $2::int8[]) as n (kind, measure),
                (select coalesce($3::timestamptz, now()) as now) as clock
             order by n.kind
             on conflict (kind) where closed_at is null
             do update set measure = excluded.measure, last_seen_at = greatest(w.last_seen_at, excluded.last_seen_at)
                where w.measure <> excluded.measure
             returning w.kind, w.xmax = 0 as is_new",
            &[
                &found.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
                &found.iter().map(|(_, measure)| *measure).collect::<Vec<_>>(),
                &now,
            ],
        )
        .await?;
    let mut opened = Vec::new();
    for row in &rows {
        if row.try_get("is_new")? {
            opened.push(row.try_get("kind")?);
        }
    }
    Ok(opened)
}

/// Closes the open warnings of these kinds; returns their kinds.
pub(crate) async fn close(
    tx: &Tx,
    kinds: &[Kind],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<String>, db::Error> {
    let rows = tx
        .query(
            "update social.operational_warnings w
             set closed_at = greatest(w.opened_at, coalesce($2::timestamptz, now()))
             where w.closed_at is null and w.kind = any ($1)
             returning w.kind",
            &[&kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(), &now],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get("kind")?)).collect()
}

/// Whoever reads warnings is told of each that is open, again after some hours, and not while a page of it still waits: with
/// nothing that sends them they would pile up; nor anew of what comes and goes within the hour. Who has a way to be reached only now is told then.
const TELL: &str = "
    with clock as (select coalesce($1::timestamptz, now()) as now)
    insert into social.notification_deliveries
        (delivery_id, warning_id, round, tier, staff_id, relation, method, status, next_attempt_at, created_at)
    select gen_random_uuid(), w.warning_id, 1 + coalesce(before.rounds, 0), 0, r.staff_id, 'operations', m.method,
        case m.method when 'in_app' then 'sent' else 'pending' end,
        case when m.method <> 'in_app' then clock.now end, clock.now
    from clock cross join social.operational_warnings w
    cross join social.warning_readers() as r (staff_id)
    cross join lateral social.methods_of(r.staff_id, null) as m (method)
    cross join lateral (
        select max(d.round) filter (where d.warning_id = w.warning_id) as rounds,
            bool_or((d.method = 'in_app') = (m.method = 'in_app')
                and (d.status = 'pending' or d.created_at > clock.now - make_interval(hours => $2))) as is_told
        from social.notification_deliveries d
        where d.staff_id = r.staff_id and d.warning_id in (select k.warning_id from social.operational_warnings k
            where k.kind = w.kind and (k.closed_at is null or k.closed_at > clock.now - interval '1 hour'))) as before
    where w.closed_at is null and before.is_told is not true
    on conflict (warning_id, round, staff_id, method) do nothing";

/// Tells those who read warnings of what is open, where it is time; returns how many pages were made.
pub(crate) async fn tell(tx: &Tx, limits: Limits, now: Option<DateTime<Utc>>) -> Result<u64, db::Error> {
    tx.execute(TELL, &[&now, &limits.repeat_hours]).await
}

/// A warning that is open, and whether anybody was told of it outside the app, or is about to be.
pub(crate) struct Open {
    pub(crate) kind: String,
    pub(crate) is_told: bool,
}

/// What is open. A page that is overdue tells nobody, nor does one of long ago, or to somebody who has left.
pub(crate) async fn open(
    tx: &Tx,
    limits: Limits,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Open>, db::Error> {
    let rows = tx
        .query(
            "select w.kind, exists (
                select from social.notification_deliveries d
                where d.warning_id = w.warning_id and d.method <> 'in_app'
                    and d.staff_id in (select social.warning_readers())
                    and ((d.status in ('sent', 'delivered')
                        and d.created_at > coalesce($1::timestamptz, now()) - make_interval(hours => 2 * $3)) or (d.status = 'pending'
                        and d.next_attempt_at > coalesce($1::timestamptz, now()) - make_interval(mins => $2)))) as is_told
             from social.operational_warnings w where w.closed_at is null",
            &[&now, &limits.queue_lag_minutes, &limits.repeat_hours],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Open {
                kind: row.try_get("kind")?,
                is_told: row.try_get("is_told")?,
            })
        })
        .collect()
}

impl Kind {
    /// The kind of this name, as a row has it.
    pub(crate) fn named(name: &str) -> Result<Self, db::Error> {
        Self::parse(name).ok_or_else(|| db::Error::Row(format!("no kind: {name}")))
    }
}

/// A warning as it is read.
pub(crate) struct Warning {
    pub(crate) warning_id: i64,
    pub(crate) kind: String,
    pub(crate) measure: i64,
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) last_seen_at: DateTime<Utc>,
    pub(crate) closed_at: Option<DateTime<Utc>>,
}

pub(crate) fn from_row(row: &Row) -> Result<Warning, db::Error> {
    Ok(Warning {
        warning_id: row.try_get("warning_id")?,
        kind: row.try_get("kind")?,
        measure: row.try_get("measure")?,
        opened_at: row.try_get("opened_at")?,
        last_seen_at: row.try_get("last_seen_at")?,
        closed_at: row.try_get("closed_at")?,
    })
}

/// Newest first. `$1` whether only open ones, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select w.warning_id, w.kind, w.measure, w.opened_at, w.last_seen_at, w.closed_at
    from social.operational_warnings w
    where (not $1 or w.closed_at is null) and (w.opened_at, w.warning_id) < ($2, $3)
    order by w.opened_at desc, w.warning_id desc
    limit $4";
