//! SQL, one module a table, as free functions that take the transaction first. The consumer begins and commits.

pub(crate) mod client_state;
