//! The shape of a handler that writes: authenticate, say who may, read the body, run once.
//!
//! ```ignore
//! async fn acknowledge(
//!     app: Data<App>,
//!     id: Path<Id>,
//!     request: Write<Acknowledge>,
//! ) -> Result<HttpResponse, Error> {
//!     let Granted { caller, body, key } = request.allow(&ACKNOWLEDGE)?;
//!     let tx = app.db.begin(&caller.actor()?).await?;
//!     web::write(tx, &caller, key, async |tx| {
//!         let escalation = ops::acknowledge(tx, *id, &body).await?;
//!         Ok(Answer::ok(&escalation)?)
//!     })
//!     .await
//! }
//! ```

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};

use crate::auth::{Allowed, Caller};
use crate::body::{parse, receive};
use crate::fields::Read;
use crate::idempotency::IdempotencyKey;
use crate::problem::Problem;

/// A request that writes, received but not yet read: the body shows only once [`Write::allow`] has let the caller in,
/// so that nobody learns from a 422 what a 403 should have hidden. A route without a body takes `Write<()>`.
#[derive(Debug)]
pub struct Write<T> {
    caller: Caller,
    received: Bytes,
    key: Option<IdempotencyKey>,
    body: PhantomData<T>,
}

/// A request that may go ahead.
#[derive(Debug)]
pub struct Granted<T> {
    /// Who asked.
    pub caller: Caller,
    /// What was sent.
    pub body: T,
    /// The `Idempotency-Key` with the hash of the request.
    pub key: Option<IdempotencyKey>,
}

impl<T: Read> Write<T> {
    /// Who asks, for routes that look closer than at kinds.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Checks who is asking, then reads the body.
    ///
    /// # Errors
    /// 403, then 400, 413 or 422.
    pub fn allow(self, allowed: &Allowed) -> Result<Granted<T>, Problem> {
        self.caller.allow(allowed)?;
        self.known()
    }

    /// Reads the body of whoever has a good token: for routes on the own account, which staff without a role have too.
    ///
    /// # Errors
    /// 403 where the token is limited to other routes, then 400, 413 or 422.
    pub fn known(self) -> Result<Granted<T>, Problem> {
        self.caller.within_scopes()?;
        let body = parse(&self.received)?;
        Ok(Granted {
            caller: self.caller,
            body,
            key: self.key,
        })
    }
}

impl<T: Read + 'static> FromRequest for Write<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = Caller::from_request(&request, &mut payload).await?;
            let received = receive::<T>(&request, payload).await?;
            let key = IdempotencyKey::of(&request, &received)?;
            Ok(Self {
                caller,
                received,
                key,
                body: PhantomData,
            })
        })
    }
}
