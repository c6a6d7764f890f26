//! What another policy would make of what was scored already.

use chrono::{DateTime, TimeDelta, Utc};
use common::RiskLabel;

use super::label;
use super::policy::Thresholds;
use super::readings::{MEDIUM_DAYS, Readings, Scored};
use super::windows::Messages;

/// What is known of one client.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The oldest first; from a medium window before the time that is looked at.
    pub(crate) scored: Vec<Scored>,
    /// When the client wrote to a buddy, the earliest first, since the same time.
    pub(crate) buddy_at: Vec<DateTime<Utc>>,
}

/// What a policy makes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The label now.
    pub(crate) label: RiskLabel,
    /// How often the label became high-risk, each of which pages somebody.
    pub(crate) crises: i64,
}

impl History {
    /// The label by these thresholds at each message since `from`, and now. Each counts from when it was written, as
    /// though it had been scored at once.
    pub(crate) fn replay(
        &self,
        thresholds: &Thresholds,
        from: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Replayed {
        let mut label = self.label_at(from, thresholds);
        let mut crises = 0;
        let since = self.scored.partition_point(|scored| scored.at <= from);
        let times = self.scored.iter().skip(since).map(|scored| scored.at);
        for at in times.filter(|at| *at <= now).chain([now]) {
            let next = self.label_at(at, thresholds);
            crises += i64::from(next == RiskLabel::High && label != RiskLabel::High);
            label = next;
        }
        Replayed { label, crises }
    }

    fn label_at(&self, at: DateTime<Utc>, thresholds: &Thresholds) -> RiskLabel {
        let begins = at - TimeDelta::days(MEDIUM_DAYS);
        let known = self.scored.partition_point(|scored| scored.at <= at);
        let over = self.scored.partition_point(|scored| scored.at <= begins);
        let buddies = self.buddy_at.partition_point(|buddy| *buddy <= at);
        let readings = Readings {
            now: at,
            messages: Messages {
                last_buddy_at: buddies
                    .checked_sub(1)
                    .and_then(|last| self.buddy_at.get(last))
                    .copied(),
                ..Messages::default()
            },
            next_message_change_at: None,
            scored: self.scored.get(over..known).unwrap_or_default().to_vec(),
        };
        label::judge(&readings.count(thresholds), thresholds).0
    }
}
