//! `risk.client_levels`: the level of each client by all live models.

use chrono::{DateTime, Utc};
use common::{LevelCause, ModelRiskLevel};
use db::{Row, Tx};

use super::{optional_word, word};

/// What settling found of a client.
pub(crate) struct Settled {
    pub(crate) user_id: String,
    /// The last word of each live version on the client, as far as its horizon lasts.
    pub(crate) current: Vec<i64>,
    /// The change, where there was one.
    pub(crate) change: Option<Change>,
}

/// A change of level.
pub(crate) struct Change {
    pub(crate) from: Option<ModelRiskLevel>,
    pub(crate) since: DateTime<Utc>,
    pub(crate) cause: LevelCause,
    /// The level now; none once no prediction holds any more.
    pub(crate) to: Option<Level>,
}

/// A level and the prediction that it is by.
pub(crate) struct Level {
    pub(crate) level: ModelRiskLevel,
    pub(crate) prediction_id: i64,
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    pub(crate) probability: f64,
    pub(crate) predicted_at: DateTime<Utc>,
}

/// Clients who have no level yet get a row to lock. `$1` clients, `$2` now.
pub(crate) const MISSING: &str = "
    insert into risk.client_levels (user_id, level_since)
    select u.user_id, coalesce($2::timestamptz, clock_timestamp())
    from core.users u
    where u.user_id = any ($1) and u.kind = 'client'
    order by u.user_id
    on conflict (user_id) do nothing";

/// Locks the levels of clients, in one order for everybody. `$1` clients.
pub(crate) const LOCK: &str = "
    select c.user_id from risk.client_levels c where c.user_id = any ($1) order by c.user_id for update of c";

/// Settles locked levels by what is stored. `$1` clients, `$2` now, `$3` cause.
///
/// The clock is read behind the lock, so that of one client no change is told as of before an earlier one. A level that rises
/// by a prediction that was no live one when it came is the stage's doing, whoever settles it: no other event has told of it
/// as a live one.
const SETTLE: &str = "
    with clock as materialized (select coalesce($2::timestamptz, clock_timestamp()) as now),
    said as materialized (
        select c.user_id, l.prediction_id, l.risk_level, l.model_name, l.model_version, l.probability, l.predicted_at,
            l.stage, l.ends_at
        from (select distinct n.user_id from unnest($1::varchar[]) as n (user_id)) as c
        cross join risk.model_versions v
        cross join clock
        cross join lateral (
            select p.prediction_id, p.risk_level, p.model_name, p.model_version, p.probability, p.predicted_at, p.stage,
                p.predicted_at + p.horizon_days * interval '1 day' as ends_at
            from risk.model_predictions p
            where p.user_id = c.user_id and p.model_name = v.model_name and p.model_version = v.version
            order by p.predicted_at desc, p.prediction_id desc
            limit 1
        ) as l
        where v.stage = 'live' and l.ends_at > clock.now),
    severest as (
        select distinct on (s.user_id) s.user_id, s.prediction_id, s.risk_level, s.model_name, s.model_version,
            s.probability, s.predicted_at, s.stage, s.ends_at
        from said s
        order by s.user_id, array_position(array['LOW', 'MODERATE', 'HIGH', 'VERY_HIGH'], s.risk_level::text) desc,
            s.ends_at desc, s.prediction_id desc),
    settled as (
        update risk.client_levels c
        set risk_level = s.risk_level, prediction_id = s.prediction_id, valid_until = s.ends_at,
            level_since = case when o.risk_level is distinct from s.risk_level
                then greatest(clock.now, o.level_since) else o.level_since end
        from risk.client_levels o
        cross join clock
        left join severest s on s.user_id = o.user_id
        cross join lateral (
            select array_position(array['LOW', 'MODERATE', 'HIGH', 'VERY_HIGH'], o.risk_level::text) as before,
                array_position(array['LOW', 'MODERATE', 'HIGH', 'VERY_HIGH'], s.risk_level::text) as now
        ) as severity
        where o.user_id = any ($1) and c.user_id = o.user_id
            and (o.risk_level, o.prediction_id, o.valid_until)
                is distinct from (s.risk_level, s.prediction_id, s.ends_at)
        returning c.user_id, o.risk_level as from_level, c.risk_level as to_level, c.level_since,
            case when s.stage <> 'live' and severity.now > coalesce(severity.before, 0) then 'stage' else $3::varchar
                end as cause,
            s.prediction_id, s.model_name, s.model_version, s.probability, s.predicted_at)
    select user_id, coalesce(k.ids, '{}') as current, c.from_level, c.to_level,
        case when c.from_level is distinct from c.to_level then c.level_since end as changed_at, c.cause, c.prediction_id,
        c.model_name, c.model_version, c.probability, c.predicted_at
    from (select s.user_id, array_agg(s.prediction_id) as ids from said s group by s.user_id) as k
    full join settled c using (user_id)
    order by user_id";

/// Locks clients: whoever writes of a client does so before anything else of theirs, so that what comes at once of one client
/// is seen by what comes second, and nobody waits in a circle.
pub(crate) async fn lock(tx: &Tx, users: &[&str], now: Option<DateTime<Utc>>) -> Result<(), db::Error> {
    tx.pipeline(&[(MISSING, &[&users, &now]), (LOCK, &[&users])])
        .await?;
    Ok(())
}

/// Locks and settles the levels of clients, in one round trip.
pub(crate) async fn settle(
    tx: &Tx,
    users: &[&str],
    cause: LevelCause,
    now: Option<DateTime<Utc>>,
) -> Result<Vec<Settled>, db::Error> {
    let clients: db::Params<'_> = &[&users];
    let dated: db::Params<'_> = &[&users, &now];
    let cause = cause.as_str();
    let mut results = tx
        .pipeline(&[
            (MISSING, dated),
            (LOCK, clients),
            (SETTLE, &[&users, &now, &cause]),
        ])
        .await?;
    results
        .pop()
        .unwrap_or_default()
        .iter()
        .map(settled_from_row)
        .collect()
}

fn settled_from_row(row: &Row) -> Result<Settled, db::Error> {
    let since: Option<DateTime<Utc>> = row.try_get("changed_at")?;
    Ok(Settled {
        user_id: row.try_get("user_id")?,
        current: row.try_get("current")?,
        change: since.map(|since| change_from_row(row, since)).transpose()?,
    })
}

fn change_from_row(row: &Row, since: DateTime<Utc>) -> Result<Change, db::Error> {
    let to: Option<ModelRiskLevel> = optional_word(row, "to_level")?;
    let level_from_row = |level| {
        Ok::<_, db::Error>(Level {
            level,
            prediction_id: row.try_get("prediction_id")?,
            model_name: row.try_get("model_name")?,
            model_version: row.try_get("model_version")?,
            probability: row.try_get("probability")?,
            predicted_at: row.try_get("predicted_at")?,
        })
    };
    Ok(Change {
        from: optional_word(row, "from_level")?,
        since,
        cause: word(row, "cause")?,
        to: to.map(level_from_row).transpose()?,
    })
}

/// Locks clients whose level has run out, longest ago first; leaves those that somebody works on.
pub(crate) async fn lock_due(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<String>, db::Error> {
    let sql = "
        select c.user_id
        from risk.client_levels c
        where c.valid_until <= coalesce($1::timestamptz, now())
        order by c.valid_until
        limit $2
        for update of c skip locked";
    let due = tx.query(sql, &[&now, &limit]).await?;
    due.iter().map(|row| Ok(row.try_get("user_id")?)).collect()
}
