//! What a page says, and when it is tried again. It carries a reference, how urgent it is and where to look: who it is
//! about, and why, is shown to who is signed in.

use chrono::{DateTime, TimeDelta, Utc};
use common::Urgency;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use super::warning::Kind;

/// Attempts of a page by one method, the first among them.
pub(crate) const MAX_ATTEMPTS: i32 = 5;
/// Before the second attempt; each time twice as long.
const FIRST_PAUSE_MILLISECONDS: i64 = 4_000;
/// A pause is longer by up to one part in this.
const JITTER_PART: i64 = 4;

/// What a page is about, as far as it says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About {
    /// An escalation, that has an urgency.
    Escalation(Urgency),
    /// An operational warning of a kind.
    Warning(Kind),
}

/// A page on its way.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The same in every attempt: by it a receiver knows that it has seen the page.
    pub(crate) delivery_id: Uuid,
    pub(crate) about: About,
    pub(crate) created_at: DateTime<Utc>,
}

impl Page {
    /// Where the page is answered.
    fn link(&self, dashboard: &Url) -> Url {
        let mut link = dashboard.clone();
        link.set_fragment(Some(&format!("delivery={}", self.delivery_id)));
        link
    }

    /// The subject of its mail.
    pub(crate) fn subject(&self) -> &'static str {
        match self.about {
            About::Escalation(Urgency::Low) => "A page waits for you (low)",
            About::Escalation(Urgency::Medium) => "A page waits for you (medium)",
            About::Escalation(Urgency::High) => "A page waits for you (high)",
            About::Escalation(Urgency::Critical) => "A page waits for you (critical)",
            About::Warning(_) => "An operational warning is open",
        }
    }

    /// The text of its mail.
    pub(crate) fn text(&self, dashboard: &Url) -> String {
        let says = match self.about {
            About::Escalation(urgency) => {
                format!("A page of urgency {} waits for your answer", urgency.as_str())
            }
            About::Warning(kind) => format!("An operational warning is open, {}", kind.as_str()),
        };
        format!(
            "{says}:\n\n{}\n\nReference: {}\n",
            self.link(dashboard),
            self.delivery_id
        )
    }

    /// The body of its webhook, the same in every attempt.
    pub(crate) fn body(&self, dashboard: &Url) -> Value {
        let (kind, about, word) = match self.about {
            About::Escalation(urgency) => ("page", "urgency", urgency.as_str()),
            About::Warning(kind) => ("operational_warning", "kind", kind.as_str()),
        };
        json!({
            "type": kind,
            "timestamp": self.created_at,
            "data": {
                "delivery_id": self.delivery_id,
                about: word,
                "link": self.link(dashboard).as_str(),
            },
        })
    }
}

/// How long after its `attempt`-th attempt, from 1, a page is tried again. Pages that failed together come apart; the same
/// page waits as long each time this is asked.
pub(crate) fn pause(delivery_id: Uuid, attempt: i32) -> TimeDelta {
    let doublings = attempt.clamp(1, MAX_ATTEMPTS) - 1;
    let pause = FIRST_PAUSE_MILLISECONDS << doublings;
    let mut hash = Sha256::new();
    hash.update(delivery_id.as_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    let drawn = digest
        .iter()
        .take(4)
        .fold(0_i64, |drawn, byte| (drawn << 8) | i64::from(*byte));
    TimeDelta::milliseconds(pause + drawn % (pause / JITTER_PART))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ_between_pages_but_never_for_the_same_one() {
        let mut first = Vec::new();
        for number in 0..50_u128 {
            let id = Uuid::from_u128(number);
            let pauses: Vec<i64> = (1..MAX_ATTEMPTS)
                .map(|n| pause(id, n).num_milliseconds())
                .collect();
            let least = [4_000, 8_000, 16_000, 32_000];
            for (pause, least) in pauses.iter().zip(least) {
                assert!((least..least + least / 4).contains(pause), "{pauses:?}");
            }
            assert_eq!(pause(id, 1), pause(id, 1));
            first.extend(pauses.first().copied());
        }
        first.sort_unstable();
        first.dedup();
        assert!(first.len() > 40, "{first:?}");
    }

    #[test]
    fn a_page_says_how_urgent_it_is_and_where_to_look_and_nothing_else() {
        let page = Page {
            delivery_id: Uuid::nil(),
            about: About::Escalation(Urgency::Critical),
            created_at: DateTime::default(),
        };
        let dashboard = Url::parse("https://desk.example/queue");
        let text = dashboard.map(|dashboard| page.text(&dashboard));
        assert_eq!(
            text.unwrap_or_default(),
            "A page of urgency critical waits for your answer:\n\n\
             https://desk.example/queue#delivery=00000000-0000-0000-0000-000000000000\n\n\
             Reference: 00000000-0000-0000-0000-000000000000\n"
        );
    }
}
