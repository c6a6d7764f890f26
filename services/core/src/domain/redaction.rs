//! Taking out of a text what names somebody directly: addresses, numbers, handles, and the names of people we know.

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// What stands in the place of each. No longer than anything it replaces, so that a text never grows beyond its column.
const TAKEN_OUT: &str = "*";

/// A name has at least two characters; one alone would take out letters of no meaning.
const MIN_NAME_CHARS: usize = 2;

/// E-mail addresses, links, handles, and numbers of seven digits or more, however they are written.
const DIRECT: &str = r"[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}.\-]+|(?:[a-z][a-z0-9+.\-]*://|www\.)\S+|@[\p{L}\p{N}_.]+|\+?\(?\d(?:[ ()./\-]{0,3}\d){6,}";

/// Knows what names the people of a text.
#[derive(Clone, Debug)]
pub(crate) struct Redaction(Option<Regex>);

impl Redaction {
    /// By the names, addresses and ids of its people, with accents in one character or in two. Of a name of several words
    /// each word counts.
    pub(crate) fn of(names: &[String]) -> Self {
        let written = |name: &String| [name.clone(), name.nfc().collect(), name.nfd().collect()];
        let names: Vec<String> = names.iter().flat_map(written).collect();
        let mut words: Vec<&str> = names
            .iter()
            .flat_map(|name| {
                let words = name.split_whitespace();
                let words = words.filter(|word| word.contains(char::is_alphabetic));
                std::iter::once(name.as_str()).chain(words)
            })
            .map(str::trim)
            .filter(|word| word.chars().count() >= MIN_NAME_CHARS)
            .collect();
        // The longest first: of two that begin alike the whole is taken.
        words.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        words.dedup();
        let escaped: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
        let known = escaped.join("|");
        let pattern = if known.is_empty() {
            format!("(?i){DIRECT}")
        } else {
            format!(r"(?i)\b{{start-half}}(?:{known})\b{{end-half}}|{DIRECT}")
        };
        Self(Regex::new(&pattern).ok())
    }

    /// The text without it. Where that cannot be told, nothing of the text is left.
    pub(crate) fn apply(&self, text: &str) -> String {
        match &self.0 {
            Some(naming) => naming.replace_all(text, TAKEN_OUT).into_owned(),
            None => TAKEN_OUT.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let names = [
            "Robin Ø. Muster-Frau",
            "robin.m",
            "client-a",
            "+1 555 010 9999",
            "X",
            "",
        ];
        Redaction::of(&names.map(str::to_owned)).apply(text)
    }

    #[test]
    fn addresses_numbers_links_and_handles_are_taken_out_and_the_rest_stays() {
        for (text, left) in [
            ("write to a.b+c@mail.example, please", "write to *, please"),
            (
                "see https://site.example/p?q=1 or WWW.site.example now",
                "see * or * now",
            ),
            ("call 0151 234-5678 or (030) 1234567", "call * or *"),
            ("call +1 (555) 010-1234.", "call *."),
            ("I am @some_body there", "I am * there"),
            (
                "12 days, 3 of 100 and 2.5 mg at 10:30",
                "12 days, 3 of 100 and 2.5 mg at 10:30",
            ),
        ] {
            assert_eq!(redacted(text), left);
        }
    }

    #[test]
    fn names_are_taken_out_whole_and_by_their_words_however_they_are_written() {
        for (text, left) in [
            ("I am Robin Ø. Muster-Frau", "I am *"),
            ("ROBIN, or Muster-frau", "*, or *"),
            ("client-a said", "* said"),
            ("robins and client-ab", "robins and client-ab"),
            ("X marks it", "X marks it"),
        ] {
            assert_eq!(redacted(text), left);
        }
    }

    #[test]
    fn a_name_is_known_in_either_way_of_writing_its_accents() {
        for (name, text) in [("Zo\u{eb}", "Zoe\u{308} here"), ("Zoe\u{308}", "Zo\u{eb} here")] {
            let known = Redaction::of(&[name.to_owned()]);
            assert_eq!(known.apply(text), "* here");
        }
    }

    #[test]
    fn a_text_never_grows() {
        for text in ["@a", "@a@b", "a@b", "www.x", "robin", "1234567"] {
            let left = redacted(text);
            assert!(!left.is_empty() && left.len() <= text.len(), "{text}: {left}");
        }
    }
}
