//! Accounts as the audit names them.

use web::{Holder, Known};

use crate::domain::user::Kind;

/// Who it is, where an account has shown that it is there by something else than a token.
pub(crate) fn known(kind: Kind, id: &str) -> Known<'_> {
    let holder = match kind {
        Kind::Client => Holder::Client,
        Kind::Staff => Holder::Staff,
    };
    Known { holder, id }
}
