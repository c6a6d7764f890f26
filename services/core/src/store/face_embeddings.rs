//! `core.face_embeddings`: faces of clients who consented to it.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

use crate::domain::face::NewFace;

/// A face as it is told: never with its embedding.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) id: i64,
    pub(crate) model_name: String,
    pub(crate) source_session_id: Option<String>,
    pub(crate) idempotency_hash: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// What storing a face came to.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// No model of this name makes faces.
    UnknownModel,
    /// The client is not seen as one cared for.
    NotSeen,
    New(Kept),
    /// The same face was there.
    Same(Kept),
    /// Another face, model or session has this hash.
    Other,
}

const MODEL: &str = "
    select m.name from core.embedding_models m where m.name = $1 and m.purpose = 'face' and m.active";

/// `$1` client, `$2` embedding, `$3` model, `$4` session, `$5` hash. The update changes nothing: it finds the row that
/// stands, and gives it the xmax that tells it from a new one.
const INSERT: &str = "
    insert into core.face_embeddings as f (user_id, embedding, model_name, source_session_id, idempotency_hash)
    select u.user_id, $2::float4[]::public.vector, m.name, $4, $5
    from core.users u
    join core.embedding_models m on m.name = $3 and m.purpose = 'face' and m.active
    where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))
    on conflict (user_id, idempotency_hash) do update set idempotency_hash = f.idempotency_hash
    returning f.id, f.model_name, f.source_session_id, f.idempotency_hash, f.created_at, f.xmax = 0 as is_new,
        f.embedding = $2::float4[]::public.vector and f.model_name = $3
            and f.source_session_id is not distinct from $4 as is_same";

/// Stores a face, or finds what stands under its hash. The database refuses it as `ck_face_embeddings_consent` without a
/// consent to biometrics, which it holds until the transaction ends.
pub(crate) async fn insert(tx: &Tx, user_id: &str, new: &NewFace) -> Result<Stored, db::Error> {
    let model: db::Params<'_> = &[&new.model_name];
    let face: db::Params<'_> = &[
        &user_id,
        &new.face.as_slice(),
        &new.model_name,
        &new.source_session_id,
        &new.idempotency_hash,
    ];
    let answers = tx.pipeline(&[(MODEL, model), (INSERT, face)]).await?;
    let mut answers = answers.iter().map(|rows| rows.first());
    let (model, stored) = (answers.next().flatten(), answers.next().flatten());
    let (Some(_), Some(row)) = (model, stored) else {
        return Ok(if model.is_some() {
            Stored::NotSeen
        } else {
            Stored::UnknownModel
        });
    };
    let kept = from_row(row)?;
    Ok(match (row.try_get("is_new")?, row.try_get("is_same")?) {
        (true, _) => Stored::New(kept),
        (false, true) => Stored::Same(kept),
        (false, false) => Stored::Other,
    })
}

/// One client's faces, newest first; no row where the client is not seen as one cared for, and one without an id where
/// there is none. `$1` client, `$2` the id to go on behind, `$3` limit.
pub(crate) const LIST: &str = "
    with person as (
        select u.user_id
        from core.users u
        where u.user_id = $1 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients())))
    select p.user_id, f.id, f.model_name, f.source_session_id, f.idempotency_hash, f.created_at
    from person p
    left join lateral (
        select l.id, l.model_name, l.source_session_id, l.idempotency_hash, l.created_at
        from core.face_embeddings l
        where l.user_id = $1 and l.id < $2
        order by l.id desc
        limit $3) as f on true";

/// The rows of [`LIST`]; `None` where the client is not seen.
pub(crate) fn listed(rows: &[Row]) -> Result<Option<Vec<Kept>>, db::Error> {
    super::listed::<i64, _>(rows, "id", from_row)
}

fn from_row(row: &Row) -> Result<Kept, db::Error> {
    Ok(Kept {
        id: row.try_get("id")?,
        model_name: row.try_get("model_name")?,
        source_session_id: row.try_get("source_session_id")?,
        idempotency_hash: row.try_get("idempotency_hash")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Forgets a face; `false` where there is no such row of this client, or the client is seen for a crisis alone.
pub(crate) async fn delete(tx: &Tx, user_id: &str, id: i64) -> Result<bool, db::Error> {
    let deleted = tx
        .execute(
            "delete from core.face_embeddings f
             where f.user_id = $1 and f.id = $2 and f.user_id <> all (array(select core.crisis_clients()))",
            &[&user_id, &id],
        )
        .await?;
    Ok(deleted > 0)
}

/// Forgets some of the faces whose consent has run out without being revoked; returns how many.
pub(crate) async fn delete_unconsented(tx: &Tx, limit: i64) -> Result<u64, db::Error> {
    tx.execute(
        "delete from core.face_embeddings f where f.id = any (array(
             select o.id
             from core.consents c
             join core.face_embeddings o on o.user_id = c.user_id
             where c.purpose = 'biometrics' and c.recipient = 'programme' and c.revoked_at is null
               and c.expires_at <= clock_timestamp()
               and not core.has_consent(o.user_id, 'biometrics', 'programme')
             limit $1))",
        &[&limit],
    )
    .await
}

/// A face that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) user_id: String,
    pub(crate) external_id: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) embedding_id: i64,
    pub(crate) distance: f64,
}

/// The faces nearest to one, of the clients whom the actor cares for and who consent to it now: query 1 of seed 003. `$1`
/// embedding, `$2` limit. The faces of a caseload are few: all of them are compared, so that those of other people
/// leave no gap in what is found, as they would in the neighbours that an index of all faces knows. Which clients are
/// visible is the row policy's to decide; it is said here as well so that the index on them is used.
pub(crate) const NEAREST: &str = "
    with compared as materialized (
        select f.user_id, f.id, f.embedding operator(public.<=>) $1::float4[]::public.vector as distance
        from core.face_embeddings f
        where f.user_id = any ((select core.visible_clients())::varchar[])
          and f.user_id <> all (array(select core.crisis_clients()))
          and core.has_consent(f.user_id, 'biometrics', 'programme'))
    select u.user_id, u.external_id, u.display_name, c.id as embedding_id, c.distance
    from compared c
    join core.users u on u.user_id = c.user_id
    order by c.distance, c.id
    limit $2";

pub(crate) fn found(row: &Row) -> Result<Found, db::Error> {
    Ok(Found {
        user_id: row.try_get("user_id")?,
        external_id: row.try_get("external_id")?,
        display_name: row.try_get("display_name")?,
        embedding_id: row.try_get("embedding_id")?,
        distance: row.try_get("distance")?,
    })
}
