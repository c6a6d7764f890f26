//! Who is calling: bearer tokens, the principals behind them, and what a route declares about both.

mod principal;
mod tokens;

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::sync::{Arc, OnceLock};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use common::PrincipalKind;
use futures::future::{Either, FutureExt, LocalBoxFuture};
use serde::Serialize;

use crate::audit::{Act, Auditor};
use crate::problem::Problem;
use crate::rate::RateLimits;
use crate::read::is_identifier;
use crate::request_id::RequestId;

pub use principal::{Holder, Principal};
pub(crate) use tokens::TokenHash;
pub use tokens::Tokens;

/// Names the client that an app or a service acts for.
const ON_BEHALF_OF: &str = "x-on-behalf-of";

/// The principals that may call a route. Stands beside the handler, and in OpenAPI:
///
/// ```ignore
/// const RECORD: Allowed = Allowed(&[PrincipalKind::Pipeline]);
///
/// #[utoipa::path(
///     request_body = NewPrediction,
///     responses((status = 201, body = Recorded)),
///     extensions(("x-principals" = json!(RECORD))),
/// )]
/// #[post("/v1/messages/{message_id}/predictions")]
/// async fn record(app: Data<App>, path: Path<Id>, request: Write<NewPrediction>) -> Result<HttpResponse, Error> {
///     let request = request.allow(&RECORD)?;
///     …
/// }
/// ```
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct Allowed(pub &'static [PrincipalKind]);

/// The authenticated caller of a request. As an extractor it answers 401 to everybody without a good token.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose token it is.
    pub principal: Arc<Principal>,
    /// The client an app or a service says it acts for.
    pub on_behalf_of: Option<String>,
    /// The request's id, for audit rows.
    pub request_id: RequestId,
    /// What is done, for the audit.
    pub(crate) act: Arc<Act>,
    pub(crate) auditor: Auditor,
    /// The client whom an app without the header acts for, once a handler has said so.
    acted_for: Arc<OnceLock<String>>,
}

impl Caller {
    /// Checks that the caller is one of those a route is open to, and that the token is not limited to other routes.
    ///
    /// # Errors
    /// 403 that names them, or the scope that the token lacks.
    pub fn allow(&self, allowed: &Allowed) -> Result<(), Problem> {
        if self.principal.kinds().any(|kind| allowed.0.contains(&kind)) {
            return self.within_scopes();
        }
        let words: Vec<&str> = allowed.0.iter().map(|kind| kind.as_str()).collect();
        Err(Problem::forbidden(format!(
            "This is open to: {}.",
            words.join(", ")
        )))
    }

    /// A token without scopes may do all that its holder may.
    pub(crate) fn within_scopes(&self) -> Result<(), Problem> {
        let scopes = &self.principal.scopes;
        if scopes.is_empty() {
            return Ok(());
        }
        let (method, pattern) = self.act.action.split_once(' ').unwrap_or_default();
        let needed = common::scope_of(method, pattern);
        if scopes.contains(&needed) {
            Ok(())
        } else {
            Err(Problem::forbidden(format!(
                "This token lacks the scope {needed}."
            )))
        }
    }

    /// The person whose rows this request may touch.
    ///
    /// # Errors
    /// 400 for an app or a service that names nobody; 403 for a pipeline, which acts for nobody.
    pub fn actor(&self) -> Result<db::Actor, Problem> {
        self.acting_for(self.on_behalf_of.as_deref())
    }

    /// As [`Self::actor`], where the path names the one client that the request is about, for whom an app without the
    /// header acts.
    ///
    /// # Errors
    /// 403 for a pipeline.
    pub fn actor_for(&self, user_id: &str) -> Result<db::Actor, Problem> {
        if self.on_behalf_of.is_none() {
            self.acted_for.get_or_init(|| user_id.to_owned());
        }
        match self.acting_for(self.on_behalf_of.as_deref().or(Some(user_id)))? {
            db::Actor::Staff(staff_id) => Ok(db::Actor::StaffAbout {
                staff_id,
                client_id: user_id.to_owned(),
            }),
            other @ (db::Actor::Client(_) | db::Actor::StaffAbout { .. }) => Ok(other),
        }
    }

    /// The caller as cursors and idempotency records know it, such as `app:front/client:u1`. Every person has a part of
    /// their own in it, so that what is stored under it can go with them.
    pub fn identity(&self) -> String {
        let own = format!("{}:{}", self.principal.holder.as_str(), self.principal.id);
        match &self.on_behalf_of {
            Some(client) => format!("{own}/client:{client}"),
            None => own,
        }
    }

    /// The people whom the request names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &String> {
        self.act
            .people
            .iter()
            .chain(&self.on_behalf_of)
            .chain(self.acted_for.get())
    }

    /// The people whom the request names, and the caller, where that is a person.
    pub(crate) fn people(&self) -> BTreeSet<String> {
        let caller = match self.principal.holder {
            Holder::Client | Holder::Staff => Some(&self.principal.id),
            Holder::App | Holder::Pipeline | Holder::Service => None,
        };
        self.named().chain(caller).cloned().collect()
    }

    fn acting_for(&self, client: Option<&str>) -> Result<db::Actor, Problem> {
        match (self.principal.holder, client) {
            (Holder::Client, _) => Ok(db::Actor::Client(self.principal.id.clone())),
            (Holder::Staff, _) => Ok(db::Actor::Staff(self.principal.id.clone())),
            (Holder::App | Holder::Service, Some(client)) => Ok(db::Actor::Client(client.to_owned())),
            (Holder::App | Holder::Service, None) => Err(Problem::bad_request(
                "The header X-On-Behalf-Of must name the client.",
            )),
            (Holder::Pipeline, _) => Err(Problem::forbidden("A pipeline acts for nobody.")),
        }
    }

    fn new(principal: Arc<Principal>, request: &HttpRequest) -> Result<Self, Problem> {
        if let Some(limits) = request.app_data::<RateLimits>() {
            limits.charge_principal(&principal)?;
        }
        let on_behalf_of = on_behalf_of(&principal, request);
        let Some(auditor) = request.app_data::<Auditor>() else {
            return Err(Problem::internal("no Auditor in the application's data"));
        };
        let caller = Self {
            principal,
            on_behalf_of: on_behalf_of.clone().ok().flatten(),
            request_id: RequestId::of(request),
            act: Arc::new(Act::of(request)),
            auditor: auditor.clone(),
            acted_for: Arc::default(),
        };
        // For the frame, which tells the audit of a refusal, and apps of who was erased.
        request.extensions_mut().insert(caller.clone());
        on_behalf_of.map(|_| caller)
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Either<Ready<Result<Self, Problem>>, LocalBoxFuture<'static, Result<Self, Problem>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(tokens) = request.app_data::<Tokens>() else {
            return Either::Left(ready(Err(Problem::internal(
                "no Tokens in the application's data",
            ))));
        };
        let Some(hash) = bearer(request) else {
            return Either::Left(ready(Err(refused(request))));
        };
        if let Some(principal) = tokens.remembered(&hash) {
            return Either::Left(ready(Self::new(principal, request)));
        }
        let (tokens, request) = (tokens.clone(), request.clone());
        let look_up = async move {
            let principal = tokens
                .authenticate(hash)
                .await?
                .ok_or_else(|| refused(&request))?;
            Self::new(principal, &request)
        };
        Either::Right(look_up.boxed_local())
    }
}

/// SHA-256 of the token that a request shows, for routes that end what the token belongs to.
pub fn token_shown(request: &HttpRequest) -> Option<[u8; 32]> {
    bearer(request)
}

fn bearer(request: &HttpRequest) -> Option<TokenHash> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers
        .next()
        .filter(|_| headers.next().is_none())?
        .to_str()
        .ok()?;
    let (scheme, token) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        tokens::hash(token.trim())
    } else {
        None
    }
}

/// The one answer to every bad token, or 429 where an address tries too many.
fn refused(request: &HttpRequest) -> Problem {
    let limits = request.app_data::<RateLimits>();
    let charged = limits.map_or(Ok(()), |limits| limits.charge_address(request));
    charged.err().unwrap_or_else(Problem::unauthenticated)
}

fn on_behalf_of(principal: &Principal, request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut headers = request.headers().get_all(ON_BEHALF_OF);
    let Some(named) = headers.next() else {
        return Ok(None);
    };
    // Of two, a proxy may have meant the other one.
    let named = named
        .to_str()
        .ok()
        .filter(|text| headers.next().is_none() && is_identifier(text));
    let client =
        named.ok_or_else(|| Problem::bad_request("The header X-On-Behalf-Of must be a client's id."))?;
    match principal.holder {
        Holder::App | Holder::Service => Ok(Some(client.to_owned())),
        Holder::Client | Holder::Staff | Holder::Pipeline => Err(Problem::forbidden(
            "Only an app or a service may act on behalf of a client.",
        )),
    }
}
