//! Names of models, versions, feature sets and features.

/// The longest, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 100;
/// Ends the sentence "must be …".
pub(crate) const A_NAME: &str = "1 to 100 of A-Z a-z 0-9 . _ -, a letter or digit first";

/// The name, where it is one.
pub(crate) fn name(text: &str) -> Option<String> {
    let begins = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (begins && text.len() <= MAX_NAME_BYTES && text.bytes().all(allowed)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_fits_into_a_path() {
        let longest = "a".repeat(100);
        for good in ["relapse-7d", "1.2.0", "x_y", &longest] {
            assert_eq!(name(good).as_deref(), Some(good));
        }
        let too_long = "a".repeat(101);
        for bad in ["", ".", "..", "-a", "_a", "a/b", "a b", "é", "a\0", &too_long] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }
}
