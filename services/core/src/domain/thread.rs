//! Conversations of a client with a companion.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// The database's clock where the sender does not say.
    pub(crate) timestamp: Option<DateTime<Utc>>,
    /// Kept with both messages.
    pub(crate) metadata: Option<Value>,
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

/// What short-term memory of a thread must hold, as Postgres says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The reply of the last turn; 0 before the first one.
    pub(crate) last_turn_id: i64,
    /// Turns up to this reply are forgotten.
    pub(crate) from: i64,
}

impl Window {
    /// The reply that it ends with; 0 where nothing is in it.
    pub(crate) fn last(self) -> i64 {
        if self.last_turn_id > self.from {
            self.last_turn_id
        } else {
            0
        }
    }

    /// Those of the turns that were kept which are in it; `None` where they do not end as it does. What was kept while it
    /// was forgotten may reach further back.
    pub(crate) fn of_kept(self, mut kept: Vec<Turn>) -> Option<Vec<Turn>> {
        if kept.last().map_or(0, |turn| turn.reply_id) != self.last() {
            return None;
        }
        kept.retain(|turn| turn.reply_id > self.from);
        Some(kept)
    }
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

    fn turns(ids: &[i64]) -> Vec<Turn> {
        let turn = |reply_id: &i64| Turn {
            message_id: reply_id - 1,
            reply_id: *reply_id,
            user_message: String::new(),
            assistant_reply: String::new(),
            timestamp: DateTime::UNIX_EPOCH,
        };
        ids.iter().map(turn).collect()
    }

    #[test]
    fn turns_that_do_not_end_as_the_thread_does_are_not_its_last() {
        let window = Window {
            last_turn_id: 6,
            from: 0,
        };
        assert_eq!(window.of_kept(turns(&[2, 4, 6])), Some(turns(&[2, 4, 6])));
        for stale in [&[][..], &[2, 4], &[2, 4, 6, 8]] {
            assert_eq!(window.of_kept(turns(stale)), None, "{stale:?}");
        }
    }

    #[test]
    fn what_was_forgotten_is_not_shown_although_it_is_kept() {
        let window = Window {
            last_turn_id: 6,
            from: 4,
        };
        assert_eq!(window.of_kept(turns(&[2, 4, 6])), Some(turns(&[6])));
        let all = Window { from: 6, ..window };
        assert_eq!(all.last(), 0);
        assert_eq!(all.of_kept(turns(&[2, 4, 6])), None);
    }

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
