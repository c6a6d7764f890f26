//! `core.staff_roles`.

use chrono::{DateTime, Utc};
use db::Tx;

/// A role that a staff user has.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) granted_by: Option<String>,
    pub(crate) granted_at: DateTime<Utc>,
}

/// Gives a staff user a role, or finds that it is there; the flag says whether it is new.
pub(crate) async fn grant(
    tx: &Tx,
    user_id: &str,
    role: &str,
    granted_by: &str,
) -> Result<(Grant, bool), db::Error> {
    // The update changes nothing: it finds the role that is there, which nobody then takes away. A row that was inserted
    // has no xmax yet.
    let row = tx
        .query_one(
            "insert into core.staff_roles as r (user_id, role, granted_by) values ($1, $2, $3)
             on conflict (user_id, role) do update set role = r.role
             returning r.granted_by, r.granted_at, r.xmax = 0 as is_new",
            &[&user_id, &role, &granted_by],
        )
        .await?;
    let grant = Grant {
        granted_by: row.try_get("granted_by")?,
        granted_at: row.try_get("granted_at")?,
    };
    Ok((grant, row.try_get("is_new")?))
}

/// Takes a role away; `false` where the staff user did not have it.
pub(crate) async fn revoke(tx: &Tx, user_id: &str, role: &str) -> Result<bool, db::Error> {
    let taken = tx
        .execute(
            "delete from core.staff_roles r where r.user_id = $1 and r.role = $2",
            &[&user_id, &role],
        )
        .await?;
    Ok(taken > 0)
}

/// Lets nobody else take away or suspend an admin until the transaction ends: of two who do so at once, the second
/// finds what the first has left.
pub(crate) async fn lock_admins(tx: &Tx) -> Result<(), db::Error> {
    tx.execute(
        "select r.user_id from core.staff_roles r where r.role = 'admin' order by r.user_id for update",
        &[],
    )
    .await?;
    Ok(())
}

/// Whether anybody could still make an admin.
pub(crate) async fn has_active_admin(tx: &Tx) -> Result<bool, db::Error> {
    let row = tx
        .query_one(
            "select exists (select from core.staff_roles r join core.users u on u.user_id = r.user_id
                where r.role = 'admin' and u.status = 'active') as is_there",
            &[],
        )
        .await?;
    Ok(row.try_get("is_there")?)
}

/// Makes these the roles of a staff user, and no others.
pub(crate) async fn replace(tx: &Tx, user_id: &str, roles: &[&str]) -> Result<(), db::Error> {
    tx.execute(
        "delete from core.staff_roles r where r.user_id = $1 and r.role <> all ($2)",
        &[&user_id, &roles],
    )
    .await?;
    tx.execute(
        "insert into core.staff_roles (user_id, role)
         select $1, n.role from unnest($2::varchar[]) as n (role)
         on conflict (user_id, role) do nothing",
        &[&user_id, &roles],
    )
    .await?;
    Ok(())
}
