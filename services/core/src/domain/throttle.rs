//! How often somebody may fail to sign in, or ask for another name.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The failure from which on the next attempt must wait.
const FIRST_WAIT_FAILURE: i32 = 5;
/// Attempts that may be made at once: no more than may fail.
pub(crate) const FREE_ATTEMPTS: usize = FIRST_WAIT_FAILURE as usize;
/// How long it waits then, in seconds; each further failure doubles it.
const FIRST_WAIT_SECONDS: i64 = 15;
/// The longest wait before the lock, in seconds.
const MAX_WAIT_SECONDS: i64 = 900;
/// The failure that locks.
const LOCK_FAILURE: i32 = 50;
/// How long an attempt may be under way, in seconds: longer than any request takes. From then on it is a failure.
const MAX_ATTEMPT_SECONDS: i64 = 30;
/// Other names that a client may ask for within a day of the first: each tells whether somebody has it.
const MAX_NAMES: i32 = 10;
/// That day, in hours.
const NAMES_HOURS: i64 = 24;
/// How long the lock holds where nobody lifts it, in hours.
const LOCK_HOURS: i64 = 24;
/// An account without an attempt for so long begins anew, in hours.
const ACCOUNT_MEMORY_HOURS: i64 = 24;
/// An address too. Many people may share one, and each of them forgets a password now and then.
const ADDRESS_MEMORY_HOURS: i64 = 1;

/// Whose failures are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who<'a> {
    /// Somebody who signs in to this account.
    Account(&'a str),
    /// Somebody who signs in to an account that is not there.
    Unknown(&'a str),
    /// Whoever comes from there.
    Address(IpAddr),
    /// Somebody who holds a token or has shown the password of this account, and must show more. Counted apart: guessing
    /// from outside must not shut out who is in.
    Owner(&'a str),
    /// A client who asks for another name. None of them is a failure, but each tells who is here.
    Renamer(&'a str),
}

/// What a count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// Failures of one person, or of a name that is none: a success ends them.
    Person,
    /// Failures from an address: a success takes back its own attempt only, for an address must not be cleared by whoever
    /// has one good password there.
    Address,
    /// Names that a client asked for: a password of one's own ends no such count.
    Names,
}

impl Counted {
    /// How long it is remembered: failures from the last one on, names from the first.
    fn memory(self) -> TimeDelta {
        TimeDelta::hours(match self {
            Self::Person => ACCOUNT_MEMORY_HOURS,
            Self::Address => ADDRESS_MEMORY_HOURS,
            Self::Names => NAMES_HOURS,
        })
    }
}

/// One count: its row's key, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject {
    pub(crate) hash: Vec<u8>,
    pub(crate) counted: Counted,
}

impl Subject {
    /// The count of somebody, under a key outside the database: the table tells nobody who tried from where.
    pub(crate) fn of(who: Who<'_>, key: &[u8]) -> Self {
        let (kind, name, counted) = match who {
            Who::Account(id) => ("account", id.to_owned(), Counted::Person),
            Who::Unknown(name) => ("unknown", name.to_lowercase(), Counted::Person),
            Who::Address(address) => ("address", network(address).to_string(), Counted::Address),
            Who::Owner(id) => ("owner", id.to_owned(), Counted::Person),
            Who::Renamer(id) => ("renamer", id.to_owned(), Counted::Names),
        };
        // A key of any length is one.
        let hash = Hmac::<Sha256>::new_from_slice(key)
            .map(|mac| mac.chain_update(kind).chain_update("|").chain_update(name))
            .map(|mac| mac.finalize().into_bytes().to_vec())
            .unwrap_or_default();
        Self { hash, counted }
    }
}

/// Of IPv6, what one subscriber has: the first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A count as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) failed_attempts: i32,
    pub(crate) blocked_until: Option<DateTime<Utc>>,
    /// From when on it is remembered.
    pub(crate) updated_at: DateTime<Utc>,
    /// The attempts that are being made: from when on each of them is a failure, soonest first.
    pub(crate) under_way: Vec<DateTime<Utc>>,
}

/// Why an attempt may not be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// As many as may still fail are being made: the next one waits for what becomes of them.
    Crowded,
    /// Nobody may try for so long.
    Blocked(TimeDelta),
}

impl Count {
    /// Lets an attempt be made. No more are let than may fail, so that many at once cannot outrun the count; returned with
    /// the time that tells this one from the others that are being made.
    ///
    /// # Errors
    /// Why not now.
    pub(crate) fn attempt(
        mut self,
        subject: &Subject,
        now: DateTime<Utc>,
    ) -> Result<(Self, DateTime<Utc>), Refusal> {
        self.fail_overdue(subject, now);
        if let Some(until) = self.blocked_until.filter(|until| *until > now) {
            return Err(Refusal::Blocked(until - now));
        }
        if self.is_forgotten(subject, now) {
            self.failed_attempts = 0;
            self.updated_at = now;
        }
        let mut until = now + TimeDelta::seconds(MAX_ATTEMPT_SECONDS);
        if subject.counted == Counted::Names {
            // None of them can turn out to be no failure.
            self.ask_name();
            return Ok((self, until));
        }
        if self.under_way.len() >= free(self.failed_attempts) {
            return Err(Refusal::Crowded);
        }
        while self.under_way.contains(&until) {
            until += TimeDelta::microseconds(1);
        }
        self.under_way.push(until);
        Ok((self, until))
    }

    /// An attempt has failed; one that is not under way any more was counted before.
    pub(crate) fn fail(mut self, subject: &Subject, attempt: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        self.fail_overdue(subject, now);
        if let Some(place) = self.under_way.iter().position(|until| *until == attempt) {
            self.under_way.remove(place);
            self.count_failure(subject, now);
        }
        self
    }

    fn fail_overdue(&mut self, subject: &Subject, now: DateTime<Utc>) {
        let (overdue, under_way) = self.under_way.iter().partition(|until| **until <= now);
        self.under_way = under_way;
        let overdue: Vec<DateTime<Utc>> = overdue;
        for until in overdue {
            self.count_failure(subject, until);
        }
    }

    fn count_failure(&mut self, subject: &Subject, at: DateTime<Utc>) {
        let before = if self.is_forgotten(subject, at) {
            0
        } else {
            self.failed_attempts
        };
        self.failed_attempts = before.saturating_add(1);
        self.updated_at = at;
        self.blocked_until = wait(self.failed_attempts).map(|wait| at + wait);
    }

    fn ask_name(&mut self) {
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        let is_last = self.failed_attempts >= MAX_NAMES;
        self.blocked_until = is_last.then(|| self.updated_at + Counted::Names.memory());
    }

    fn is_forgotten(&self, subject: &Subject, now: DateTime<Utc>) -> bool {
        self.failed_attempts == 0 || now - self.updated_at >= subject.counted.memory()
    }
}

/// How many attempts may be made at once after so many failures: as many as may fail before the next one must wait.
fn free(failures: i32) -> usize {
    let failures = usize::try_from(failures).unwrap_or_default();
    FREE_ATTEMPTS.saturating_sub(failures).max(1)
}

/// How long nobody may try after so many failures.
fn wait(failures: i32) -> Option<TimeDelta> {
    if failures >= LOCK_FAILURE {
        return Some(TimeDelta::hours(LOCK_HOURS));
    }
    let doublings = u32::try_from(failures.checked_sub(FIRST_WAIT_FAILURE)?).ok()?;
    let seconds = FIRST_WAIT_SECONDS.saturating_mul(2_i64.saturating_pow(doublings));
    Some(TimeDelta::seconds(seconds.min(MAX_WAIT_SECONDS)))
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const KEY: &[u8] = b"key";

    #[test]
    fn from_the_fifth_failure_on_the_wait_grows_and_the_fiftieth_locks() {
        let waits: Vec<i64> = [4, 5, 6, 7, 11, 49, 50, 99]
            .map(|failures| wait(failures).map_or(0, |wait| wait.num_seconds()))
            .to_vec();
        assert_eq!(waits, [0, 15, 30, 60, 900, 900, 86_400, 86_400]);
    }

    fn failed(count: Count, who: &Subject, now: DateTime<Utc>) -> Count {
        let (count, attempt) = count.attempt(who, now).expect("an attempt");
        count.fail(who, attempt, now)
    }

    #[test]
    fn who_is_blocked_is_told_how_long_and_counts_no_further() {
        let (now, who) = (DateTime::UNIX_EPOCH, Subject::of(Who::Account("a"), KEY));
        let mut count = Count::default();
        for failures in 1..=5 {
            count = failed(count, &who, now);
            assert_eq!(count.failed_attempts, failures);
        }
        let wait = Refusal::Blocked(TimeDelta::seconds(15));
        assert_eq!(count.clone().attempt(&who, now), Err(wait));
        let failures_at = |later: TimeDelta| failed(count.clone(), &who, now + later).failed_attempts;
        assert_eq!(failures_at(TimeDelta::seconds(15)), 6);
        assert_eq!(failures_at(who.counted.memory()), 1);
    }

    #[test]
    fn no_more_attempts_are_made_at_once_than_may_fail_and_the_next_one_waits_for_them() {
        let (now, who) = (DateTime::UNIX_EPOCH, Subject::of(Who::Account("a"), KEY));
        let after = |failures| (0..failures).fold(Count::default(), |count, _| failed(count, &who, now));
        for (failures, free) in [(0, 5), (2, 3), (4, 1), (5, 1), (9, 1)] {
            let mut count = Count {
                blocked_until: None,
                ..after(failures.min(5))
            };
            count.failed_attempts = failures;
            let mut attempts = Vec::new();
            for _ in 0..free {
                let (next, attempt) = count.attempt(&who, now).expect("an attempt");
                (count, attempts) = (next, [attempts, vec![attempt]].concat());
            }
            assert_eq!(count.clone().attempt(&who, now), Err(Refusal::Crowded));
            attempts.dedup();
            assert_eq!(attempts.len(), free, "told apart");
            for attempt in attempts {
                count = count.fail(&who, attempt, now);
            }
            let blocked = count.attempt(&who, now);
            assert!(
                matches!(blocked, Err(Refusal::Blocked(_))),
                "{failures}: {blocked:?}"
            );
        }
    }

    #[test]
    fn an_attempt_that_was_cut_off_fails_by_itself_and_once() {
        let (now, who) = (DateTime::UNIX_EPOCH, Subject::of(Who::Account("a"), KEY));
        let (count, cut_off) = Count::default().attempt(&who, now).expect("an attempt");
        let later = now + TimeDelta::seconds(MAX_ATTEMPT_SECONDS);
        let (count, _) = count.attempt(&who, later).expect("an attempt");
        assert_eq!((count.failed_attempts, count.under_way.len()), (1, 1));
        let count = count.fail(&who, cut_off, later);
        assert_eq!((count.failed_attempts, count.under_way.len()), (1, 1));
    }

    #[test]
    fn ten_names_are_free_of_waits_and_more_wait_for_the_end_of_the_day_that_began_with_the_first() {
        let (begin, who) = (DateTime::UNIX_EPOCH, Subject::of(Who::Renamer("a"), KEY));
        let asked = |count: Count, hours| {
            let asked = count.attempt(&who, begin + TimeDelta::hours(hours));
            asked.map(|(count, _)| count)
        };
        let count = (1..=10).fold(Count::default(), |count, hours| {
            asked(count, hours).expect("a name")
        });
        let wait = |hours| asked(count.clone(), hours).err();
        assert_eq!(wait(11), Some(Refusal::Blocked(TimeDelta::hours(14))));
        assert_eq!(wait(24), Some(Refusal::Blocked(TimeDelta::hours(1))));
        let next = asked(count.clone(), 25).expect("a name");
        assert_eq!((next.failed_attempts, next.blocked_until), (1, None));
    }

    #[test]
    fn counts_are_apart_by_kind_and_together_by_network() {
        let hash = |who| Subject::of(who, KEY).hash;
        assert_ne!(hash(Who::Account("a")), hash(Who::Unknown("a")));
        assert_ne!(hash(Who::Account("a")), hash(Who::Owner("a")));
        assert_ne!(
            hash(Who::Account("a")),
            Subject::of(Who::Account("a"), b"other").hash
        );
        assert_eq!(hash(Who::Unknown("A@b")), hash(Who::Unknown("a@b")));
        let address = |text: &str| hash(Who::Address(text.parse().expect("an address")));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }
}
