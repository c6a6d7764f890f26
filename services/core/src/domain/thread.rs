//! Conversations of a client with a companion.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ai::AiMetadata;

/// The longest title, in characters.
pub(crate) const MAX_TITLE_CHARS: usize = 255;
/// So much of a first message becomes the title, in characters.
const TITLE_CHARS: usize = 60;

/// A message and the companion's reply, as they came in.
#[derive(Clone, Debug)]
pub(crate) struct NewTurn {
    pub(crate) user_message: String,
    pub(crate) assistant_reply: String,
    pub(crate) ai: Option<AiMetadata>,
}

/// A turn as short-term memory holds it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Turn {
    pub(crate) message_id: i64,
    pub(crate) reply_id: i64,
    pub(crate) user_message: String,
    pub(crate) assistant_reply: String,
    pub(crate) timestamp: DateTime<Utc>,
}

/// The title of a thread that begins with this message: its first words, up to the end of a line.
pub(crate) fn title_of(message: &str) -> String {
    let line = message
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let Some((end, _)) = line.char_indices().nth(TITLE_CHARS) else {
        return line.to_owned();
    };
    let cut = line.get(..end).unwrap_or_default();
    let words = cut
        .rsplit_once(char::is_whitespace)
        .map_or(cut, |(words, _)| words);
    format!("{}…", words.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_words_of_the_first_line() {
        assert_eq!(title_of("\n  hello there \nmore"), "hello there");
        let long = "I walked along the river this morning and thought about what we said yesterday";
        assert_eq!(
            title_of(long),
            "I walked along the river this morning and thought about…"
        );
        assert_eq!(title_of(&"ü".repeat(80)), format!("{}…", "ü".repeat(60)));
        assert_eq!(title_of("   "), "");
    }
}
