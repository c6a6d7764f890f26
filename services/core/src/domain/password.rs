//! What may be a password: the rules of NIST 800-63B. Length counts, any character will do, and nothing that everybody
//! tries first.

use std::collections::HashSet;
use std::sync::OnceLock;

use unicode_normalization::UnicodeNormalization;

use crate::domain::user::Kind;

/// The shortest password of a client, in characters.
const MIN_CLIENT_CHARACTERS: usize = 8;
/// The shortest password of staff, who see more than themselves, in characters.
const MIN_STAFF_CHARACTERS: usize = 12;
/// The longest password, in characters.
pub(crate) const MAX_CHARACTERS: usize = 256;
/// The longest password as it is sent, in bytes: no character has more than four.
pub(crate) const MAX_BYTES: usize = 4 * MAX_CHARACTERS;
/// A name that is shorter may stand in a password by chance, in characters.
const MIN_NAME_CHARACTERS: usize = 4;
/// With so many signs around it, a common word is no longer one of the first guesses.
const MAX_TRIMMED_CHARACTERS: usize = 6;

/// Passwords that are tried first, a line each, in lower case: common words and names in several languages, also those of
/// recovery, with their usual endings; runs on the keyboard; repetitions. Compiled for this project.
const COMMON: &str = include_str!("password/common.txt");

/// Whose password it is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) kind: Kind,
    pub(crate) username: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
}

/// One form for all the ways in which keyboards write the same characters.
pub(crate) fn normal(password: &str) -> String {
    password.nfkc().collect()
}

/// Checks a new password.
///
/// # Errors
/// What is wrong with it, in words that begin after its name.
pub(crate) fn check(password: &str, owner: Owner<'_>) -> Result<(), String> {
    let normal = normal(password);
    let characters = normal.chars().count();
    let min = match owner.kind {
        Kind::Client => MIN_CLIENT_CHARACTERS,
        Kind::Staff => MIN_STAFF_CHARACTERS,
    };
    if characters < min {
        return Err(format!("must have at least {min} characters"));
    }
    if characters > MAX_CHARACTERS {
        return Err(format!("must have at most {MAX_CHARACTERS} characters"));
    }
    let lower = normal.to_lowercase();
    if is_common(&lower) {
        return Err("is among those that are tried first; choose another one".to_owned());
    }
    if holds_a_name(&lower, owner) {
        return Err("must not hold the user name or parts of the e-mail address".to_owned());
    }
    Ok(())
}

fn is_common(lower: &str) -> bool {
    static KNOWN: OnceLock<HashSet<&'static str>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| COMMON.lines().collect());
    let word = lower.trim_matches(|c: char| !c.is_alphabetic());
    let trimmed = lower.chars().count() - word.chars().count();
    known.contains(lower)
        || (trimmed <= MAX_TRIMMED_CHARACTERS && known.contains(word))
        || has_few_signs(lower)
}

/// Whether it repeats one sign, or two.
fn has_few_signs(lower: &str) -> bool {
    lower.chars().collect::<HashSet<char>>().len() <= 2
}

fn holds_a_name(lower: &str, owner: Owner<'_>) -> bool {
    let (local, domain) = owner.email.and_then(|email| email.split_once('@')).unzip();
    let names = owner.username.into_iter().chain(local).chain(domain).chain(
        local
            .into_iter()
            .flat_map(|local| local.split(['.', '_', '-', '+'])),
    );
    names
        .map(|name| normal(name).to_lowercase())
        .any(|name| name.chars().count() >= MIN_NAME_CHARACTERS && lower.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Owner<'_> = Owner {
        kind: Kind::Client,
        username: Some("riverside"),
        email: Some("quiet.lake+app@mail.example"),
    };

    #[test]
    fn the_list_is_lower_case_and_has_thousands_of_lines() {
        assert!(COMMON.lines().count() > 3_000);
        assert!(
            COMMON
                .lines()
                .all(|line| line == line.to_lowercase() && line == line.trim())
        );
    }

    #[test]
    fn length_is_counted_in_characters_and_staff_need_more() {
        let staff = Owner {
            kind: Kind::Staff,
            ..CLIENT
        };
        assert!(check("äöüßäöü", CLIENT).is_err());
        assert!(check("äöüßñçøæ", CLIENT).is_ok());
        assert!(check("elf zeichen", staff).is_err());
        assert!(check("zwölf signs!", staff).is_ok());
        assert!(check(&"ab c".repeat(64), CLIENT).is_ok());
        assert!(check(&"ab c".repeat(65), CLIENT).is_err());
    }

    #[test]
    fn any_characters_will_do_and_none_must() {
        for good in [
            "only small letters",
            "     x y z   ",
            "\u{1f9e1}\u{1f33b}\u{1f98a}\u{1f40c}\u{1f9e1}\u{1f33b}\u{1f98a}\u{1f40d}",
            "83920184756",
        ] {
            assert_eq!(check(good, CLIENT), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_is_tried_first_is_refused_in_any_case_and_with_the_usual_signs() {
        for bad in [
            "password",
            "PassWord1!",
            "Passw0rd2026",
            "iloveyou",
            "12345678",
            "qwertyuiop",
            "Sobriety!2",
            "aaaaaaaaaa",
            "ababababab",
            "\u{ff50}assword",
        ] {
            assert!(check(bad, CLIENT).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_the_person_are_refused() {
        for bad in [
            "Riverside in May",
            "my QUIET place",
            "a lake+app thing",
            "sent by mail.example",
        ] {
            assert!(check(bad, CLIENT).is_err(), "{bad}");
        }
        assert!(check("a pin by the sea", CLIENT).is_ok());
    }
}
