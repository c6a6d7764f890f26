//! What the core service decides, as pure functions: nothing waits, nothing is written.

pub(crate) mod ai;
pub(crate) mod break_glass;
pub(crate) mod changes;
pub(crate) mod clerk;
pub(crate) mod consent;
pub(crate) mod disclosure;
pub(crate) mod embedding;
pub(crate) mod erasure;
pub(crate) mod face;
pub(crate) mod interaction;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod password;
pub(crate) mod password_hash;
pub(crate) mod password_reset;
pub(crate) mod preferences;
pub(crate) mod profile;
pub(crate) mod program;
pub(crate) mod provider;
pub(crate) mod seal;
pub(crate) mod sign_in;
pub(crate) mod thread;
pub(crate) mod throttle;
pub(crate) mod token;
pub(crate) mod totp;
pub(crate) mod user;
