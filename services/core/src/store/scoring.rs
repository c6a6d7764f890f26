//! `core.scoring_models` and `core.message_scoring`: which messages wait for a score, which are being scored, which
//! have one.

use chrono::{DateTime, Utc};
use common::ConversationType;
use db::{Row, Tx};

use super::word;

/// What a pipeline takes: for which model, in whose name, from when until when.
pub(crate) struct Lease<'a> {
    pub(crate) model_version: &'a str,
    pub(crate) leased_by: &'a str,
    pub(crate) now: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// A model version that is locked, so that its leases are taken one after the other and no message is given twice.
pub(crate) struct Model {
    pub(crate) scan_from: i64,
    /// The database's clock once the lock was held.
    pub(crate) now: DateTime<Utc>,
}

/// Locks a model version; makes it at first sight.
pub(crate) async fn lock_model(tx: &Tx, model_version: &str) -> Result<Model, db::Error> {
    // The update changes nothing: it is the lock, and the row comes back with it.
    let row = tx
        .query_one(
            "insert into core.scoring_models as s (model_version) values ($1)
             on conflict (model_version) do update set scan_from = s.scan_from
             returning s.scan_from, clock_timestamp() as now",
            &[&model_version],
        )
        .await?;
    Ok(Model {
        scan_from: row.try_get("scan_from")?,
        now: row.try_get("now")?,
    })
}

/// Takes messages whose lease ran out without a score, longest over first.
pub(crate) async fn take_expired(tx: &Tx, lease: &Lease<'_>, limit: i64) -> Result<Vec<i64>, db::Error> {
    let rows = tx
        .query(
            "update core.message_scoring s set leased_by = $2, lease_until = $3
             from (select o.message_id
                   from core.message_scoring o
                   join core.messages m on m.message_id = o.message_id and m.user_id is not null
                   where o.model_version = $1 and o.scored_at is null and o.lease_until <= $5
                   order by o.lease_until, o.message_id
                   limit $4
                   for update of o skip locked) as expired
             where s.message_id = expired.message_id and s.model_version = $1
             returning s.message_id",
            &[
                &lease.model_version,
                &lease.leased_by,
                &lease.until,
                &limit,
                &lease.now,
            ],
        )
        .await?;
    message_ids(&rows)
}

/// Takes messages from `scan_from` on that this model has never seen, oldest first. Only what clients wrote themselves.
/// The bound stands on both sides of the anti join: Postgres would else read the marks of all the past.
pub(crate) async fn take_new(
    tx: &Tx,
    lease: &Lease<'_>,
    scan_from: i64,
    limit: i64,
) -> Result<Vec<i64>, db::Error> {
    let rows = tx
        .query(
            "insert into core.message_scoring (message_id, model_version, leased_by, lease_until)
             select n.message_id, $1, $2, $3
             from (select m.message_id
                   from core.messages m
                   where m.message_id >= $4 and m.sender_role = 'user' and m.user_id is not null
                     and not exists (select from core.message_scoring s
                        where s.message_id = m.message_id and s.message_id >= $4 and s.model_version = $1)
                   order by m.message_id
                   limit $5
                   for key share of m) as n
             order by n.message_id
             on conflict (message_id, model_version) do nothing
             returning message_id",
            &[
                &lease.model_version,
                &lease.leased_by,
                &lease.until,
                &scan_from,
                &limit,
            ],
        )
        .await?;
    message_ids(&rows)
}

/// Moves the search's beginning behind messages that it need not see again: those leased or scored (a lease that runs
/// out is found by itself), and those that are never scored. It moves no further than behind the last of them that was
/// stored 10 minutes ago: above that a lower id may still be uncommitted, since ids are drawn before they are
/// committed; below it none is, since no transaction of ours lasts as long.
pub(crate) async fn advance(tx: &Tx, model_version: &str, scan_from: i64) -> Result<(), db::Error> {
    tx.execute(
        "with holding as (
            select m.message_id from core.messages m
            where m.message_id >= $2
              and (m.stored_at > now() - interval '10 minutes'
                or (m.sender_role = 'user' and m.user_id is not null
                  and not exists (select from core.message_scoring d
                    where d.message_id = m.message_id and d.message_id >= $2 and d.model_version = $1)))
            order by m.message_id
            limit 1),
         passed as (
            select max(m.message_id) + 1 as scan_from from core.messages m
            where m.message_id >= $2
              and m.message_id < coalesce((select h.message_id from holding h), 9223372036854775807))
         update core.scoring_models s set scan_from = p.scan_from
         from passed p
         where s.model_version = $1 and s.scan_from < p.scan_from",
        &[&model_version, &scan_from],
    )
    .await?;
    Ok(())
}

/// A message as the pipeline that leased it reads it.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) message_text: String,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) conversation_type: ConversationType,
}

/// Reads leased messages, by id.
pub(crate) async fn read(tx: &Tx, message_ids: &[i64]) -> Result<Vec<Leased>, db::Error> {
    let rows = tx
        .query(
            "select m.message_id, m.user_id, m.message_text, m.timestamp, m.conversation_type
             from core.messages m
             where m.message_id = any ($1) and m.user_id is not null
             order by m.message_id",
            &[&message_ids],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Leased {
                message_id: row.try_get("message_id")?,
                user_id: row.try_get("user_id")?,
                message_text: row.try_get("message_text")?,
                timestamp: row.try_get("timestamp")?,
                conversation_type: word(row, "conversation_type")?,
            })
        })
        .collect()
}

/// Marks messages as scored by a model version, each pair once; messages that are gone are passed over.
pub(crate) async fn mark_scored(tx: &Tx, scored: &[(i64, &str)]) -> Result<(), db::Error> {
    tx.execute(
        "insert into core.message_scoring as s (message_id, model_version, scored_at)
         select m.message_id, n.model_version, now()
         from (select distinct d.message_id, d.model_version
               from unnest($1::int8[], $2::varchar[]) as d (message_id, model_version)) as n
         join core.messages m on m.message_id = n.message_id
         order by m.message_id, n.model_version
         for key share of m
         on conflict (message_id, model_version) do update set scored_at = coalesce(s.scored_at, excluded.scored_at)",
        &[
            &scored.iter().map(|(message_id, _)| *message_id).collect::<Vec<_>>(),
            &scored.iter().map(|(_, version)| *version).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

fn message_ids(rows: &[Row]) -> Result<Vec<i64>, db::Error> {
    rows.iter().map(|row| Ok(row.try_get("message_id")?)).collect()
}
