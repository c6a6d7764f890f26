//! Whoever calls a route that asks for no token, and who they turn out to be.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest};
use db::{Json, Tx};

use crate::audit::{Act, Auditor, Entry, WRITE};
use crate::auth::Holder;
use crate::problem::Problem;
use crate::rate::RateLimits;
use crate::request_id::RequestId;

/// Whoever calls a route that asks for no token, and where from. The address pays for the request, also where a token
/// is shown along: nobody looks at it there.
#[derive(Debug, Clone)]
pub struct Stranger {
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    act: Arc<Act>,
    request_id: RequestId,
    auditor: Auditor,
}

/// Who a stranger turned out to be, or may be: of whom an account is named without proof, a refusal is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What they are.
    pub holder: Holder,
    /// Account or program.
    pub id: &'a str,
}

impl Stranger {
    /// Leaves the row of what somebody did, who has shown who they are, to the commit of its transaction.
    pub fn audited_in(&self, tx: &Tx, who: Known<'_>, people: Vec<String>) {
        tx.at_commit(WRITE, vec![Box::new(Json([self.entry(who, people)]))]);
    }

    /// As [`Self::audited_in`], of a refusal that changes something.
    pub fn refused_in(&self, tx: &Tx, who: Known<'_>, reason: &'static str) {
        tx.at_commit(WRITE, vec![Box::new(Json([self.refusal(who, reason)]))]);
    }

    /// Records what somebody was shown, who has shown who they are.
    ///
    /// # Errors
    /// 503 when it cannot be recorded: nothing may be shown then.
    pub async fn on_record(&self, who: Known<'_>, people: Vec<String>) -> Result<(), Problem> {
        self.auditor.record(self.entry(who, people)).await
    }

    /// Records that somebody was refused. Where that fails it is in the log alone: another answer than that to somebody
    /// unknown would tell that the account is there.
    pub async fn refused(&self, who: Known<'_>, reason: &'static str) {
        // The recorder has logged why.
        self.auditor.record(self.refusal(who, reason)).await.ok();
    }

    fn entry(&self, who: Known<'_>, people: Vec<String>) -> Entry {
        Entry::by_proof(&self.act, &self.request_id, who, people)
    }

    fn refusal(&self, who: Known<'_>, reason: &'static str) -> Entry {
        self.entry(who, Vec::new()).denied_for(reason)
    }
}

impl FromRequest for Stranger {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(limits) = request.app_data::<RateLimits>() else {
            return ready(Err(Problem::internal("no RateLimits in the application's data")));
        };
        let Some(auditor) = request.app_data::<Auditor>() else {
            return ready(Err(Problem::internal("no Auditor in the application's data")));
        };
        // Without a token, the request was charged on its way in.
        let shows_a_token = request.headers().contains_key(AUTHORIZATION);
        let charged = if shows_a_token {
            limits.charge_address(request)
        } else {
            Ok(())
        };
        ready(charged.map(|()| Self {
            address: limits.address(request),
            act: Arc::new(Act::of(request)),
            request_id: RequestId::of(request),
            auditor: auditor.clone(),
        }))
    }
}
