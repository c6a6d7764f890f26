//! `social.escalation_policies` with their steps.

use chrono::{DateTime, Utc};
use common::EscalationType;
use db::{Json, Row, Tx};
use serde_json::Value;

use super::word;

/// A policy as it is read.
pub(crate) struct Policy {
    pub(crate) policy_id: i64,
    pub(crate) name: String,
    pub(crate) escalation_type: Option<EscalationType>,
    pub(crate) ack_minutes: i32,
    pub(crate) repeats: i32,
    pub(crate) repeat_minutes: i32,
    pub(crate) last_resort: String,
    pub(crate) active: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) created_by: Option<String>,
    pub(crate) activated_at: Option<DateTime<Utc>>,
    /// The tiers as answers show them.
    pub(crate) tiers: Value,
}

/// The columns of [`Policy`], under the alias `p`.
const COLUMNS: &str = "p.policy_id, p.name, p.escalation_type, p.ack_minutes, p.repeats, p.repeat_minutes,
    p.last_resort, p.active, p.created_at, p.created_by, p.activated_at,
    (select coalesce(jsonb_agg(jsonb_build_object('tier', t.tier, 'delay_minutes', t.delay_minutes,
        'targets', t.targets) order by t.tier), '[]')
     from (select s.tier, min(s.delay_minutes) as delay_minutes, jsonb_agg(jsonb_build_object('target', s.target,
            'staff_id', s.staff_id, 'schedule_id', s.schedule_id, 'method', s.method) order by s.position) as targets
        from social.escalation_policy_steps s where s.policy_id = p.policy_id group by s.tier) as t) as tiers";

pub(crate) fn from_row(row: &Row) -> Result<Policy, db::Error> {
    let escalation_type: Option<&str> = row.try_get("escalation_type")?;
    let Json(tiers): Json<Value> = row.try_get("tiers")?;
    Ok(Policy {
        policy_id: row.try_get("policy_id")?,
        name: row.try_get("name")?,
        escalation_type: escalation_type
            .map(|_| word(row, "escalation_type"))
            .transpose()?,
        ack_minutes: row.try_get("ack_minutes")?,
        repeats: row.try_get("repeats")?,
        repeat_minutes: row.try_get("repeat_minutes")?,
        last_resort: row.try_get("last_resort")?,
        active: row.try_get("active")?,
        created_at: row.try_get("created_at")?,
        created_by: row.try_get("created_by")?,
        activated_at: row.try_get("activated_at")?,
        tiers,
    })
}

/// A policy as staff say it.
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) escalation_type: Option<EscalationType>,
    pub(crate) ack_minutes: i32,
    pub(crate) repeats: i32,
    pub(crate) repeat_minutes: i32,
    pub(crate) last_resort: &'static str,
    pub(crate) tiers: Vec<Tier>,
}

/// Who is told at the same time.
pub(crate) struct Tier {
    /// After the tier before.
    pub(crate) delay_minutes: i32,
    pub(crate) targets: Vec<Target>,
}

/// Whom a step of a tier tells.
pub(crate) struct Target {
    pub(crate) target: &'static str,
    pub(crate) staff_id: Option<String>,
    pub(crate) schedule_id: Option<i64>,
    pub(crate) method: Option<&'static str>,
}

impl Said {
    /// Each step with the places of its tier and of itself, from 0.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (usize, usize, &Tier, &Target)> {
        self.tiers.iter().enumerate().flat_map(|(tier, of)| {
            of.targets
                .iter()
                .enumerate()
                .map(move |(position, target)| (tier, position, of, target))
        })
    }
}

/// What of a policy can reach nobody.
pub(crate) struct Unreached {
    /// Which of its steps, counted over all tiers from 0.
    pub(crate) steps: Vec<usize>,
    pub(crate) last_resort: bool,
}

/// Finds what of a policy can reach nobody, whoever the client is.
pub(crate) async fn unreached(
    tx: &Tx,
    said: &Said,
    now: Option<DateTime<Utc>>,
) -> Result<Unreached, db::Error> {
    let targets: Vec<&Target> = said.steps().map(|(.., target)| target).collect();
    let rows = tx
        .query(
            "select n.place
             from unnest($1::varchar[], $2::varchar[], $3::int8[]) with ordinality as n (target, staff_id, schedule_id, place)
             where not social.reaches(n.target, n.staff_id, n.schedule_id, coalesce($5::timestamptz, now()))
             union all
             select 0::int8 where not social.role_is_held($4)",
            &[
                &targets.iter().map(|t| t.target).collect::<Vec<_>>(),
                &targets.iter().map(|t| t.staff_id.as_deref()).collect::<Vec<_>>(),
                &targets.iter().map(|t| t.schedule_id).collect::<Vec<_>>(),
                &said.last_resort,
                &now,
            ],
        )
        .await?;
    let mut found = Unreached {
        steps: Vec::new(),
        last_resort: false,
    };
    for row in &rows {
        let place: i64 = row.try_get("place")?;
        match usize::try_from(place - 1) {
            Ok(step) => found.steps.push(step),
            Err(_) => found.last_resort = true,
        }
    }
    Ok(found)
}

/// Which tiers of a stored policy reach nobody by now; 0 for its last resort.
pub(crate) async fn unreached_by_now(
    tx: &Tx,
    policy_id: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<i32>, db::Error> {
    let rows = tx
        .query(
            "select s.tier from social.escalation_policy_steps s
             where s.policy_id = $1
                and not social.reaches(s.target, s.staff_id, s.schedule_id, coalesce($2::timestamptz, now()))
             union
             select 0 from social.escalation_policies p
             where p.policy_id = $1 and not social.role_is_held(p.last_resort)
             order by tier",
            &[&policy_id, &now],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get("tier")?)).collect()
}

/// Makes a policy; returns its id. It is followed once it is active.
pub(crate) async fn insert(tx: &Tx, said: &Said, created_by: &str) -> Result<i64, db::Error> {
    let row = tx
        .query_one(
            "insert into social.escalation_policies (name, escalation_type, ack_minutes, repeats, repeat_minutes,
                last_resort, created_by)
             values ($1, $2, $3, $4, $5, $6, $7)
             returning policy_id",
            &[
                &said.name,
                &said.escalation_type.map(EscalationType::as_str),
                &said.ack_minutes,
                &said.repeats,
                &said.repeat_minutes,
                &said.last_resort,
                &created_by,
            ],
        )
        .await?;
    let policy_id = row.try_get("policy_id")?;
    insert_steps(tx, policy_id, said).await?;
    Ok(policy_id)
}

/// Replaces what a policy says; `false` where there is none. Escalations that follow it go on by what it says now.
pub(crate) async fn replace(tx: &Tx, policy_id: i64, said: &Said) -> Result<bool, db::Error> {
    let touched = tx
        .execute(
            "update social.escalation_policies p
             set name = $2, escalation_type = $3, ack_minutes = $4, repeats = $5, repeat_minutes = $6, last_resort = $7,
                forecast_at = null
             where p.policy_id = $1",
            &[
                &policy_id,
                &said.name,
                &said.escalation_type.map(EscalationType::as_str),
                &said.ack_minutes,
                &said.repeats,
                &said.repeat_minutes,
                &said.last_resort,
            ],
        )
        .await?;
    if touched == 0 {
        return Ok(false);
    }
    tx.execute(
        "delete from social.escalation_policy_steps s where s.policy_id = $1",
        &[&policy_id],
    )
    .await?;
    insert_steps(tx, policy_id, said).await?;
    must_have_default(tx).await?;
    Ok(true)
}

async fn insert_steps(tx: &Tx, policy_id: i64, said: &Said) -> Result<(), db::Error> {
    let steps: Vec<_> = said.steps().collect();
    let place = |at: usize| i32::try_from(at + 1).unwrap_or(i32::MAX);
    tx.execute(
        "insert into social.escalation_policy_steps (policy_id, tier, position, delay_minutes, target, staff_id,
            schedule_id, method)
         select $1, n.tier, n.position, n.delay_minutes, n.target, n.staff_id, n.schedule_id, n.method
         from unnest($2::int4[], $3::int4[], $4::int4[], $5::varchar[], $6::varchar[], $7::int8[], $8::varchar[])
            as n (tier, position, delay_minutes, target, staff_id, schedule_id, method)",
        &[
            &policy_id,
            &steps.iter().map(|(tier, ..)| place(*tier)).collect::<Vec<_>>(),
            &steps.iter().map(|(_, position, ..)| place(*position)).collect::<Vec<_>>(),
            &steps.iter().map(|(.., tier, _)| tier.delay_minutes).collect::<Vec<_>>(),
            &steps.iter().map(|(.., to)| to.target).collect::<Vec<_>>(),
            &steps.iter().map(|(.., to)| to.staff_id.as_deref()).collect::<Vec<_>>(),
            &steps.iter().map(|(.., to)| to.schedule_id).collect::<Vec<_>>(),
            &steps.iter().map(|(.., to)| to.method).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// Makes a policy the active one of its type; `false` where there is none.
pub(crate) async fn activate(tx: &Tx, policy_id: i64, now: Option<DateTime<Utc>>) -> Result<bool, db::Error> {
    // Whoever else activates one of this type waits; by id, so that nobody waits for each other.
    tx.query(
        "select o.policy_id from social.escalation_policies o
         where o.policy_id = $1 or o.active order by o.policy_id for update",
        &[&policy_id],
    )
    .await?;
    tx.execute(
        "update social.escalation_policies o set active = false
         from social.escalation_policies p
         where p.policy_id = $1 and o.active and o.policy_id <> $1
            and o.escalation_type is not distinct from p.escalation_type",
        &[&policy_id],
    )
    .await?;
    let touched = tx
        .execute(
            "update social.escalation_policies p set active = true, activated_at = coalesce($2::timestamptz, now()),
                forecast_at = null
             where p.policy_id = $1",
            &[&policy_id, &now],
        )
        .await?;
    Ok(touched > 0)
}

/// Removes a policy; `false` where there is none. Escalations that follow it go on by the one of their type.
pub(crate) async fn delete(tx: &Tx, policy_id: i64) -> Result<bool, db::Error> {
    let removed = tx
        .execute(
            "delete from social.escalation_policies p where p.policy_id = $1",
            &[&policy_id],
        )
        .await?;
    must_have_default(tx).await?;
    Ok(removed > 0)
}

/// What would be refused at the commit is refused here, where it can be said why.
async fn must_have_default(tx: &Tx) -> Result<(), db::Error> {
    tx.execute("set constraints social.check_default immediate", &[])
        .await?;
    Ok(())
}

/// One policy. `$1` its id.
pub(crate) fn find_sql() -> String {
    format!("select {COLUMNS} from social.escalation_policies p where p.policy_id = $1")
}

/// One policy, in a transaction.
pub(crate) async fn find(tx: &Tx, policy_id: i64) -> Result<Option<Policy>, db::Error> {
    let row = tx.query_opt(&find_sql(), &[&policy_id]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Oldest first. `$1` the id to go on behind, `$2` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from social.escalation_policies p
         where p.policy_id > $1 order by p.policy_id limit $2"
    )
}
