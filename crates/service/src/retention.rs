//! What is kept for a while only: in every schema answers for retries, events that were published and receipts of events,
//! and besides what a service says ([`Term`]).

use std::sync::Arc;
use std::time::Duration;

use db::{Db, Row, ToSql};

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

/// What a service keeps of one table, and for how long.
#[derive(Clone, Debug)]
pub struct Term {
    /// `$1` rows at most, `$2` days.
    sql: String,
    days: i32,
}

impl Term {
    /// No term that somebody sets is longer: ten years.
    pub const MAX_DAYS: i32 = 3_652;

    /// Rows go so many days after the time in a column that an index begins with; `only` says which of them do, of the row
    /// `o`.
    #[must_use]
    pub fn since(table: &str, column: &str, only: &str, days: i32) -> Self {
        let over = format!(
            "where o.{column} < now() - make_interval(days => $2) and {only}
             order by o.{column} limit $1"
        );
        Self::of(table, &over, days)
    }

    /// Rows go so many days after a time of the row `o`. Those with the lowest ids, which are the oldest, are looked at and
    /// no more: an index on their time would cost every write.
    #[must_use]
    pub fn of_oldest(table: &str, id: &str, since: &str, days: i32) -> Self {
        let over = format!(
            "where o.{id} in (select f.{id} from {table} f order by f.{id} limit $1)
               and {since} < now() - make_interval(days => $2)
             order by o.{id}"
        );
        Self::of(table, &over, days)
    }

    fn of(table: &str, over: &str, days: i32) -> Self {
        let sql = format!(
            "with gone as (delete from {table} k where k.ctid = any (array(
                 select o.ctid from {table} o {over} for update skip locked)) returning true)
             select count(*) as gone from gone"
        );
        Self { sql, days }
    }
}

/// The job `retention`.
pub(crate) fn job(db: &Db, terms: Vec<Term>) -> Job {
    let db = db.clone();
    let terms = Arc::new(terms);
    Job::new("retention", EVERY, move || {
        let (db, terms) = (db.clone(), Arc::clone(&terms));
        async move { round(&db, &terms).await }
    })
}

/// Deletes some; how many rows.
async fn round(db: &Db, terms: &[Term]) -> Result<u64, db::Error> {
    let tx = db.begin_worker().await?;
    let of_every_schema = ENDED.map(|sql| sql.replace("{schema}", tx.schema()));
    let own: Vec<[&(dyn ToSql + Sync); 2]> = terms
        .iter()
        .map(|term| [&MAX_ROWS as _, &term.days as _])
        .collect();
    let bounded: db::Params<'_> = &[&MAX_ROWS];
    let mut statements: Vec<(&str, db::Params<'_>)> = of_every_schema
        .iter()
        .map(|sql| (sql.as_str(), bounded))
        .collect();
    statements.extend(
        terms
            .iter()
            .zip(&own)
            .map(|(term, params)| (term.sql.as_str(), params.as_slice())),
    );
    let rows = tx.pipeline(&statements).await?;
    let gone = |row: &Row| -> Result<i64, db::Error> { Ok(row.try_get("gone")?) };
    let counts: Vec<i64> = rows.iter().flatten().map(gone).collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(counts.iter().sum::<i64>().unsigned_abs())
}
