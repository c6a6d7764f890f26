//! Who asks: a program, by its id and secret in `Authorization: Basic` or in the form (RFC 6749, 2.3.1).

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::Db;
use subtle::ConstantTimeEq;
use web::{Guess, Holder, Known, Parameters, Stranger};

use super::refusal::Refusal;
use crate::domain::token::Token;
use crate::store::api_client_secrets::{self, Secret};
use crate::store::tokens::Active;

/// Why the audit says that a program was refused.
const INVALID_CLIENT: &str = "invalid-client";

/// A program that has shown a secret of its own.
pub(super) struct Proven {
    pub(super) client_id: String,
    pub(super) secret: Secret,
}

impl Proven {
    /// The program that a request comes from.
    pub(super) async fn of(
        db: &Db,
        from: &Stranger,
        request: &HttpRequest,
        form: &Parameters,
    ) -> Result<Self, Refusal> {
        let (client_id, shown) = presented(request, form)?;
        if !web::read::is_identifier(&client_id) {
            return Err(Refusal::InvalidClient);
        }
        let guess = Guess::begin(request, &client_id)?;
        let rows = db.worker_query(api_client_secrets::LIVE, &[&client_id]).await?;
        let live = rows
            .iter()
            .map(api_client_secrets::from_row)
            .collect::<Result<Vec<_>, _>>()?;
        let shown = shown.hash();
        if let Some(secret) = live.iter().find(|secret| secret.secret_hash.ct_eq(&shown).into()) {
            let secret = secret.clone();
            return Ok(Self { client_id, secret });
        }
        guess.was_wrong();
        if let Some(secret) = live.first() {
            from.refused(known(&client_id, secret), INVALID_CLIENT).await;
        }
        Err(Refusal::InvalidClient)
    }

    /// As the audit names it.
    pub(super) fn known(&self) -> Known<'_> {
        known(&self.client_id, &self.secret)
    }

    pub(super) fn owns(&self, token: &Active) -> bool {
        token.client_id.as_ref() == Some(&self.client_id)
    }
}

fn known<'a>(client_id: &'a str, secret: &Secret) -> Known<'a> {
    let holder = Holder::parse(&secret.kind).unwrap_or(Holder::Service);
    Known {
        holder,
        id: client_id,
    }
}

/// Id and secret as they were sent. Of two ways at once, a proxy may have meant the other one.
fn presented(request: &HttpRequest, form: &Parameters) -> Result<(String, Token), Refusal> {
    let (named, secret) = (form.get("client_id"), form.get("client_secret"));
    let Some((client_id, shown)) = basic(request)? else {
        let (client_id, secret) = named.zip(secret).ok_or(Refusal::InvalidClient)?;
        return Ok((client_id.to_owned(), Token::given(secret)));
    };
    if secret.is_some() || named.is_some_and(|named| named != client_id) {
        return Err(Refusal::InvalidRequest(
            "the program is named in two ways".to_owned(),
        ));
    }
    Ok((client_id, shown))
}

/// Ids and secrets of ours hold nothing that the encoding of forms changes, so they are not decoded a second time.
fn basic(request: &HttpRequest) -> Result<Option<(String, Token)>, Refusal> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    let pair = header
        .to_str()
        .ok()
        .filter(|_| headers.next().is_none())
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|decoded| String::from_utf8(decoded).ok())
        .ok_or(Refusal::InvalidClient)?;
    let (client_id, secret) = pair.split_once(':').ok_or(Refusal::InvalidClient)?;
    Ok(Some((client_id.to_owned(), Token::given(secret))))
}
