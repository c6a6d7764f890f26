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

/// Rows that somebody signed in, or did not.
const SIGN_IN: &str = "sign_in";

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

/// Who a row of the audit is of, or about, where no token of ours says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// What they are, in a word.
    pub(crate) kind: &'static str,
    /// Account or program.
    pub(crate) id: &'a str,
}

impl<'a> Named<'a> {
    /// An account or a program.
    pub const fn new(holder: Holder, id: &'a str) -> Self {
        Self {
            kind: holder.as_str(),
            id,
        }
    }

    /// What vouches for people elsewhere, such as `clerk`.
    pub const fn elsewhere(name: &'static str) -> Named<'static> {
        Named { kind: name, id: name }
    }

    /// The account, where it is one.
    pub(crate) fn person(self) -> Option<String> {
        let is_person = [Holder::Client, Holder::Staff]
            .map(Holder::as_str)
            .contains(&self.kind);
        is_person.then(|| self.id.to_owned())
    }
}

/// Whoever names an account or a program and has not shown to be it.
const ANYBODY: Named<'_> = Named::elsewhere("anybody");

impl Stranger {
    /// Leaves the row of a sign-in to the commit that opens it.
    pub fn signed_in(&self, tx: &Tx, who: Named<'_>) {
        self.leave(tx, self.entry(SIGN_IN, who, Vec::new()));
    }

    /// Leaves the row of what somebody did about these people, who has shown who they are, to the commit of its transaction.
    pub fn audited_in(&self, tx: &Tx, who: Named<'_>, people: Vec<String>) {
        self.leave(tx, self.entry("write", who, people));
    }

    /// Leaves the row of what anybody may ask for about an account to the commit of its transaction.
    pub fn asked_in(&self, tx: &Tx, about: Named<'_>) {
        self.leave(tx, self.by_anybody(about));
    }

    /// Leaves the row of a refusal that changes something to the commit of its transaction.
    pub fn refused_in(&self, tx: &Tx, about: Named<'_>, reason: &'static str) {
        self.leave(tx, self.by_anybody(about).denied_for(reason));
    }

    /// Records what somebody was shown about these people, who has shown who they are.
    ///
    /// # Errors
    /// 503 when it cannot be recorded: nothing may be shown then.
    pub async fn on_record(&self, who: Named<'_>, people: Vec<String>) -> Result<(), Problem> {
        self.auditor.record(self.entry("read", who, people)).await
    }

    /// Records that somebody was not taken for an account or a program. Where that fails it is in the log alone: another
    /// answer than that to somebody unknown would tell that the account is there.
    pub async fn refused(&self, about: Named<'_>, reason: &'static str) {
        // The recorder has logged why.
        let entry = self.by_anybody(about).denied_for(reason);
        self.auditor.record(entry).await.ok();
    }

    fn leave(&self, tx: &Tx, entry: Entry) {
        tx.at_commit(WRITE, vec![Box::new(Json([entry]))]);
    }

    fn by_anybody(&self, about: Named<'_>) -> Entry {
        let person = about.person();
        let program = person.is_none().then(|| about.id.to_owned());
        let people = person.into_iter().collect();
        self.entry(SIGN_IN, ANYBODY, people).on(program)
    }

    fn entry(&self, event_type: &'static str, who: Named<'_>, people: Vec<String>) -> Entry {
        let people = who.person().into_iter().chain(people);
        Entry::of(event_type, who, people.collect(), &self.request_id).by(&self.act.action, &self.act.noun)
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
