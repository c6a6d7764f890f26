//! People who were erased: known by keyed hash alone, and told of to apps and admins only.

use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::web::ThinData;
use actix_web::{HttpRequest, ResponseError};
use common::PrincipalKind;
use db::Db;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::auth::Caller;
use crate::problem::Problem;

/// The key of `core.erasures`, which is kept outside the database: with it and an id, one can tell whether it was erased.
#[derive(Clone)]
pub struct ErasureKey(Hmac<Sha256>);

impl ErasureKey {
    /// The length of a hash.
    pub const HASH_BYTES: usize = 32;

    /// Takes a secret of any length; configuration asks for at least 32 bytes.
    ///
    /// # Errors
    /// None in practice: HMAC takes keys of every length.
    pub fn new(secret: &SecretString) -> Result<Self, Problem> {
        Hmac::new_from_slice(secret.expose_secret().as_bytes())
            .map(Self)
            .map_err(Problem::internal)
    }

    /// What stays of a user id: HMAC-SHA-256, 32 bytes.
    #[must_use]
    pub fn hash(&self, user_id: &str) -> Vec<u8> {
        let mut mac = self.0.clone();
        mac.update(user_id.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

impl std::fmt::Debug for ErasureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErasureKey")
    }
}

/// Makes a 404 a 410 where it is about somebody who was erased and the caller may know it. Where Postgres does not
/// answer, it stays a 404.
pub(crate) async fn gone_if_erased(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if response.status() != StatusCode::NOT_FOUND {
        return response;
    }
    let Some((db, hashes)) = to_ask(response.request()) else {
        return response;
    };
    let sql = "select core.is_erased($1) as erased";
    let found = match db.worker_query(sql, &[&hashes]).await {
        Ok(rows) => rows.first().and_then(|row| row.try_get("erased").ok()),
        Err(error) => {
            tracing::warn!(%error, "cannot tell whether somebody was erased");
            None
        }
    };
    if found == Some(true) {
        let (request, _) = response.into_parts();
        ServiceResponse::new(request, Problem::gone().error_response())
    } else {
        response
    }
}

/// Whom to ask for; `None` where the request names nobody or the caller may not know.
fn to_ask(request: &HttpRequest) -> Option<(Db, Vec<Vec<u8>>)> {
    let key = request.app_data::<ErasureKey>()?;
    let ThinData(db) = request.app_data::<ThinData<Db>>()?;
    let extensions = request.extensions();
    let may_know = |kind| matches!(kind, PrincipalKind::App | PrincipalKind::Admin);
    let hashes: Vec<Vec<u8>> = extensions
        .get::<Caller>()
        .filter(|caller| caller.principal.kinds().any(may_know))?
        .named()
        .map(|user_id| key.hash(user_id))
        .collect();
    (!hashes.is_empty()).then(|| (db.clone(), hashes))
}
