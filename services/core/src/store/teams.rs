//! `core.teams` and `core.team_members`: whose caseloads a supervisor answers for.

use chrono::{DateTime, Utc};
use db::{Json, Row, Tx};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A team.
#[derive(Clone, Debug)]
pub(crate) struct Team {
    pub(crate) team_id: i64,
    pub(crate) name: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) members: Vec<Member>,
}

/// A staff user in a team.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Member {
    pub(crate) staff_id: String,
    /// supervisor or member.
    pub(crate) part: String,
    pub(crate) since: DateTime<Utc>,
}

/// Teams with their members, oldest first. `$1` the last id seen, `$2` limit.
pub(crate) const LIST: &str = "
    select t.team_id, t.name, t.created_at, coalesce(m.members, '[]') as members
    from (select p.team_id, p.name, p.created_at from core.teams p where p.team_id > $1 order by p.team_id limit $2) as t
    left join lateral (
        select jsonb_agg(jsonb_build_object('staff_id', s.staff_id, 'part', s.part, 'since', s.since)
            order by s.part desc, s.staff_id) as members
        from core.team_members s where s.team_id = t.team_id) as m on true
    order by t.team_id";

pub(crate) fn from_row(row: &Row) -> Result<Team, db::Error> {
    let Json(members): Json<Vec<Member>> = row.try_get("members")?;
    Ok(Team {
        team_id: row.try_get("team_id")?,
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
        members,
    })
}

/// Makes a team without members.
pub(crate) async fn insert(tx: &Tx, name: &str) -> Result<Team, db::Error> {
    let row = tx
        .query_one(
            "insert into core.teams (name) values ($1) returning team_id, created_at",
            &[&name],
        )
        .await?;
    Ok(Team {
        team_id: row.try_get("team_id")?,
        name: name.to_owned(),
        created_at: row.try_get("created_at")?,
        members: Vec::new(),
    })
}

/// Lets nobody else change who is in a team until the transaction ends; `None` where there is no such team, else how
/// many staff are in it besides this one.
pub(crate) async fn lock(tx: &Tx, team_id: i64, staff_id: &str) -> Result<Option<i64>, db::Error> {
    let found = tx
        .execute(
            "select t.team_id from core.teams t where t.team_id = $1 for no key update",
            &[&team_id],
        )
        .await?;
    if found == 0 {
        return Ok(None);
    }
    let row = tx
        .query_one(
            "select count(*) as others from core.team_members m where m.team_id = $1 and m.staff_id <> $2",
            &[&team_id, &staff_id],
        )
        .await?;
    Ok(Some(row.try_get("others")?))
}

/// Puts a staff user into a team, or gives the one who is in it another part. The flag says whether the staff user
/// is new there.
pub(crate) async fn put(
    tx: &Tx,
    team_id: i64,
    staff_id: &str,
    part: &str,
) -> Result<(Member, bool), db::Error> {
    // A row that was inserted has no xmax yet; one that the conflict updated has.
    let row = tx
        .query_one(
            "insert into core.team_members as m (team_id, staff_id, part) values ($1, $2, $3)
             on conflict (team_id, staff_id) do update set part = excluded.part
             returning m.staff_id, m.part, m.since, m.xmax = 0 as is_new",
            &[&team_id, &staff_id, &part],
        )
        .await?;
    let member = Member {
        staff_id: row.try_get("staff_id")?,
        part: row.try_get("part")?,
        since: row.try_get("since")?,
    };
    Ok((member, row.try_get("is_new")?))
}

/// Takes a staff user out of a team; `false` where there is no such member.
pub(crate) async fn remove(tx: &Tx, team_id: i64, staff_id: &str) -> Result<bool, db::Error> {
    let removed = tx
        .execute(
            "delete from core.team_members m where m.team_id = $1 and m.staff_id = $2",
            &[&team_id, &staff_id],
        )
        .await?;
    Ok(removed > 0)
}
