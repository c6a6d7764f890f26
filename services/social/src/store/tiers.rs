//! Whom the tiers of a policy tell, and when an episode goes on from one to the next. What a tier is and whom it reaches
//! stands in SQL functions: `social.next_tier`, `social.untold`.

use chrono::{DateTime, Utc};
use db::Tx;

use super::escalations::{COLUMNS, Escalation, from_row};

/// Moves locked, open episodes to the next tier that has somebody; who had acknowledged them, has no more.
pub(crate) async fn advance(
    tx: &Tx,
    escalation_ids: &[i64],
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Escalation>, db::Error> {
    if escalation_ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "with clock as (select coalesce($2::timestamptz, now()) as now),
         moved as (
            select m.escalation_id, n.tier, n.is_anew, n.is_repeat, n.due_at
            from clock cross join social.escalations m
            cross join lateral social.next_tier(coalesce(m.policy_id, social.policy_for(m.escalation_type)), m.tier,
                m.repeated, m.user_id, clock.now) as n
            where m.escalation_id = any ($1))
         update social.escalations e
         set tier = m.tier, round = e.round + m.is_anew::int, repeated = e.repeated + m.is_repeat::int,
            next_tier_at = m.due_at, acknowledged_at = null, acknowledged_by = null, ack_expires_at = null,
            status = case when e.status = 'acknowledged' then 'notified' else e.status end
         from moved m
         where e.escalation_id = m.escalation_id
         returning {COLUMNS}"
    );
    let rows = tx.query(&sql, &[&escalation_ids, &now]).await?;
    rows.iter().map(from_row).collect()
}

/// Locks episodes that have waited long enough for an answer of their tier, longest first.
pub(crate) async fn lock_due(tx: &Tx, now: Option<DateTime<Utc>>, limit: i64) -> Result<Vec<i64>, db::Error> {
    let rows = tx
        .query(
            "select e.escalation_id from social.escalations e
             where e.status in ('pending', 'notified') and e.user_id is not null
                and e.next_tier_at <= coalesce($1::timestamptz, now())
             order by e.next_tier_at limit $2 for update of e skip locked",
            &[&now, &limit],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get("escalation_id")?)).collect()
}

/// Takes back acknowledgements that ran out: whoever has the episode has not reached the client, or not for a day. Its tier is
/// told anew, and where that has nobody by now, the next one at once.
pub(crate) async fn expire_leases(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Escalation>, db::Error> {
    let sql = format!(
        "with clock as (select coalesce($1::timestamptz, now()) as now), over as (
            select a.escalation_id, clock.now, coalesce(a.policy_id, social.policy_for(a.escalation_type)) as policy
            from social.escalations a cross join clock
            where a.status = 'acknowledged' and a.ack_expires_at <= clock.now
                and not exists (select from social.contacts c
                    where c.client_id = a.user_id and c.outcome in ('spoke', 'emergency_services', 'false_alarm')
                      and c.at >= greatest(a.acknowledged_at, clock.now - interval '1 day'))
            order by a.ack_expires_at limit $2 for update of a skip locked)
         update social.escalations e
         set status = 'notified', acknowledged_at = null, acknowledged_by = null, ack_expires_at = null,
            round = e.round + 1,
            next_tier_at = case when exists (select from social.people_of(over.policy, e.tier, e.user_id, over.now))
                then social.wait_after(over.policy, e.tier, e.user_id, over.now) else over.now end
         from over
         where e.escalation_id = over.escalation_id
         returning {COLUMNS}"
    );
    let rows = tx.query(&sql, &[&now, &limit]).await?;
    rows.iter().map(from_row).collect()
}

/// Locks episodes that wait for an answer and of which somebody was not told: nobody could be when the tier was reached,
/// or somebody has come on call, or to the client, since.
pub(crate) async fn lock_untold(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<i64>, db::Error> {
    let rows = tx
        .query(
            "select e.escalation_id from social.escalations e
             where e.status in ('pending', 'notified') and e.user_id is not null
                and e.escalation_id in (
                    select u.escalation_id from social.untold(null, coalesce($1::timestamptz, now())) u)
             order by e.timestamp limit $2 for update of e skip locked",
            &[&now, &limit],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get("escalation_id")?)).collect()
}

/// Who was told just now, and which episodes that moved.
#[derive(Default)]
pub(crate) struct Told {
    /// Deliveries that were made: one a person and method.
    pub(crate) deliveries: u64,
    /// Episodes that nobody knew of before.
    pub(crate) notified: Vec<Escalation>,
}

/// Tells staff of locked, open episodes that they do not know of; who was told of a tier in its round is not told again.
/// Those who are not the client's counselors see the client for as long as the episode is open.
pub(crate) async fn tell(
    tx: &Tx,
    escalation_ids: &[i64],
    now: Option<DateTime<Utc>>,
) -> Result<Told, db::Error> {
    if escalation_ids.is_empty() {
        return Ok(Told::default());
    }
    let made = tx
        .query(
            "with clock as (select coalesce($2::timestamptz, now()) as now)
             insert into social.notification_deliveries (delivery_id, escalation_id, round, tier, staff_id, relation,
                method, status, next_attempt_at)
             select gen_random_uuid(), e.escalation_id, e.round, u.tier, u.staff_id, u.relation, u.method,
                case u.method when 'in_app' then 'sent' else 'pending' end,
                case when u.method <> 'in_app' then clock.now end
             from clock cross join lateral social.untold($1, clock.now) as u
             join social.escalations e on e.escalation_id = u.escalation_id
             on conflict (escalation_id, round, tier, staff_id, method) do nothing
             returning escalation_id, staff_id, relation",
            &[&escalation_ids, &now],
        )
        .await?;
    if made.is_empty() {
        return Ok(Told::default());
    }
    let beyond_caseload: Vec<(i64, &str)> = made
        .iter()
        .map(|row| {
            let (id, staff_id): (i64, &str) = (row.try_get("escalation_id")?, row.try_get("staff_id")?);
            Ok((row.try_get::<_, &str>("relation")? != COUNSELOR).then_some((id, staff_id)))
        })
        .filter_map(Result::transpose)
        .collect::<Result<_, db::Error>>()?;
    grant_access(tx, &beyond_caseload).await?;
    let sql = format!(
        "update social.escalations e
         set status = 'notified', notification_method = 'in_app', escalated_to = n.staff_id
         from (select distinct on (d.escalation_id) d.escalation_id, d.staff_id
               from social.notification_deliveries d where d.escalation_id = any ($1)
               order by d.escalation_id, d.relation, d.staff_id) as n
         where e.escalation_id = n.escalation_id and e.status = 'pending'
         returning {COLUMNS}"
    );
    let notified = tx.query(&sql, &[&escalation_ids]).await?;
    Ok(Told {
        deliveries: made.len() as u64,
        notified: notified.iter().map(from_row).collect::<Result<_, _>>()?,
    })
}

/// The relation of those who see the client anyway, for as long as they are the client's.
const COUNSELOR: &str = "counselor";

/// Lets each staff user see the client of the episode beside it until that ends.
async fn grant_access(tx: &Tx, told: &[(i64, &str)]) -> Result<(), db::Error> {
    tx.query(
        "select core.grant_temporary_access(array_agg(n.staff_id), array_agg(e.user_id), 'escalation',
            array_agg(e.escalation_id))
         from unnest($1::int8[], $2::varchar[]) as n (escalation_id, staff_id)
         join social.escalations e on e.escalation_id = n.escalation_id",
        &[
            &told.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            &told.iter().map(|(_, staff_id)| *staff_id).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// Hands a locked, open episode to somebody, who alone is told; unless they answer, it goes on from its tier after the
/// time that an acknowledgement holds.
pub(crate) async fn hand_over(
    tx: &Tx,
    escalation_id: i64,
    staff_id: &str,
    now: Option<DateTime<Utc>>,
) -> Result<Escalation, db::Error> {
    let sql = format!(
        "with clock as (select coalesce($3::timestamptz, now()) as now),
         handed as (
            insert into social.notification_deliveries (delivery_id, escalation_id, round, tier, staff_id, relation,
                method, status, next_attempt_at)
            select gen_random_uuid(), h.escalation_id, h.round + 1, h.tier, $2, 'staff', m.method,
                case m.method when 'in_app' then 'sent' else 'pending' end,
                case when m.method <> 'in_app' then clock.now end
            from clock cross join social.escalations h cross join lateral social.methods_of($2, null) as m (method)
            where h.escalation_id = $1)
         update social.escalations e
         set status = 'notified', round = e.round + 1, escalated_to = $2, acknowledged_at = null, acknowledged_by = null,
            ack_expires_at = null, next_tier_at = clock.now + interval '1 minute'
                * social.ack_minutes(coalesce(e.policy_id, social.policy_for(e.escalation_type)))
         from clock
         where e.escalation_id = $1
         returning {COLUMNS}"
    );
    let handed = from_row(&tx.query_one(&sql, &[&escalation_id, &staff_id, &now]).await?)?;
    grant_access(tx, &[(escalation_id, staff_id)]).await?;
    Ok(handed)
}

/// Whether somebody answers escalations at all.
pub(crate) async fn answers(tx: &Tx, staff_id: &str) -> Result<bool, db::Error> {
    let row = tx
        .query_one("select social.answers_escalations($1) as answers", &[&staff_id])
        .await?;
    Ok(row.try_get("answers")?)
}
