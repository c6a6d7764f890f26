//! The second factor of staff: codes that an authenticator app counts (RFC 6238), and codes on paper for who lost it.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Builder, Totp, TotpError};

/// The shared secret, in bytes, as RFC 4226 advises.
pub(crate) const SECRET_BYTES: usize = 20;
/// Digits of a code.
const DIGITS: u8 = 6;
/// How long a code is the present one, in seconds.
const STEP_SECONDS: u64 = 30;
/// How many codes before and after the present one are taken, for clocks that go wrong and people who type slowly.
const SKEW_STEPS: u16 = 1;
/// How long a ticket works, in minutes.
pub(crate) const TICKET_MINUTES: i32 = 5;
/// Codes on paper that a person gets.
pub(crate) const RECOVERY_CODES: usize = 10;
/// As unguessable as it must be where every guess is counted, in bytes.
pub(crate) const RECOVERY_BYTES: usize = 10;
/// Letters of a code on paper between two hyphens.
const RECOVERY_GROUP: usize = 4;
/// What the app shows beside its codes.
const ISSUER: &str = "Recoverly";
/// Letters that are not mistaken for one another, 32 of them.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What an app is told once.
pub(crate) struct Enrolment {
    /// In base32, to be typed.
    pub(crate) secret: String,
    /// To be shown as a QR code.
    pub(crate) otpauth_url: String,
}

/// What to tell the app of a person.
///
/// # Errors
/// None that secrets of ours meet.
pub(crate) fn enrolment(secret: [u8; SECRET_BYTES], user_id: &str) -> Result<Enrolment, TotpError> {
    let totp = totp(&secret, user_id)?;
    Ok(Enrolment {
        secret: totp.secret().to_base32(),
        otpauth_url: totp.to_url()?,
    })
}

/// The time step that a code is of, if it is a good one of now and of a later step than the last that was taken.
pub(crate) fn step_of(secret: &[u8], code: &str, last_step: i64, now: DateTime<Utc>) -> Option<i64> {
    let now = u64::try_from(now.timestamp()).ok()?;
    let step = totp(secret, "").ok()?.check(code.trim(), now)?;
    i64::try_from(step).ok().filter(|step| *step > last_step)
}

fn totp(secret: &[u8], user_id: &str) -> Result<Totp, TotpError> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW_STEPS)
        .with_step_duration(STEP_SECONDS)
        .with_secret(secret)
        .with_issuer(Some(ISSUER))
        .with_account_name(user_id)
        .build()
}

/// A code on paper, such as `k7mq-…`.
pub(crate) fn recovery_code(secret: [u8; RECOVERY_BYTES]) -> String {
    let mut bits = secret
        .iter()
        .fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let mut letters: Vec<u8> = Vec::new();
    for _ in 0..RECOVERY_BYTES * 8 / 5 {
        letters.extend(usize::try_from(bits % 32).ok().and_then(|at| LETTERS.get(at)));
        bits /= 32;
    }
    let groups = letters.chunks(RECOVERY_GROUP);
    let groups: Vec<String> = groups
        .map(|group| group.iter().map(|letter| char::from(*letter)).collect())
        .collect();
    groups.join("-")
}

/// What is stored of a code on paper, however it was typed.
pub(crate) fn recovery_hash(code: &str) -> Vec<u8> {
    let letters: String = code.chars().filter(|c| c.is_alphanumeric()).collect();
    Sha256::digest(letters.to_lowercase().as_bytes()).to_vec()
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// The secret of the examples in RFC 6238.
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        assert_eq!(step_of(SECRET, "287082", 0, at(59)), Some(1));
        assert_eq!(step_of(SECRET, "081804", 0, at(1_111_111_109)), Some(37_037_036));
        assert_eq!(step_of(SECRET, "081805", 0, at(1_111_111_109)), None);
        for nonsense in ["", "28708", "2870822", "x87082", "28 708 2"] {
            assert_eq!(step_of(SECRET, nonsense, 0, at(59)), None, "{nonsense}");
        }
    }

    #[test]
    fn a_code_is_taken_a_step_early_or_late_and_once() {
        assert_eq!(step_of(SECRET, "287082", 0, at(29)), Some(1));
        assert_eq!(step_of(SECRET, "287082", 0, at(89)), Some(1));
        assert_eq!(step_of(SECRET, "287082", 0, at(90)), None);
        assert_eq!(step_of(SECRET, "287082", 1, at(59)), None);
    }

    #[test]
    fn an_app_is_told_the_secret_and_whose_it_is() {
        let told = enrolment([7; SECRET_BYTES], "staff-7").expect("an enrolment");
        assert!(
            told.otpauth_url.starts_with("otpauth://totp/Recoverly:staff-7?"),
            "{}",
            told.otpauth_url
        );
        assert!(told.otpauth_url.contains(&told.secret));
    }

    #[test]
    fn codes_on_paper_are_told_apart_and_forgive_how_they_are_typed() {
        let (one, other) = (
            recovery_code([1; RECOVERY_BYTES]),
            recovery_code([2; RECOVERY_BYTES]),
        );
        assert_eq!(one.len(), 19);
        assert_ne!(recovery_hash(&one), recovery_hash(&other));
        assert_eq!(
            recovery_hash(&one),
            recovery_hash(&format!(" {} ", one.to_uppercase().replace('-', " ")))
        );
    }
}
