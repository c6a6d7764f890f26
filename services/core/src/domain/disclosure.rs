//! Disclosures outside the programme, as 42 CFR Part 2 wants them.

use super::consent::PROGRAMME;

/// A disclosure that is about to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewDisclosure {
    /// The consent that it rests on.
    pub(crate) consent_id: i64,
    pub(crate) recipient: String,
    /// A description, not the thing itself.
    pub(crate) what: String,
}

/// Whether somebody is outside the programme. Within it no ledger is kept: the audit has who read what.
pub(crate) fn is_outside(recipient: &str) -> bool {
    recipient != PROGRAMME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_but_the_programme_is_outside() {
        assert!(is_outside("clinic-1"));
        assert!(!is_outside("programme"));
    }
}
