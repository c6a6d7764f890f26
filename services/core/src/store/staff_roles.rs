//! `core.staff_roles`.

use db::Tx;

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
