//! Erasing an account: who asks for it, and what it came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requester {
    /// The person; not named, or the erasure would name who was erased.
    Themself,
    /// The app of this id, for the person.
    App(String),
    /// The admin of this id.
    Admin(String),
    /// Somebody with core's database URL.
    Operator,
    /// Clerk, where the person ended the account there.
    Clerk,
}

impl Requester {
    /// The word in the table.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Themself => "self",
            Self::App(_) => "app",
            Self::Admin(_) => "admin",
            Self::Operator => "operator",
            Self::Clerk => "clerk",
        }
    }
}

/// Rows by table, such as `social.nudges`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Counts {
    /// Rows that are gone.
    removed: BTreeMap<String, i64>,
    /// Rows that stay, without the person.
    kept: BTreeMap<String, i64>,
}

impl Counts {
    /// The same and those rows as well.
    #[must_use]
    pub(crate) fn and(mut self, more: Self) -> Self {
        for (table, rows) in more.removed {
            *self.removed.entry(table).or_default() += rows;
        }
        for (table, rows) in more.kept {
            *self.kept.entry(table).or_default() += rows;
        }
        self
    }

    /// All rows that are gone.
    pub(crate) fn removed(&self) -> i64 {
        self.removed.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(removed: &[(&str, i64)], kept: &[(&str, i64)]) -> Counts {
        let map = |rows: &[(&str, i64)]| rows.iter().map(|(table, n)| ((*table).to_owned(), *n)).collect();
        Counts {
            removed: map(removed),
            kept: map(kept),
        }
    }

    #[test]
    fn rows_of_one_table_add_up() {
        let first = counts(&[("core.messages", 2)], &[("social.escalations", 1)]);
        let second = counts(&[("core.messages", 1), ("core.users", 1)], &[]);
        let both = first.and(second);
        assert_eq!(
            both,
            counts(
                &[("core.messages", 3), ("core.users", 1)],
                &[("social.escalations", 1)]
            )
        );
        assert_eq!(both.removed(), 4);
    }
}
