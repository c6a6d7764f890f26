//! Accounts as the audit names them.

use web::{Holder, Named};

use crate::domain::user::Kind;

/// An account, where no token of ours says who it is.
pub(crate) const fn named(kind: Kind, id: &str) -> Named<'_> {
    let holder = match kind {
        Kind::Client => Holder::Client,
        Kind::Staff => Holder::Staff,
    };
    Named::new(holder, id)
}
