//! The chain of seals over the audit: what a seal is made of, and what shows that somebody changed what it covers.

use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// How long audit rows are kept: by months, as `core.drop_audit_partitions` lets them go.
const KEPT_MONTHS: Months = Months::new(6 * 12);

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// From 1; 0 is before the first.
    pub(crate) seq: i64,
    /// Zeros before the first.
    pub(crate) hash: Hash,
}

impl Link {
    /// Before the first seal.
    pub(crate) const START: Self = Self {
        seq: 0,
        hash: [0; 32],
    };
}

/// A seal over the rows whose hashes have this hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) seq: i64,
    /// Time of the oldest of its rows.
    pub(crate) first_at: DateTime<Utc>,
    /// Time of the newest: by it they all go one day, and the seal stays.
    pub(crate) last_at: DateTime<Utc>,
    pub(crate) prev_hash: Hash,
    pub(crate) hash: Hash,
    pub(crate) mac: Hash,
}

/// What is wrong with a seal or with what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// A row was changed, deleted or put in another's place.
    RowsChanged,
    /// It does not continue the seal before it: one was changed, deleted or put in another's place.
    ChainBroken,
    /// It was not made with the key.
    NotOurs,
    /// The copy outside Postgres is another.
    DiffersFromAnchor,
    /// The copy outside Postgres has it, Postgres does not.
    CutOff,
    /// Postgres has it, the copy outside Postgres does not, although it is not the newest.
    NotAnchored,
    /// A row of its time or before is covered by no seal and does not wait for one.
    Unsealed,
}

impl Fault {
    /// For whoever has to find out what happened.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::RowsChanged => "a row that it covers was changed, deleted or moved",
            Self::ChainBroken => "it does not continue the seal before it",
            Self::NotOurs => "it was not made with our key",
            Self::DiffersFromAnchor => "its copy outside Postgres is another",
            Self::CutOff => "it stands in the copy outside Postgres and is gone here",
            Self::NotAnchored => "it is missing in the copy outside Postgres",
            Self::Unsealed => "a row that was not written by us stands in no seal",
        }
    }
}

/// The beginning of the oldest month of which rows are kept, by a clock of ours: one that asked Postgres would take any row
/// for gone that whoever owns the functions there says is.
pub(crate) fn kept_since(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_sub_months(KEPT_MONTHS)
        .and_then(|then| then.date_naive().with_day(1))
        .map_or(DateTime::<Utc>::MIN_UTC, |first| {
            first.and_time(NaiveTime::MIN).and_utc()
        })
}

/// The key that signs seals.
#[derive(Clone)]
pub(crate) struct SealKey(Hmac<Sha256>);

impl SealKey {
    /// HMAC takes keys of every length; configuration asks for enough.
    pub(crate) fn new(secret: &SecretString) -> Option<Self> {
        Hmac::new_from_slice(secret.expose_secret().as_bytes())
            .ok()
            .map(Self)
    }

    /// The seal that comes after a link, over rows of this hash, the oldest and the newest of these times.
    pub(crate) fn seal(
        &self,
        after: Link,
        rows_hash: &[u8],
        first_at: DateTime<Utc>,
        last_at: DateTime<Utc>,
    ) -> Seal {
        let seq = after.seq + 1;
        let hash = chained(&after.hash, seq, rows_hash);
        Seal {
            seq,
            first_at,
            last_at,
            prev_hash: after.hash,
            hash,
            mac: self.over(&hash, first_at, last_at).finalize().into_bytes().into(),
        }
    }

    /// What is wrong with a seal, given the link before it, the hash of what its rows are now, and since when rows are kept.
    pub(crate) fn faults(
        &self,
        seal: &Seal,
        after: Link,
        rows_hash: Option<&[u8]>,
        kept_since: DateTime<Utc>,
    ) -> Vec<Fault> {
        let is_whole = seal.last_at < kept_since
            || rows_hash.is_some_and(|rows| chained(&seal.prev_hash, seal.seq, rows) == seal.hash);
        let continues = seal.seq == after.seq + 1 && seal.prev_hash == after.hash;
        [
            (!is_whole, Fault::RowsChanged),
            (!continues, Fault::ChainBroken),
            (!self.made(seal), Fault::NotOurs),
        ]
        .into_iter()
        .filter_map(|(is_wrong, fault)| is_wrong.then_some(fault))
        .collect()
    }

    /// Whether a seal was made with this key.
    pub(crate) fn made(&self, seal: &Seal) -> bool {
        self.over(&seal.hash, seal.first_at, seal.last_at)
            .verify_slice(&seal.mac)
            .is_ok()
    }

    /// The times as well: who could change them could make rows look as if their term were over.
    fn over(&self, hash: &Hash, first_at: DateTime<Utc>, last_at: DateTime<Utc>) -> Hmac<Sha256> {
        let micros = |at: DateTime<Utc>| at.timestamp_micros().to_be_bytes();
        let mac = self.0.clone().chain_update(hash);
        mac.chain_update(micros(first_at)).chain_update(micros(last_at))
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

fn chained(prev_hash: &Hash, seq: i64, rows_hash: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(prev_hash)
        .chain_update(seq.to_be_bytes())
        .chain_update(rows_hash)
        .finalize()
        .into()
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn key() -> SealKey {
        SealKey::new(&SecretString::from("a key of thirty-two bytes and more")).expect("a key")
    }

    const ROWS: [u8; 32] = [2; 32];

    fn day(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    #[test]
    fn a_seal_is_sound_while_its_rows_and_the_seal_before_it_stay() {
        let first = key().seal(Link::START, &[1; 32], day(1), day(1));
        let after = Link {
            seq: 1,
            hash: first.hash,
        };
        let second = key().seal(after, &ROWS, day(1), day(1));
        let faults = |after, rows| key().faults(&second, after, rows, day(0));
        assert_eq!(faults(after, Some(&ROWS)), []);
        assert_eq!(faults(after, Some(&[3; 32])), [Fault::RowsChanged]);
        assert_eq!(faults(after, None), [Fault::RowsChanged]);
        assert_eq!(faults(Link::START, Some(&ROWS)), [Fault::ChainBroken]);
    }

    #[test]
    fn a_seal_that_was_made_up_lacks_the_key() {
        let other = SealKey::new(&SecretString::from("another key of thirty-two bytes")).expect("a key");
        let forged = other.seal(Link::START, &ROWS, day(1), day(1));
        assert_eq!(
            key().faults(&forged, Link::START, Some(&ROWS), day(0)),
            [Fault::NotOurs]
        );
    }

    #[test]
    fn rows_may_be_gone_when_their_term_is_over_and_no_seal_is_made_older_than_it_is() {
        let seal = key().seal(Link::START, &ROWS, day(1), day(3));
        let faults = |seal: &Seal, kept_since| key().faults(seal, Link::START, None, kept_since);
        assert_eq!(faults(&seal, day(4)), []);
        for kept_since in [day(2), day(3)] {
            assert_eq!(
                faults(&seal, kept_since),
                [Fault::RowsChanged],
                "the newest is kept"
            );
        }
        let older = [
            Seal {
                first_at: day(0),
                ..seal
            },
            Seal {
                last_at: day(1),
                ..seal
            },
        ];
        for seal in older {
            assert!(faults(&seal, day(2)).contains(&Fault::NotOurs));
        }
    }

    #[test]
    fn rows_are_kept_for_six_years_and_then_to_the_end_of_the_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        for (now, since) in [
            ("2032-02-29T23:59:59Z", "2026-02-01T00:00:00Z"),
            ("2032-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ] {
            assert_eq!(kept_since(at(now)), at(since));
        }
    }
}
