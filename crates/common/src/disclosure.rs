//! Disclosures outside the programme, as 42 CFR Part 2 wants them.

/// What goes with every disclosure: the short form that 42 CFR 2.32(a)(2) permits.
pub const REDISCLOSURE_NOTICE: &str =
    "42 CFR part 2 prohibits unauthorized use or disclosure of these records.";
