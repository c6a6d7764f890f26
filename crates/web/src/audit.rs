//! Who did what, about whom, and whether it was allowed: what every request about people leaves behind.
//!
//! A write leaves its row in its own transaction. A read and a refusal have none to leave it in: theirs is committed
//! before the answer goes out, together with those of the requests beside them, and without it there is no answer.

mod recorder;

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use db::{Json, Tx};
use serde::Serialize;

use crate::auth::{Caller, Holder};
use crate::problem::{Code, Problem};
use crate::read::is_identifier;
use crate::request_id::RequestId;
use crate::stranger::Named;

pub use recorder::Auditor;

/// Path parameters that name people; they are the subjects of a request, and stand in no object.
const PEOPLE: [&str; 3] = ["user_id", "client_id", "staff_id"];

/// Path parameters that say something of a person and are nobody's to read here.
const TELLING: [&str; 2] = ["key", "session_key"];

/// Writes that are looked for by themselves have words of their own, by what they are about.
const WRITES: [(&str, &str); 4] = [
    ("memories", "memory_write"),
    ("profile", "user_profile_update"),
    ("family-cards", "family_mode_share"),
    ("family-consents", "family_mode_share"),
];

/// No object is longer, in bytes.
const MAX_OBJECT_BYTES: usize = 255;

/// For [`Caller::disclose`]: the path names everybody whom the answer is about.
pub const NOBODY_ELSE: [&str; 0] = [];

/// Who acts by command, for the audit: whoever has the database's URL, whatever they are called.
const OPERATOR: &str = "operator";

/// Writes entries, given as one array.
pub(crate) const WRITE: &str = "select core.write_audit($1)";

/// What a request does, as its route says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Act {
    /// Method and route pattern, such as `GET /v1/users/{user_id}/messages`.
    pub(crate) action: String,
    /// The kind of thing it is about.
    pub(crate) noun: String,
    /// The ids in the path that name no person, such as `4711`.
    pub(crate) object: Option<String>,
    /// The people that the path names.
    pub(crate) people: Vec<String>,
    /// `read`, `write` or one of [`WRITES`].
    pub(crate) event_type: &'static str,
}

impl Act {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let pattern = request.match_pattern().unwrap_or_default();
        let (mut people, mut object) = (Vec::new(), Vec::new());
        // What cannot be an id names nothing, and could not be stored.
        let named = request
            .match_info()
            .iter()
            .filter(|(_, value)| is_identifier(value));
        for (name, value) in named {
            if PEOPLE.contains(&name) {
                people.push(value.to_owned());
            } else if !TELLING.contains(&name) {
                object.push(value);
            }
        }
        let object = object.join("/");
        let noun = common::noun_of(&pattern);
        Self {
            action: format!("{} {pattern}", request.method()),
            object: (1..=MAX_OBJECT_BYTES).contains(&object.len()).then_some(object),
            people,
            event_type: event_type(request.method(), noun),
            noun: noun.to_owned(),
        }
    }
}

fn event_type(method: &Method, noun: &str) -> &'static str {
    // A search is posted for what it looks for.
    if method == Method::GET || noun == "search" {
        return "read";
    }
    let own = WRITES.iter().find(|(about, _)| *about == noun);
    own.map_or("write", |(_, word)| word)
}

/// One row to be, as `core.write_audit` reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Entry {
    event_type: &'static str,
    actor: String,
    actor_kind: &'static str,
    people: BTreeSet<String>,
    action: String,
    object_type: String,
    object_id: Option<String>,
    decision: &'static str,
    reason: Option<&'static str>,
    request_id: String,
}

impl Entry {
    fn allowed(caller: &Caller, people: Vec<String>) -> Self {
        let act = &caller.act;
        let own = (caller.principal.holder == Holder::Client).then(|| caller.principal.id.clone());
        let concerned: BTreeSet<String> = caller.named().cloned().chain(people).chain(own).collect();
        Self {
            event_type: act.event_type,
            actor: caller.principal.id.clone(),
            actor_kind: caller.principal.holder.as_str(),
            people: concerned,
            action: act.action.clone(),
            object_type: act.noun.clone(),
            object_id: act.object.clone(),
            decision: "allow",
            reason: None,
            request_id: caller.request_id.as_str().to_owned(),
        }
    }

    /// A request that was refused, with the name of the problem.
    fn denied(caller: &Caller, refused: Code) -> Self {
        Self::allowed(caller, Vec::new()).denied_for(refused.name())
    }

    /// A row of somebody without a token of ours.
    pub(crate) fn of(
        event_type: &'static str,
        who: Named<'_>,
        people: BTreeSet<String>,
        request_id: &RequestId,
    ) -> Self {
        Self {
            event_type,
            actor: who.id.to_owned(),
            actor_kind: who.kind,
            people,
            action: String::new(),
            object_type: String::new(),
            object_id: None,
            decision: "allow",
            reason: None,
            request_id: request_id.as_str().to_owned(),
        }
    }

    /// The same, done so, to that kind of thing.
    pub(crate) fn by(self, action: &str, noun: &str) -> Self {
        Self {
            action: action.to_owned(),
            object_type: noun.to_owned(),
            ..self
        }
    }

    /// The same about a thing that is no person.
    pub(crate) fn on(self, object_id: Option<String>) -> Self {
        Self { object_id, ..self }
    }

    pub(crate) fn denied_for(self, reason: &'static str) -> Self {
        Self {
            decision: "deny",
            reason: Some(reason),
            ..self
        }
    }
}

/// As [`Caller::audited_in`], for a transaction that does what several callers asked for.
pub fn audited_together<'a>(tx: &Tx, writes: impl IntoIterator<Item = (&'a Caller, Vec<String>)>) {
    let entries: Vec<Entry> = writes
        .into_iter()
        .map(|(caller, people)| Entry::allowed(caller, people))
        .collect();
    tx.at_commit(WRITE, vec![Box::new(Json(entries))]);
}

/// Leaves the row of an operator's command, such as `admin user`, to the commit of its transaction: about this account or
/// program.
pub fn by_operator(tx: &Tx, command: &str, about: Option<Named<'_>>) {
    let person = about.and_then(Named::person);
    let program = about
        .filter(|_| person.is_none())
        .map(|about| about.id.to_owned());
    let (who, people) = (Named::elsewhere(OPERATOR), person.into_iter().collect());
    let entry = Entry::of(OPERATOR, who, people, &RequestId::accept(None)).by(command, OPERATOR);
    tx.at_commit(WRITE, vec![Box::new(Json([entry.on(program)]))]);
}

impl Caller {
    /// Leaves the row of a write about these people, besides those that the path names, to the commit of its
    /// transaction. [`crate::write`] does so by itself.
    pub fn audited_in(&self, tx: &Tx, people: Vec<String>) {
        audited_together(tx, [(self, people)]);
    }

    /// Leaves to the commit a row about one of several things that a write changed, and about how: in the audit each stands
    /// by itself, besides the row of the request.
    pub fn audited_of(&self, tx: &Tx, object_id: String, how: &'static str) {
        let entry = Entry {
            reason: Some(how),
            ..Entry::allowed(self, Vec::new()).on(Some(object_id))
        };
        tx.at_commit(WRITE, vec![Box::new(Json([entry]))]);
    }

    /// Answers 200 with what was read about these people, besides those that the path names, once the audit has it.
    ///
    /// # Errors
    /// 503 when it cannot be recorded: nothing is shown then.
    pub async fn disclose<S: Into<String>>(
        &self,
        people: impl IntoIterator<Item = S>,
        body: &impl Serialize,
    ) -> Result<HttpResponse, Problem> {
        self.on_record(people).await?;
        Ok(HttpResponse::Ok().json(body))
    }

    /// As [`Self::disclose`], for a read that says why it is made; the word stands in the audit.
    ///
    /// # Errors
    /// As [`Self::disclose`].
    pub async fn disclose_for<S: Into<String>>(
        &self,
        why: &'static str,
        people: impl IntoIterator<Item = S>,
        body: &impl Serialize,
    ) -> Result<HttpResponse, Problem> {
        let people = people.into_iter().map(Into::into).collect();
        let entry = Entry {
            event_type: "read",
            reason: Some(why),
            ..Entry::allowed(self, people)
        };
        self.auditor.record(entry).await?;
        Ok(HttpResponse::Ok().json(body))
    }

    /// As [`Self::disclose`], before an answer that is not JSON in one piece.
    ///
    /// # Errors
    /// 503 when it cannot be recorded: nothing may be shown then.
    pub async fn on_record<S: Into<String>>(
        &self,
        people: impl IntoIterator<Item = S>,
    ) -> Result<(), Problem> {
        let people = people.into_iter().map(Into::into).collect();
        self.auditor.record(Entry::allowed(self, people)).await
    }

    /// Records that the request was refused; 403, 404 and 410 are by themselves.
    ///
    /// # Errors
    /// 503 when it cannot be recorded.
    pub async fn refused(&self, code: Code) -> Result<(), Problem> {
        self.auditor.record(Entry::denied(self, code)).await
    }

    /// As [`Self::disclose`], for an answer that a write gave before and that is shown again.
    pub(crate) async fn shown_again(&self, people: Vec<String>) -> Result<(), Problem> {
        let entry = Entry {
            reason: Some("replayed"),
            ..Entry::allowed(self, people)
        };
        self.auditor.record(entry).await
    }
}
