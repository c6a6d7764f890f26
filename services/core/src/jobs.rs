//! Periodic work, one bounded round at a time.

pub(crate) mod forget_sign_ins;
