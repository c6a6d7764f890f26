//! Session tokens of Clerk: JWTs, signed with RS256 by one of its published keys.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::SessionSettings;
use super::keys::{Away, Keys};

/// How far Clerk's clock may be from ours, in seconds.
const LEEWAY_SECONDS: u64 = 10;
/// The state of a session in which everything is done that its person had to do.
const ACTIVE: &str = "active";

/// Reads session tokens.
pub(crate) struct Sessions {
    keys: Keys,
    validation: Validation,
    authorized_party: Option<String>,
}

/// What a session token says, besides what [`Validation`] checks.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    azp: Option<String>,
    sts: Option<String>,
}

impl Sessions {
    pub(super) fn new(settings: &SessionSettings) -> Self {
        // The only algorithm: a token cannot choose another one, nor none.
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        match &settings.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            None => validation.validate_aud = false,
        }
        Self {
            keys: Keys::new(settings.jwks_url.clone(), settings.keys_pause),
            validation,
            authorized_party: settings.authorized_party.clone(),
        }
    }

    /// The account at Clerk that a session token is of; `None` for every token that is not good now.
    pub(crate) async fn account(&self, token: &str) -> Result<Option<String>, Away> {
        let Ok(header) = decode_header(token) else {
            return Ok(None);
        };
        let Some(key_id) = header.kid.filter(|_| header.alg == Algorithm::RS256) else {
            return Ok(None);
        };
        let Some(key) = self.keys.find(&key_id).await? else {
            return Ok(None);
        };
        let claims = decode::<Claims>(token, &key, &self.validation).map(|read| read.claims);
        Ok(claims
            .ok()
            .filter(|claims| self.is_for_us(claims))
            .map(|claims| claims.sub))
    }

    fn is_for_us(&self, claims: &Claims) -> bool {
        let from_app = self
            .authorized_party
            .as_ref()
            .is_none_or(|wanted| claims.azp.as_ref() == Some(wanted));
        let is_complete = claims.sts.as_ref().is_none_or(|state| state == ACTIVE);
        from_app && is_complete
    }
}
