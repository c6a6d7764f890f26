//! What every schema keeps for a while only: answers for retries, events that were published, receipts of events.

use std::time::Duration;

use db::{Db, Row};

use crate::job::Job;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// Rows of one table that go in one round, at most.
const MAX_ROWS: i64 = 5_000;

/// What goes, by table. A row that somebody holds is left for the next round: nobody waits for a job. Of the outbox, the
/// oldest rows are looked at and no more, since no index has published ones: it would cost every event.
const ENDED: [&str; 3] = [
    "with gone as (delete from {schema}.idempotency_keys k where k.ctid = any (array(
         select o.ctid from {schema}.idempotency_keys o
         where o.created_at < now() - interval '24 hours'
         order by o.created_at limit $1 for update skip locked)) returning true)
     select count(*) as gone from gone",
    "with gone as (delete from {schema}.outbox k where k.id = any (array(
         select o.id from {schema}.outbox o
         where o.id in (select f.id from {schema}.outbox f order by f.id limit $1)
           and o.published_at < now() - interval '7 days'
         order by o.id for update skip locked)) returning true)
     select count(*) as gone from gone",
    "with gone as (delete from {schema}.inbox k where k.ctid = any (array(
         select o.ctid from {schema}.inbox o
         where o.received_at < now() - interval '30 days'
         order by o.received_at limit $1 for update skip locked)) returning true)
     select count(*) as gone from gone",
];

/// The job `retention`.
pub(crate) fn job(db: &Db) -> Job {
    let db = db.clone();
    Job::new("retention", EVERY, move || {
        let db = db.clone();
        async move { round(&db).await }
    })
}

/// Deletes some; how many rows.
async fn round(db: &Db) -> Result<u64, db::Error> {
    let tx = db.begin_worker().await?;
    let statements = ENDED.map(|sql| sql.replace("{schema}", tx.schema()));
    let params: db::Params<'_> = &[&MAX_ROWS];
    let statements = statements.each_ref().map(|sql| (sql.as_str(), params));
    let rows = tx.pipeline(&statements).await?;
    let gone = |row: &Row| -> Result<i64, db::Error> { Ok(row.try_get("gone")?) };
    let counts: Vec<i64> = rows.iter().flatten().map(gone).collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(counts.iter().sum::<i64>().unsigned_abs())
}
