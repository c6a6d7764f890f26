//! `social.contact_methods`: how staff are reached outside the app.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::contact::{CODE_MINUTES, MAX_CODE_SENDS, MAX_TRIES, Method};

/// A method as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct ContactMethod {
    pub(crate) contact_method_id: i64,
    pub(crate) method: String,
    pub(crate) position: i32,
    pub(crate) address: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) verified_at: Option<DateTime<Utc>>,
    pub(crate) code_error: Option<String>,
}

pub(crate) fn from_row(row: &Row) -> Result<ContactMethod, db::Error> {
    Ok(ContactMethod {
        contact_method_id: row.try_get("contact_method_id")?,
        method: row.try_get("method")?,
        position: row.try_get("position")?,
        address: row.try_get("address")?,
        created_at: row.try_get("created_at")?,
        verified_at: row.try_get("verified_at")?,
        code_error: row.try_get("code_error")?,
    })
}

/// The methods of a staff user in their order. `$1` the person.
pub(crate) const LIST: &str = "
    select c.contact_method_id, c.method, c.position, c.address, c.created_at, c.verified_at, c.code_error
    from social.contact_methods c where c.staff_id = $1
    order by c.position, c.method";

/// Who of the staff has which method, to an admin. `$1` and `$2` the row to go on behind, `$3` limit.
pub(crate) const LIST_HELD: &str = "
    select h.staff_id, h.method, h.created_at, h.verified_at
    from social.contact_methods_held() h
    where (h.staff_id, h.method) > ($1, $2)
    order by h.staff_id, h.method limit $3";

/// A method that its owner names.
pub(crate) struct NewMethod<'a> {
    pub(crate) method: Method,
    pub(crate) position: i32,
    pub(crate) address: &'a str,
    pub(crate) secret_sealed: Option<Vec<u8>>,
}

/// Stores a method in place of one that was never verified, and wants a code to be sent there; `None` where a verified one
/// stands.
pub(crate) async fn put(
    tx: &Tx,
    staff_id: &str,
    new: &NewMethod<'_>,
    now: Option<DateTime<Utc>>,
) -> Result<Option<ContactMethod>, db::Error> {
    tx.query_opt(
        "insert into social.contact_methods as c (staff_id, method, position, address, secret_sealed, created_at, code_due_at)
         select $1, $2, $3, $4, $5, clock.now, clock.now from (select coalesce($6::timestamptz, now()) as now) clock
         on conflict (staff_id, method) do update
         set position = excluded.position, address = excluded.address, secret_sealed = excluded.secret_sealed,
            created_at = excluded.created_at, code_hash = null, code_expires_at = null, code_tries = 0, code_sends = 0,
            code_due_at = excluded.code_due_at, code_error = null
         where c.verified_at is null
         returning c.contact_method_id, c.method, c.position, c.address, c.created_at, c.verified_at, c.code_error",
        &[&staff_id, &new.method.as_str(), &new.position, &new.address, &new.secret_sealed, &now],
    )
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// Counts a try before its code is looked at; `false` where the person has no such method.
pub(crate) async fn count_try(tx: &Tx, staff_id: &str, contact_method_id: i64) -> Result<bool, db::Error> {
    let counted = tx
        .execute(
            "update social.contact_methods c set code_tries = c.code_tries + 1
             where c.contact_method_id = $1 and c.staff_id = $2",
            &[&contact_method_id, &staff_id],
        )
        .await?;
    Ok(counted > 0)
}

/// Takes a code that was sent back, whose try is counted; `None` where it is another one, too old, or one try too many.
pub(crate) async fn verify(
    tx: &Tx,
    (staff_id, contact_method_id): (&str, i64),
    hash: &[u8],
    now: Option<DateTime<Utc>>,
) -> Result<Option<ContactMethod>, db::Error> {
    tx.query_opt(
        "update social.contact_methods c
         set verified_at = coalesce(c.verified_at, clock.now), code_hash = null, code_expires_at = null,
            code_due_at = null, code_error = null
         from (select coalesce($4::timestamptz, now()) as now) clock
         where c.contact_method_id = $1 and c.staff_id = $2 and c.code_hash = $3 and c.code_expires_at > clock.now
            and c.code_tries <= $5
         returning c.contact_method_id, c.method, c.position, c.address, c.created_at, c.verified_at, c.code_error",
        &[&contact_method_id, &staff_id, &hash, &now, &MAX_TRIES],
    )
    .await?
    .as_ref()
    .map(from_row)
    .transpose()
}

/// Forgets a method of a person; `false` where there is none.
pub(crate) async fn delete(tx: &Tx, staff_id: &str, contact_method_id: i64) -> Result<bool, db::Error> {
    let gone = tx
        .execute(
            "delete from social.contact_methods c where c.contact_method_id = $1 and c.staff_id = $2",
            &[&contact_method_id, &staff_id],
        )
        .await?;
    Ok(gone > 0)
}

/// Where a code or a page goes.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) method: Method,
    pub(crate) staff_id: String,
    pub(crate) address: String,
    pub(crate) secret_sealed: Option<Vec<u8>>,
}

/// The place of a row; `None` where the person has none by that method any more.
pub(crate) fn place(row: &Row) -> Result<Option<Place>, db::Error> {
    let method: &str = row.try_get("method")?;
    let address: Option<String> = row.try_get("address")?;
    let (Some(method), Some(address)) = (Method::parse(method), address) else {
        return Ok(None);
    };
    Ok(Some(Place {
        method,
        address,
        staff_id: row.try_get("staff_id")?,
        secret_sealed: row.try_get("secret_sealed")?,
    }))
}

/// A method to which a code is to be sent.
pub(crate) struct CodeDue {
    pub(crate) contact_method_id: i64,
    pub(crate) sends: i32,
    pub(crate) place: Option<Place>,
}

/// Takes methods that wait for a code, for as long as a lease. Codes come behind, by [`give_codes`].
pub(crate) async fn claim_codes(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    (limit, lease_seconds): (i64, i64),
) -> Result<Vec<CodeDue>, db::Error> {
    let rows = tx
        .query(
            "with clock as (select coalesce($1::timestamptz, now()) as now), due as (
                select l.contact_method_id from social.contact_methods l, clock
                where l.code_due_at <= clock.now order by l.code_due_at limit $2 for update of l skip locked)
             update social.contact_methods c
             set code_sends = c.code_sends + 1,
                code_due_at = case when c.code_sends + 1 < $4 then clock.now + $3::int8 * interval '1 second' end
             from due, clock
             where c.contact_method_id = due.contact_method_id
             returning c.contact_method_id, c.code_sends, c.method, c.staff_id, c.address, c.secret_sealed",
            &[&now, &limit, &lease_seconds, &MAX_CODE_SENDS],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(CodeDue {
                contact_method_id: row.try_get("contact_method_id")?,
                sends: row.try_get("code_sends")?,
                place: place(row)?,
            })
        })
        .collect()
}

/// Stores the codes that are about to be sent, in place of those before them.
pub(crate) async fn give_codes(
    tx: &Tx,
    ids: &[i64],
    hashes: &[Vec<u8>],
    now: Option<DateTime<Utc>>,
) -> Result<(), db::Error> {
    tx.execute(
        "update social.contact_methods c
         set code_hash = n.hash, code_tries = 0,
            code_expires_at = coalesce($3::timestamptz, now()) + $4::int8 * interval '1 minute'
         from unnest($1::int8[], $2::bytea[]) as n (id, hash)
         where c.contact_method_id = n.id and c.verified_at is null",
        &[&ids, &hashes, &now, &CODE_MINUTES],
    )
    .await?;
    Ok(())
}

/// How the sending of codes went: an error leaves the lease to run out, and then there is another try, if one is left.
pub(crate) async fn settle_codes(
    tx: &Tx,
    sent: &[CodeDue],
    errors: &[Option<String>],
) -> Result<(), db::Error> {
    tx.execute(
        "update social.contact_methods c
         set code_error = n.error, code_due_at = case when n.error is not null then c.code_due_at end
         from unnest($1::int8[], $2::int4[], $3::text[]) as n (id, sends, error)
         where c.contact_method_id = n.id and c.code_sends = n.sends",
        &[
            &sent.iter().map(|one| one.contact_method_id).collect::<Vec<_>>(),
            &sent.iter().map(|one| one.sends).collect::<Vec<_>>(),
            &errors,
        ],
    )
    .await?;
    Ok(())
}
