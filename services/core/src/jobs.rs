//! Periodic work, one bounded round at a time.

pub(crate) mod end_terms;
pub(crate) mod forget_faces;
pub(crate) mod forget_sign_ins;
pub(crate) mod forget_windows;
pub(crate) mod partitions;
pub(crate) mod prune_memories;
pub(crate) mod seal;
pub(crate) mod touch_memories;
