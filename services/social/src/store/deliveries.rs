//! `social.notification_deliveries`: pages on their way.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use uuid::Uuid;

use super::contact_methods::{Place, place};
use super::word;
use crate::domain::page::{About, Page};
use crate::domain::warning::Kind;

/// Whose page it is, and by which method.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Receiver {
    pub(crate) staff_id: String,
    pub(crate) method: String,
}

/// How many pages are taken, and to whom.
pub(crate) struct Claim<'a> {
    pub(crate) limit: usize,
    pub(crate) at_most_to_one: usize,
    pub(crate) lease_seconds: i64,
    /// How many are on their way to whom already.
    pub(crate) on_the_way: Vec<(&'a Receiver, usize)>,
}

/// A page that was taken to be sent.
pub(crate) struct Claimed {
    pub(crate) receiver: Receiver,
    pub(crate) page: Page,
    /// Which attempt this is, from 1.
    pub(crate) attempt: i32,
    /// Whether its episode still waits, or may come to wait again; whether its warning is open.
    pub(crate) is_wanted: bool,
    /// `None` where its method is gone, or its person suspended.
    pub(crate) place: Option<Place>,
}

/// Takes pages that are due, for as long as a lease: until it is over nobody else takes them. Those of people go before those
/// of operational warnings.
pub(crate) async fn claim(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    claim: &Claim<'_>,
) -> Result<Vec<Claimed>, db::Error> {
    let count = |pages: usize| i64::try_from(pages).unwrap_or(i64::MAX);
    let receivers = claim.on_the_way.iter();
    let (staff, methods): (Vec<&str>, Vec<&str>) = receivers
        .clone()
        .map(|(receiver, _)| (receiver.staff_id.as_str(), receiver.method.as_str()))
        .unzip();
    let pages: Vec<i64> = receivers.map(|(_, pages)| count(*pages)).collect();
    let rows = tx
        .query(
            "with clock as (select coalesce($1::timestamptz, now()) as now), waiting as (
                select w.delivery_id, w.next_attempt_at, w.warning_id is not null as can_wait, coalesce(o.pages, 0)
                    + row_number() over (partition by w.staff_id, w.method
                        order by w.warning_id is not null, w.next_attempt_at) as place
                from clock cross join social.notification_deliveries w
                left join unnest($5::varchar[], $6::varchar[], $7::int8[]) as o (staff_id, method, pages)
                    on o.staff_id = w.staff_id and o.method = w.method
                where w.status = 'pending' and w.next_attempt_at <= clock.now),
             next as (
                select w.delivery_id from waiting w where w.place <= $4 order by w.can_wait, w.next_attempt_at limit $2),
             due as (
                select l.delivery_id, e.urgency, o.kind as warning,
                    coalesce(e.status not in ('resolved', 'cancelled'), o.closed_at is null) as is_wanted, c.address, c.secret_sealed
                from clock cross join next n
                join social.notification_deliveries l on l.delivery_id = n.delivery_id
                left join social.escalations e on e.escalation_id = l.escalation_id
                left join social.operational_warnings o on o.warning_id = l.warning_id
                left join social.contact_methods c
                    on c.staff_id = l.staff_id and c.method = l.method and c.verified_at is not null
                        and exists (select from core.users u where u.user_id = l.staff_id and u.status = 'active')
                where l.status = 'pending' and l.next_attempt_at <= clock.now
                for update of l skip locked)
             update social.notification_deliveries d
             set attempt = d.attempt + 1, next_attempt_at = clock.now + $3::int8 * interval '1 second'
             from due, clock
             where d.delivery_id = due.delivery_id
             returning d.delivery_id, d.attempt, d.created_at, d.method, d.staff_id, due.urgency, due.warning,
                due.is_wanted, due.address, due.secret_sealed",
            &[
                &now,
                &count(claim.limit),
                &claim.lease_seconds,
                &count(claim.at_most_to_one),
                &staff,
                &methods,
                &pages,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Claimed {
                receiver: Receiver {
                    staff_id: row.try_get("staff_id")?,
                    method: row.try_get("method")?,
                },
                page: Page {
                    delivery_id: row.try_get("delivery_id")?,
                    about: about(row)?,
                    created_at: row.try_get("created_at")?,
                },
                attempt: row.try_get("attempt")?,
                is_wanted: row.try_get("is_wanted")?,
                place: place(row)?,
            })
        })
        .collect()
}

fn about(row: &Row) -> Result<About, db::Error> {
    match row.try_get("warning")? {
        Some(kind) => Kind::named(kind).map(About::Warning),
        None => word(row, "urgency").map(About::Escalation),
    }
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) struct Attempted {
    pub(crate) delivery_id: Uuid,
    pub(crate) attempt: i32,
    /// Where it is pending, another attempt is made after the pause.
    pub(crate) status: &'static str,
    pub(crate) pause_milliseconds: i64,
    pub(crate) error: Option<String>,
}

/// Locks the episodes of these pages, so that of two last ones that fail at once one sees the other.
const LOCK: &str = "
    select e.escalation_id from social.escalations e
    where e.escalation_id in (
        select d.escalation_id from social.notification_deliveries d where d.delivery_id = any ($1))
    order by e.escalation_id for update of e";

/// Of two workers who both tried, the one who took the page last says how it failed; that it was taken says either.
const SETTLE: &str = "
    update social.notification_deliveries d
    set status = n.status, error = n.error,
        next_attempt_at = case when n.status = 'pending'
            then coalesce($6::timestamptz, now()) + n.pause * interval '1 millisecond' end
    from unnest($1::uuid[], $2::int4[], $3::varchar[], $4::int8[], $5::text[]) as n (id, attempt, status, pause, error)
    where d.delivery_id = n.id and d.status = 'pending'
        and (d.attempt = n.attempt or n.status in ('sent', 'delivered'))
    returning d.delivery_id, d.status";

/// The next method of whoever was not reached by one. `$2` are the ids of the new pages, each beside one that failed.
const NEXT_METHOD: &str = "
    insert into social.notification_deliveries
        (delivery_id, escalation_id, warning_id, staff_id, relation, round, tier, method, status, next_attempt_at)
    select n.next_id, d.escalation_id, d.warning_id, d.staff_id, d.relation, d.round, d.tier, m.method, 'pending',
        coalesce($3::timestamptz, now())
    from unnest($1::uuid[], $2::uuid[]) as n (id, next_id)
    join social.notification_deliveries d on d.delivery_id = n.id
    join lateral (
        select c.method from social.contact_methods c
        where c.staff_id = d.staff_id and c.verified_at is not null
            and not exists (select from social.notification_deliveries t
                where (t.escalation_id = d.escalation_id or t.warning_id = d.warning_id)
                    and t.round = d.round and t.tier = d.tier and t.staff_id = d.staff_id and t.method = c.method)
        order by c.position, c.method limit 1) m on true
    on conflict do nothing";

/// What is stored in the app reaches only who looks: a tier of which no page outside the app was taken, or still may be,
/// was not reached, and the next is not waited for. The last resort has none behind it: telling that again at once would
/// have no end.
const NEXT_TIER: &str = "
    update social.escalations e
    set next_tier_at = clock.now
    from (select coalesce($2::timestamptz, now()) as now) clock
    where e.status in ('pending', 'notified') and e.next_tier_at > clock.now
        and exists (select from social.escalation_policy_steps s
            where s.policy_id = coalesce(e.policy_id, social.policy_for(e.escalation_type)) and s.tier >= e.tier)
        and e.escalation_id in (
            select d.escalation_id from social.notification_deliveries d
            where d.delivery_id = any ($1) and (d.round, d.tier) = (e.round, e.tier))
        and not exists (select from social.notification_deliveries o
            where o.escalation_id = e.escalation_id and (o.round, o.tier) = (e.round, e.tier) and o.method <> 'in_app'
                and o.status in ('pending', 'sent', 'delivered'))";

/// Records how attempts ended. Whoever was not reached for good is tried by the next method, and where nobody of the tier
/// was, the next tier is due, if there is one.
pub(crate) async fn settle(
    tx: &Tx,
    attempted: &[Attempted],
    now: Option<DateTime<Utc>>,
) -> Result<(), db::Error> {
    let ids: Vec<Uuid> = attempted.iter().map(|one| one.delivery_id).collect();
    tx.query(LOCK, &[&ids]).await?;
    let rows = tx
        .query(
            SETTLE,
            &[
                &ids,
                &attempted.iter().map(|one| one.attempt).collect::<Vec<_>>(),
                &attempted.iter().map(|one| one.status).collect::<Vec<_>>(),
                &attempted
                    .iter()
                    .map(|one| one.pause_milliseconds)
                    .collect::<Vec<_>>(),
                &attempted
                    .iter()
                    .map(|one| one.error.as_deref())
                    .collect::<Vec<_>>(),
                &now,
            ],
        )
        .await?;
    let mut failed: Vec<Uuid> = Vec::new();
    for row in &rows {
        if row.try_get::<_, &str>("status")? == "failed" {
            failed.push(row.try_get("delivery_id")?);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let next: Vec<Uuid> = failed.iter().map(|_| Uuid::now_v7()).collect();
    tx.execute(NEXT_METHOD, &[&failed, &next, &now]).await?;
    tx.execute(NEXT_TIER, &[&failed, &now]).await?;
    Ok(())
}

/// A page as those see it who answer for the staff.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) delivery_id: Uuid,
    /// What it is about: one of the two.
    pub(crate) escalation_id: Option<i64>,
    pub(crate) warning_id: Option<i64>,
    pub(crate) staff_id: String,
    pub(crate) relation: String,
    pub(crate) tier: i32,
    pub(crate) method: String,
    pub(crate) status: String,
    pub(crate) attempts: i32,
    pub(crate) next_attempt_at: Option<DateTime<Utc>>,
    pub(crate) error: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Newest first. `$1` status or null; `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select d.delivery_id, d.escalation_id, d.warning_id, d.staff_id, d.relation, d.tier, d.method, d.status, d.attempt,
        d.next_attempt_at, d.error, d.created_at
    from social.notification_deliveries d
    where ($1::varchar is null or d.status = $1) and (d.created_at, d.delivery_id) < ($2, $3)
    order by d.created_at desc, d.delivery_id desc
    limit $4";

pub(crate) fn from_row(row: &Row) -> Result<Delivery, db::Error> {
    Ok(Delivery {
        delivery_id: row.try_get("delivery_id")?,
        escalation_id: row.try_get("escalation_id")?,
        warning_id: row.try_get("warning_id")?,
        staff_id: row.try_get("staff_id")?,
        relation: row.try_get("relation")?,
        tier: row.try_get("tier")?,
        method: row.try_get("method")?,
        status: row.try_get("status")?,
        attempts: row.try_get("attempt")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
    })
}
