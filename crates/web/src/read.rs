//! Readers of single values, for [`Fields`](crate::Fields). Services add their own: any function or closure from a
//! [`Value`] to a type or a fault will do, such as
//! `|value| read::number(value).and_then(|p| Probability::new(p).ok_or("must be from 0 to 1".into()))`.

use std::fmt::Display;
use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};

use crate::fault::Fault;
use crate::value::Value;

/// How far ahead of our clock a caller's may be, in minutes.
const MAX_AHEAD_MINUTES: i64 = 5;

/// 2000-01-01T00:00:00Z: no event of the programme is older.
const EARLIEST_UNIX_SECONDS: i64 = 946_684_800;

/// 2100-01-01T00:00:00Z: plans reach no further.
const LATEST_UNIX_SECONDS: i64 = 4_102_444_800;

/// The longest identifier, in bytes.
const MAX_IDENTIFIER_BYTES: usize = 255;

/// Text of a length in bytes, stored as it is; U+0000 is refused, because Postgres cannot hold it.
pub fn text(bytes: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<String, Fault> {
    move |value| {
        let text = string(value)?;
        let (min, max) = (*bytes.start(), *bytes.end());
        if text.len() < min {
            return Err(if min == 1 {
                "must not be empty".into()
            } else {
                format!("must have at least {min} bytes").into()
            });
        }
        if text.len() > max {
            return Err(format!("must have at most {max} bytes").into());
        }
        Ok(text.to_owned())
    }
}

/// As [`text`], but not of white space alone: for what somebody is to read and act on.
pub fn words(bytes: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<String, Fault> {
    move |value| {
        let text = text(bytes.clone())(value)?;
        if text.trim().is_empty() {
            return Err("must not be blank".into());
        }
        Ok(text)
    }
}

/// As [`text`], but more than the limit makes the answer a 413: for the texts that people write.
pub fn long_text(bytes: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<String, Fault> {
    move |value| {
        if value.as_text().is_some_and(|text| text.len() > *bytes.end()) {
            return Err(Fault::too_large(format!(
                "must have at most {} bytes",
                bytes.end()
            )));
        }
        text(bytes.clone())(value)
    }
}

/// An identifier: 1 to 255 of `A-Z a-z 0-9 _ -`.
///
/// # Errors
/// Anything else.
pub fn identifier(value: &Value) -> Result<String, Fault> {
    let text = string(value)?;
    if is_identifier(text) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 255 letters, digits, _ or -".into())
    }
}

/// Whether a text is 1 to 255 of `A-Z a-z 0-9 _ -`.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && text.len() <= MAX_IDENTIFIER_BYTES && text.bytes().all(allowed)
}

/// A finite number.
///
/// # Errors
/// Anything else; a number in quotes is text.
#[expect(
    clippy::cast_precision_loss,
    reason = "a JSON number is a double to most writers; near is as meant"
)]
pub fn number(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Negative(number) => Ok(*number as f64),
        Value::Natural(number) => Ok(*number as f64),
        Value::Real(number) => Ok(*number),
        Value::Null | Value::Boolean(_) | Value::Text(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong_kind("a number", value))
        }
    }
}

/// A number between two bounds, both allowed.
pub fn number_in(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<f64, Fault> {
    move |value| {
        let number = number(value)?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(outside(&range))
        }
    }
}

/// A probability: from 0 to 1.
///
/// # Errors
/// Anything else.
pub fn probability(value: &Value) -> Result<f64, Fault> {
    number_in(0.0..=1.0)(value)
}

/// A whole number between two bounds, both allowed, written without fraction or exponent.
pub fn integer<T>(range: RangeInclusive<T>) -> impl Fn(&Value) -> Result<T, Fault>
where
    T: TryFrom<i64> + TryFrom<u64> + PartialOrd + Display,
{
    move |value| {
        let number = match value {
            Value::Negative(number) => T::try_from(*number).ok(),
            Value::Natural(number) => T::try_from(*number).ok(),
            Value::Real(_) => return Err("must be a whole number".into()),
            Value::Null | Value::Boolean(_) | Value::Text(_) | Value::Array(_) | Value::Object(_) => {
                return Err(wrong_kind("a whole number", value));
            }
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| outside(&range))
    }
}

/// `true` or `false`.
///
/// # Errors
/// Anything else.
pub fn boolean(value: &Value) -> Result<bool, Fault> {
    if let Value::Boolean(value) = value {
        Ok(*value)
    } else {
        Err(wrong_kind("true or false", value))
    }
}

/// When something happened: RFC 3339 with a zone, not before 2000, at most five minutes ahead of our clock.
///
/// # Errors
/// Anything else.
pub fn timestamp(value: &Value) -> Result<DateTime<Utc>, Fault> {
    timestamp_at(Utc::now())(value)
}

/// As [`timestamp`], with a given clock.
pub fn timestamp_at(now: DateTime<Utc>) -> impl Fn(&Value) -> Result<DateTime<Utc>, Fault> {
    move |value| {
        let time = moment(value)?;
        if time > now + TimeDelta::minutes(MAX_AHEAD_MINUTES) {
            return Err(format!("must not be more than {MAX_AHEAD_MINUTES} minutes in the future").into());
        }
        Ok(time)
    }
}

/// A time that may lie ahead, such as an appointment: RFC 3339 with a zone, from 2000 to 2099.
///
/// # Errors
/// Anything else.
pub fn moment(value: &Value) -> Result<DateTime<Utc>, Fault> {
    let time = DateTime::parse_from_rfc3339(string(value)?)
        .map_err(|_| Fault::new("must be a time with a zone, such as 2026-11-21T09:30:00Z"))?;
    // As Postgres keeps it, since it is compared with stored times later: in microseconds, and a leap second as the second
    // after it.
    DateTime::from_timestamp_micros(time.timestamp_micros())
        .filter(|time| (EARLIEST_UNIX_SECONDS..LATEST_UNIX_SECONDS).contains(&time.timestamp()))
        .ok_or_else(|| "must be from 2000 to 2099".into())
}

/// A UUID in its usual form.
///
/// # Errors
/// Anything else.
pub fn uuid(value: &Value) -> Result<uuid::Uuid, Fault> {
    uuid::Uuid::try_parse(string(value)?).map_err(|_| "must be a UUID".into())
}

/// One of a few words.
pub fn one_of(words: &'static [&'static str]) -> impl Fn(&Value) -> Result<&'static str, Fault> {
    move |value| {
        let text = string(value)?;
        let known = words.iter().copied().find(|word| *word == text);
        known.ok_or_else(|| format!("must be one of: {}", words.join(", ")).into())
    }
}

/// Text that a domain type parses; `must_be` ends the sentence "must be …".
pub fn parsed<T>(
    parse: impl Fn(&str) -> Option<T>,
    must_be: &'static str,
) -> impl Fn(&Value) -> Result<T, Fault> {
    move |value| parse(string(value)?).ok_or_else(|| format!("must be {must_be}").into())
}

/// Any JSON object of at most so many bytes, for `metadata` columns. U+0000 is refused in it, as in every text.
pub fn object(max_bytes: usize) -> impl Fn(&Value) -> Result<serde_json::Value, Fault> {
    move |value| {
        let Value::Object(_) = value else {
            return Err(wrong_kind("an object", value));
        };
        refuse_nul(value)?;
        let json = value.to_json();
        if json.to_string().len() > max_bytes {
            return Err(Fault::too_large(format!(
                "must have at most {max_bytes} bytes as JSON"
            )));
        }
        Ok(json)
    }
}

fn string(value: &Value) -> Result<&str, Fault> {
    let Value::Text(text) = value else {
        return Err(wrong_kind("text", value));
    };
    refuse_nul(value)?;
    Ok(text)
}

fn refuse_nul(value: &Value) -> Result<(), Fault> {
    let clean = |text: &str| {
        if text.contains('\0') {
            Err("must not hold U+0000".into())
        } else {
            Ok(())
        }
    };
    match value {
        Value::Text(text) => clean(text),
        Value::Array(values) => values.iter().try_for_each(refuse_nul),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, value)| clean(name).and(refuse_nul(value))),
        Value::Null | Value::Boolean(_) | Value::Negative(_) | Value::Natural(_) | Value::Real(_) => Ok(()),
    }
}

fn wrong_kind(wanted: &str, found: &Value) -> Fault {
    Fault::new(format!("must be {wanted}, not {}", found.kind()))
}

fn outside<T: Display>(range: &RangeInclusive<T>) -> Fault {
    Fault::new(format!("must be from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_time_is_read_as_postgres_keeps_it() {
        for (sent, kept) in [
            (
                "2026-11-21T09:30:00.1234567Z",
                Some("2026-11-21T09:30:00.123456Z"),
            ),
            ("2026-11-21T09:30:00+23:59", Some("2026-11-20T09:31:00Z")),
            ("2026-12-31T23:59:60Z", Some("2027-01-01T00:00:00Z")),
            ("2026-12-31T23:59:60.5Z", Some("2027-01-01T00:00:00.500Z")),
            ("1999-12-31T23:59:60Z", Some("2000-01-01T00:00:00Z")),
            ("2099-12-31T23:59:60Z", None),
        ] {
            let kept: Option<DateTime<Utc>> = kept.map(|time| time.parse().unwrap_or_default());
            assert_eq!(moment(&text(sent)).ok(), kept, "{sent}");
        }
    }

    #[test]
    fn words_are_kept_as_they_are_and_white_space_alone_is_none() {
        assert_eq!(words(1..=9)(&text(" a ")).ok().as_deref(), Some(" a "));
        for blank in ["", " ", "\u{a0}\t\n"] {
            assert!(words(1..=9)(&text(blank)).is_err(), "{blank:?}");
        }
    }
}
