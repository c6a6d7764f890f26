//! What somebody who watches is shown of what has happened, and from where a stream goes on.

use std::cmp::Reverse;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use common::PrincipalKind;
use common::contracts::nudge;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Who was away for longer asks for the lists again. The outbox keeps events for a week.
const RESUME_HOURS: i64 = 24;
/// More transactions than a Postgres of ours has sessions are open nowhere.
const MAX_OPEN_TRANSACTIONS: usize = 2_000;
/// How long a reader waits before it connects again, in milliseconds: a service that is being replaced has gone by then.
const RETRY_MILLISECONDS: u64 = 2_000;

/// In front of every type of ours; left out in a stream.
const OURS: &str = "social.";
const ESCALATION: &str = "escalation.";
const NUDGE: &str = "nudge.";
const PROFILE_CHANGED: &str = "profile.changed";
const PAGE_SENT: &str = "page.sent";
const WARNING_OPEN: &str = "warning.open";

/// Which transactions are seen, as `pg_snapshot` writes it: `xmin:xmax:open,open,…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Everything below is seen.
    xmin: u64,
    /// Nothing from here on is.
    xmax: u64,
    /// Nor are these between the two.
    open: Vec<u64>,
}

impl Snapshot {
    /// Whether what this transaction wrote is seen.
    pub(crate) fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.open.contains(&xid))
    }

    /// Grows with the time at which the snapshots of one Postgres were taken: of two the later one sees more.
    pub(crate) fn age(&self) -> (u64, u64, Reverse<usize>) {
        (self.xmax, self.xmin, Reverse(self.open.len()))
    }
}

impl FromStr for Snapshot {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| -> Result<u64, ()> {
            let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // Postgres reads no more.
            let read = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
            read.filter(|number| is_plain && *number > 0).ok_or(())
        };
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(open), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let open: Vec<u64> = match open {
            "" => Vec::new(),
            listed => listed
                .split(',')
                .take(MAX_OPEN_TRANSACTIONS + 1)
                .map(number)
                .collect::<Result<_, _>>()?,
        };
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let is_sound = xmin <= xmax
            && open.len() <= MAX_OPEN_TRANSACTIONS
            && open.is_sorted_by(|one, next| one < next)
            && open.iter().all(|xid| (xmin..xmax).contains(xid));
        is_sound.then_some(Self { xmin, xmax, open }).ok_or(())
    }
}

impl std::fmt::Display for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let open: Vec<String> = self.open.iter().map(u64::to_string).collect();
        write!(f, "{}:{}:{}", self.xmin, self.xmax, open.join(","))
    }
}

/// A place in the stream, as `id:` and `Last-Event-ID` have it: when it was, and what was seen then. Nothing in it is
/// secret, and who makes one up is shown no more than they may see anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    at: i64,
    pub(crate) seen: Snapshot,
}

impl Place {
    pub(crate) fn new(at: DateTime<Utc>, seen: Snapshot) -> Self {
        Self {
            at: at.timestamp(),
            seen,
        }
    }

    /// Whether all that has happened since can still be told: not after a long time, nor of another Postgres.
    pub(crate) fn can_be_resumed(&self, now: &Self) -> bool {
        self.seen.age() <= now.seen.age() && self.at >= now.at - TimeDelta::hours(RESUME_HOURS).num_seconds()
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, seen) = text.split_once('~').ok_or(())?;
        Ok(Self {
            at: at.parse().map_err(|_| ())?,
            seen: seen.parse()?,
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}~{}", self.at, self.seen)
    }
}

/// Something that has happened, of a client whom the watcher may see or to the watcher.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) xid: u64,
    /// The same whenever it is told.
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) data: Value,
    /// The watcher sees this client for a shift or an escalation alone.
    pub(crate) in_crisis_only: bool,
}

impl Happened {
    /// The client it is about.
    pub(crate) fn client(&self) -> Option<&str> {
        self.data.get("user_id").and_then(Value::as_str)
    }
}

/// For whom a stream is, by what the routes show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    /// A client, or the app for one.
    Client,
    /// Staff on call.
    Oncall,
    /// A counselor or a supervisor.
    Carer,
}

impl Watcher {
    pub(crate) fn of(kinds: &[PrincipalKind]) -> Self {
        if kinds.contains(&PrincipalKind::Counselor) || kinds.contains(&PrincipalKind::Supervisor) {
            Self::Carer
        } else if kinds.contains(&PrincipalKind::Oncall) {
            Self::Oncall
        } else {
            Self::Client
        }
    }

    /// Which fields of an event are shown, if any: as the routes have it that answer for these rows, and no text ever.
    fn fields(self, name: &str, in_crisis_only: bool) -> &'static [&'static str] {
        let is_client = self == Self::Client;
        if name.starts_with(ESCALATION) && is_client {
            // That help is coming, and nothing of why.
            &["escalation_id", "user_id", "status"]
        } else if name.starts_with(ESCALATION) {
            &["escalation_id", "user_id", "escalation_type", "urgency", "status"]
        } else if name == PROFILE_CHANGED && !is_client {
            &[
                "user_id",
                "current_risk_label",
                "previous_risk_label",
                "risk_trend",
            ]
        } else if name == PAGE_SENT && !is_client {
            &["escalation_id", "urgency"]
        } else if name == WARNING_OPEN && !is_client {
            &["warning_id", "kind"]
        } else if name.starts_with(NUDGE) && self.sees_nudge(name, in_crisis_only) {
            &["nudge_id", "user_id", "status"]
        } else {
            &[]
        }
    }

    fn sees_nudge(self, name: &str, in_crisis_only: bool) -> bool {
        match self {
            // What was not sent yet is not theirs to see.
            Self::Client => Some(name) != nudge::CREATED.strip_prefix(OURS),
            Self::Carer => !in_crisis_only,
            Self::Oncall => false,
        }
    }

    /// An event as it stands in a stream; `None` where it is not for this watcher.
    pub(crate) fn shown(self, happened: &Happened) -> Option<String> {
        let name = happened.event_type.strip_prefix(OURS)?;
        let fields = self.fields(name, happened.in_crisis_only);
        let mut data = Map::new();
        for field in fields {
            let value = happened.data.get(*field).cloned().unwrap_or(Value::Null);
            data.insert((*field).to_owned(), value);
        }
        if data.is_empty() {
            return None;
        }
        data.insert("event_id".to_owned(), happened.event_id.to_string().into());
        Some(format!("event: {name}\ndata: {}\n\n", Value::Object(data)))
    }
}

/// What stands first in every stream.
pub(crate) fn hello(place: &Place) -> String {
    format!("retry: {RETRY_MILLISECONDS}\nid: {place}\n\n")
}

/// These events, and behind the last of them the place from which the stream goes on. It stands alone, so that who loses
/// the connection within them is told all of them again, with the same ids.
pub(crate) fn events(shown: &[String], place: &Place) -> String {
    format!("{}id: {place}\n\n", shown.concat())
}

/// Says that something was left out: who reads it asks for the lists again.
pub(crate) fn reset(place: &Place) -> String {
    format!("event: reset\ndata: {{}}\nid: {place}\n\n")
}

/// A comment, which keeps the connection open, and the place.
pub(crate) fn heartbeat(place: &Place) -> String {
    format!(":\nid: {place}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap_or_else(|()| Snapshot {
            xmin: 0,
            xmax: 0,
            open: Vec::new(),
        })
    }

    #[test]
    fn a_snapshot_sees_what_was_committed_before_it() {
        let taken = snapshot("10:20:12,15");
        let seen: Vec<u64> = (8..22).filter(|xid| taken.sees(*xid)).collect();
        assert_eq!(seen, [8, 9, 10, 11, 13, 14, 16, 17, 18, 19]);
        assert_eq!(taken.to_string(), "10:20:12,15");
        assert_eq!(snapshot("7:7:").to_string(), "7:7:");
    }

    #[test]
    fn of_two_snapshots_the_later_one_is_known() {
        let in_order = [
            "10:20:10,12,15",
            "10:20:10,15",
            "15:20:15",
            "20:20:",
            "20:22:20,21",
        ];
        let ages: Vec<_> = in_order.iter().map(|text| snapshot(text).age()).collect();
        assert!(ages.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn what_no_stream_sent_is_no_place() {
        for text in [
            "",
            "1",
            "1~",
            "~1:2:",
            "x~1:2:",
            "1~1:2",
            "1~1:2:3",
            "1~2:1:",
            "1~1:9:3,2",
            "1~1:9:2,",
            "1~+1:2:",
            "1~0:2:",
            "1~1:2:1:",
            "1~1:9999999999999999999:",
            "1~1:2: ",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        let text = "1781524800~10:20:12,15";
        assert_eq!(
            text.parse::<Place>().map(|place| place.to_string()),
            Ok(text.to_owned())
        );
    }

    #[test]
    fn a_place_of_yesterday_or_of_another_postgres_is_not_gone_on_from() {
        let place = |at, text| Place {
            at,
            seen: snapshot(text),
        };
        let now = place(1_000_000, "90:95:90");
        assert!(place(1_000_000 - 86_400, "10:20:").can_be_resumed(&now));
        assert!(!place(1_000_000 - 86_401, "10:20:").can_be_resumed(&now));
        assert!(!place(1_000_000, "90:96:90").can_be_resumed(&now));
    }

    #[test]
    fn somebody_of_several_roles_is_shown_what_the_widest_is() {
        use PrincipalKind::{Admin, App, Client, Counselor, Oncall, Supervisor};
        for (kinds, expected) in [
            (&[Client][..], Watcher::Client),
            (&[App], Watcher::Client),
            (&[Admin, Oncall], Watcher::Oncall),
            (&[Counselor, Oncall], Watcher::Carer),
            (&[Oncall, Supervisor], Watcher::Carer),
        ] {
            assert_eq!(Watcher::of(kinds), expected, "{kinds:?}");
        }
    }
}
