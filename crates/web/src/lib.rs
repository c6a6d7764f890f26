//! Everything between a socket and a handler: problem details, strict JSON, queries and pages, callers, idempotent
//! writes, and the server with its health, metrics and documentation.
#![warn(missing_docs)]

mod audit;
mod auth;
mod body;
mod erasure;
mod fault;
mod fields;
mod form;
mod guesses;
mod idempotency;
mod page;
mod path;
mod problem;
mod query;
mod rate;
pub mod read;
mod request_id;
mod serve;
mod stranger;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use audit::{Auditor, NOBODY_ELSE, audited_together, by_operator};
pub use auth::{Allowed, Caller, Holder, Principal, Tokens, token_shown};
pub use body::{Body, BodyTimeout, Signed, parse};
pub use erasure::ErasureKey;
pub use fault::{Fault, Faults};
pub use fields::{Fields, Item, Read, all};
pub use form::{Form, Malformed, Parameters};
pub use guesses::Guess;
pub use idempotency::{Answer, IdempotencyKey, write};
pub use page::{CursorKey, DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS, Newest, Page, Paging};
pub use path::{Id, Identifier};
pub use problem::{Code, FieldError, Problem, ProblemDetails};
pub use query::{Params, Query, ReadQuery};
pub use rate::{Pace, RateLimits, RateSettings};
pub use request_id::RequestId;
pub use serve::{About, Readiness, Server, ServerHandle, ServerSettings, Site, openapi};
pub use stranger::{Named, Stranger};
pub use value::{MAX_DEPTH, Value, pointer};
pub use write::{Granted, Write};
