//! Break-glass: what bounds it.

/// How long a grant shows the client, in minutes. The table allows no more.
pub(crate) const GRANT_MINUTES: i32 = 60;
/// How many grants one staff user takes within 24 hours.
pub(crate) const MAX_GRANTS_PER_DAY: i64 = 10;
/// The shortest reason, in characters without the spaces around it.
const MIN_REASON_CHARACTERS: usize = 10;
/// The longest reason or note, in characters.
pub(crate) const MAX_TEXT_CHARACTERS: usize = 2_000;

/// A reason that says something. Blanks around it are not kept.
pub(crate) fn reason(text: &str) -> Option<String> {
    let said = text.trim();
    let characters = said.chars().count();
    (MIN_REASON_CHARACTERS..=MAX_TEXT_CHARACTERS)
        .contains(&characters)
        .then(|| said.to_owned())
}

/// What a supervisor found, in so many words.
pub(crate) fn note(text: &str) -> Option<String> {
    (1..=MAX_TEXT_CHARACTERS)
        .contains(&text.chars().count())
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_ten_characters_besides_blanks_and_two_thousand_at_most() {
        assert_eq!(reason(" ten chars. "), Some("ten chars.".to_owned()));
        assert_eq!(reason("ten chars"), None);
        assert_eq!(reason(&" ".repeat(20)), None);
        assert!(reason(&"ü".repeat(2_000)).is_some());
        assert!(reason(&"ü".repeat(2_001)).is_none());
    }
}
