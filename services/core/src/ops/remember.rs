//! What is remembered of a client stands under the client's consent.

use db::{Db, Tx};
use uuid::Uuid;
use web::{Code, FieldError, Problem};

use crate::domain::embedding::Model;
use crate::domain::memory::{NewEmbedding, NewMemory};
use crate::error::Error;
use crate::models::Models;
use crate::store::memories::{self, Consented, Memory, Origin};
use crate::store::memory_embeddings::{self, Of};

const UNKNOWN_MODEL: &str = "must be the name of a text model, as GET /v1/embedding-models lists them";

/// Holds the client's consent to be remembered until the transaction ends.
pub(crate) async fn hold_consent(tx: &Tx, user_id: &str) -> Result<(), Error> {
    match memories::hold_consent(tx, user_id).await? {
        Some(true) => Ok(()),
        Some(false) => Err(consent_required().into()),
        None => Err(Error::NotFound),
    }
}

/// What of it may be read.
pub(crate) fn must_be_shown<T>(found: Consented<T>) -> Result<T, Error> {
    match found {
        Consented::Shown(shown) => Ok(shown),
        Consented::NoConsent => Err(consent_required().into()),
        Consented::NotSeen => Err(Error::NotFound),
    }
}

/// The answer where there is none.
fn consent_required() -> Problem {
    Problem::new(
        Code::ConsentRequired,
        "This person has not consented to be remembered. Ask the person for a consent with the purpose memory.",
    )
}

/// Stores a memory with its embeddings, or finds the one that stands under the same hash and says the same. The flag says
/// whether it is new. The consent is held.
pub(crate) async fn store(tx: &Tx, origin: Origin<'_>, new: &NewMemory) -> Result<(Memory, bool), Error> {
    let hash = new.idempotency_hash.as_deref();
    let (memory, is_new) = memories::insert(tx, origin, &new.content, hash).await?;
    if is_new {
        let of = Of {
            memory_id: memory.id,
            user_id: origin.user_id,
        };
        embed(tx, of, &new.embeddings).await?;
    } else if !new.content.repeats(&memory.content) {
        return Err(differs(memory.id).into());
    }
    Ok((memory, is_new))
}

/// The answer where something else stands under a hash.
pub(crate) fn differs(stands: Uuid) -> Problem {
    Problem::conflict(
        Code::Differs,
        format!("Memory {stands} has the same idempotency_hash and is another one."),
    )
}

/// Stores embeddings of a memory that holds.
pub(crate) async fn embed(tx: &Tx, of: Of<'_>, embeddings: &[NewEmbedding]) -> Result<(), Error> {
    if embeddings.is_empty() {
        return Ok(());
    }
    let stored = memory_embeddings::put(tx, of, embeddings).await?;
    if usize::try_from(stored).is_ok_and(|stored| stored == embeddings.len()) {
        Ok(())
    } else {
        Err(Error::refused("embeddings", "must be of models that are active"))
    }
}

/// Checks embeddings that came with a memory against their models, of which each comes once; all faults at once.
pub(crate) async fn must_fit(models: &Models, db: &Db, embeddings: &[NewEmbedding]) -> Result<(), Error> {
    let names: Vec<&str> = embeddings.iter().map(|new| &*new.model).collect();
    let known = models.texts(db, &names).await?;
    let faults: Vec<FieldError> = embeddings
        .iter()
        .zip(known)
        .enumerate()
        .filter_map(|(index, (new, model))| {
            let is_second = embeddings
                .iter()
                .take(index)
                .any(|earlier| earlier.model == new.model);
            let (field, detail) = match model {
                _ if is_second => ("model", "is given twice".to_owned()),
                None => ("model", UNKNOWN_MODEL.to_owned()),
                Some(model) => ("embedding", new.embedding.must_have(model.dimensions).err()?),
            };
            let pointer = format!("/embeddings/{index}/{field}");
            Some(FieldError { pointer, detail })
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused(faults))
    }
}

/// The text model of that name; `field` says where it is named.
pub(crate) async fn model(models: &Models, db: &Db, name: &str, field: &str) -> Result<Model, Error> {
    let known = models.texts(db, &[name]).await?.pop().flatten();
    known.ok_or_else(|| Error::refused(field, UNKNOWN_MODEL))
}
