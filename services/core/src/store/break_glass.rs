//! `core.break_glass_grants`: sight of a client beyond the own caseload, for a reason and an hour at most.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// A grant.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) grant_id: i64,
    /// Who took it; `None` once that account is gone.
    pub(crate) staff_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) reason: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) reviewed_by: Option<String>,
    pub(crate) reviewed_at: Option<DateTime<Utc>>,
    pub(crate) review_note: Option<String>,
}

/// The columns of a grant, under the alias `g`.
const COLUMNS: &str =
    "g.grant_id, g.staff_id, g.client_id, g.reason, g.created_at, g.expires_at, g.reviewed_by,
    g.reviewed_at, g.review_note";

/// Which grants a supervisor reviews (`$1`): those of staff of the own teams, and those that show a client of theirs.
/// A grant that no other active supervisor's team has a part in is every supervisor's, so that none stays unseen.
const REVIEWED_BY: &str = "
    exists (
        select from core.team_members l join core.team_members m on m.team_id = l.team_id
        where l.staff_id = $1 and l.part = 'supervisor' and (m.staff_id = g.staff_id or m.staff_id in (
            select c.staff_id from core.caseload_assignments c
            where c.client_id = g.client_id and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now()))))
    or not exists (
        select from core.team_members l join core.team_members m on m.team_id = l.team_id
        join core.staff_roles r on r.user_id = l.staff_id and r.role = 'supervisor'
        join core.users u on u.user_id = l.staff_id and u.status = 'active'
        where l.part = 'supervisor' and l.staff_id is distinct from g.staff_id
          and (m.staff_id = g.staff_id or m.staff_id in (
            select c.staff_id from core.caseload_assignments c
            where c.client_id = g.client_id and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now()))))";

/// The grants that a supervisor reviews, oldest first. `$1` the supervisor, `$2` whether it was reviewed or null, `$3`
/// the last id seen, `$4` limit.
pub(crate) fn list_sql() -> String {
    format!(
        "select {COLUMNS} from core.break_glass_grants g
         where g.grant_id > $3 and ($2::boolean is null or (g.reviewed_at is not null) = $2) and ({REVIEWED_BY})
         order by g.grant_id
         limit $4"
    )
}

pub(crate) fn from_row(row: &Row) -> Result<Grant, db::Error> {
    Ok(Grant {
        grant_id: row.try_get("grant_id")?,
        staff_id: row.try_get("staff_id")?,
        client_id: row.try_get("client_id")?,
        reason: row.try_get("reason")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        reviewed_by: row.try_get("reviewed_by")?,
        reviewed_at: row.try_get("reviewed_at")?,
        review_note: row.try_get("review_note")?,
    })
}

/// What stands when somebody asks for a grant.
pub(crate) struct Standing {
    /// The grant for this client that is in force.
    pub(crate) in_force: Option<Grant>,
    /// How many the staff user took within a day.
    pub(crate) within_a_day: i64,
    /// In how many seconds the oldest of those is a day old.
    pub(crate) room_in_seconds: i64,
}

/// Lets the staff user take nothing else until the transaction ends, and tells what stands; `None` where there is no
/// such client.
pub(crate) async fn stand(tx: &Tx, staff_id: &str, client_id: &str) -> Result<Option<Standing>, db::Error> {
    let in_force = format!(
        "select {COLUMNS} from core.break_glass_grants g
         where g.staff_id = $1 and g.client_id = $2 and g.expires_at > now()
         order by g.expires_at desc limit 1"
    );
    // The lock first: who gets it reads what the one before has committed.
    let rows = tx
        .pipeline(&[
            (
                "select u.user_id from core.users u where u.user_id = $1 for no key update",
                &[&staff_id],
            ),
            (
                "select u.user_id from core.users u where u.user_id = $1 and u.kind = 'client' for key share",
                &[&client_id],
            ),
            (&in_force, &[&staff_id, &client_id]),
            (
                "select count(*) as within_a_day,
                    coalesce(extract(epoch from min(g.created_at) + interval '1 day' - now()), 0)::bigint as room_in_seconds
                 from core.break_glass_grants g
                 where g.staff_id = $1 and g.created_at > now() - interval '1 day'",
                &[&staff_id],
            ),
        ])
        .await?;
    let [_, client, in_force, day] = rows.as_slice() else {
        return Err(db::Error::Row("four answers were expected".to_owned()));
    };
    let (Some(_), Some(day)) = (client.first(), day.first()) else {
        return Ok(None);
    };
    Ok(Some(Standing {
        in_force: in_force.first().map(from_row).transpose()?,
        within_a_day: day.try_get("within_a_day")?,
        room_in_seconds: day.try_get("room_in_seconds")?,
    }))
}

/// Stores a grant of so many minutes from now.
pub(crate) async fn insert(
    tx: &Tx,
    staff_id: &str,
    client_id: &str,
    reason: &str,
    minutes: i32,
) -> Result<Grant, db::Error> {
    let sql = format!(
        "insert into core.break_glass_grants as g (staff_id, client_id, reason, expires_at)
         values ($1, $2, $3, now() + make_interval(mins => $4))
         returning {COLUMNS}"
    );
    let params: db::Params<'_> = &[&staff_id, &client_id, &reason, &minutes];
    from_row(&tx.query_one(&sql, params).await?)
}

/// Locks a grant; the flag says whether this supervisor reviews it.
pub(crate) async fn lock(
    tx: &Tx,
    grant_id: i64,
    supervisor: &str,
) -> Result<Option<(Grant, bool)>, db::Error> {
    let sql = format!(
        "select {COLUMNS}, ({REVIEWED_BY}) as is_theirs
         from core.break_glass_grants g where g.grant_id = $2 for no key update of g"
    );
    let row = tx.query_opt(&sql, &[&supervisor, &grant_id]).await?;
    row.map(|row| Ok((from_row(&row)?, row.try_get("is_theirs")?)))
        .transpose()
}

/// Closes the review of a grant.
pub(crate) async fn review(
    tx: &Tx,
    grant_id: i64,
    supervisor: &str,
    note: Option<&str>,
) -> Result<Grant, db::Error> {
    let sql = format!(
        "update core.break_glass_grants g set reviewed_by = $2, reviewed_at = now(), review_note = $3
         where g.grant_id = $1
         returning {COLUMNS}"
    );
    from_row(&tx.query_one(&sql, &[&grant_id, &supervisor, &note]).await?)
}
