//! How often somebody may fail to sign in, or ask for another name.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The failure from which on the next attempt must wait.
const FIRST_WAIT_FAILURE: i32 = 5;
/// How long it waits then, in seconds; each further failure doubles it.
const FIRST_WAIT_SECONDS: i64 = 15;
/// The longest wait before the lock, in seconds.
const MAX_WAIT_SECONDS: i64 = 900;
/// The failure that locks.
const LOCK_FAILURE: i32 = 50;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) failed_attempts: i32,
    pub(crate) blocked_until: Option<DateTime<Utc>>,
    /// From when on it is remembered.
    pub(crate) updated_at: DateTime<Utc>,
}

impl Count {
    /// Counts an attempt as failed before it is made, so that many at once cannot outrun the count.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn attempt(&self, subject: &Subject, now: DateTime<Utc>) -> Result<Self, TimeDelta> {
        if let Some(until) = self.blocked_until.filter(|until| *until > now) {
            return Err(until - now);
        }
        let memory = subject.counted.memory();
        let is_forgotten = self.failed_attempts == 0 || now - self.updated_at >= memory;
        let before = if is_forgotten { 0 } else { self.failed_attempts };
        let failed_attempts = before.saturating_add(1);
        let (updated_at, blocked_until) = match subject.counted {
            Counted::Person | Counted::Address => (now, wait(failed_attempts).map(|wait| now + wait)),
            Counted::Names => {
                let first_at = if is_forgotten { now } else { self.updated_at };
                let is_last = failed_attempts >= MAX_NAMES;
                (first_at, is_last.then(|| first_at + memory))
            }
        };
        Ok(Self {
            failed_attempts,
            blocked_until,
            updated_at,
        })
    }
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

    #[test]
    fn who_is_blocked_is_told_how_long_and_counts_no_further() {
        let (now, who) = (DateTime::UNIX_EPOCH, Subject::of(Who::Account("a"), KEY));
        let mut count = Count {
            failed_attempts: 0,
            blocked_until: None,
            updated_at: now,
        };
        for failures in 1..=5 {
            count = count.attempt(&who, now).expect("an attempt");
            assert_eq!(count.failed_attempts, failures);
        }
        assert_eq!(count.attempt(&who, now), Err(TimeDelta::seconds(15)));
        let later = now + TimeDelta::seconds(15);
        assert_eq!(
            count.attempt(&who, later).map(|count| count.failed_attempts),
            Ok(6)
        );
        let much_later = now + who.counted.memory();
        assert_eq!(
            count.attempt(&who, much_later).map(|count| count.failed_attempts),
            Ok(1)
        );
    }

    #[test]
    fn ten_names_are_free_of_waits_and_more_wait_for_the_end_of_the_day_that_began_with_the_first() {
        let (begin, who) = (DateTime::UNIX_EPOCH, Subject::of(Who::Renamer("a"), KEY));
        let mut count = Count {
            failed_attempts: 0,
            blocked_until: None,
            updated_at: begin,
        };
        for hours in 1..=10 {
            count = count
                .attempt(&who, begin + TimeDelta::hours(hours))
                .expect("a name");
        }
        let wait = |hours| count.attempt(&who, begin + TimeDelta::hours(hours)).err();
        assert_eq!(wait(11), Some(TimeDelta::hours(14)));
        assert_eq!(wait(24), Some(TimeDelta::hours(1)));
        let next = count.attempt(&who, begin + TimeDelta::hours(25)).expect("a name");
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
