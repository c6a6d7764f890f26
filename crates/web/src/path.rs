//! Ids in paths. What cannot be an id names nothing, so it is a 404 like every other id that is not there. Rows are
//! [`Id`], people [`Identifier`]; UUIDs are taken as `web::Path<Uuid>`, which the server's [`config`] answers the same way.

use std::fmt;
use std::ops::Deref;

use actix_web::web::PathConfig;
use serde::{Deserialize, Deserializer, de};

use crate::problem::Problem;
use crate::read::is_identifier;

/// An id that is text: 1 to 255 of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier(String);

impl Identifier {
    /// The id as owned text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for Identifier {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_identifier(&text) {
            Ok(Self(text))
        } else {
            Err(de::Error::custom("not an identifier"))
        }
    }
}

/// An id that is a number from 1, written in one way only: Rust also reads `+9` and `09`, and one thing has one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(i64);

impl Id {
    fn parse(text: &str) -> Option<Self> {
        let first_is_a_digit_from_1 = text
            .bytes()
            .next()
            .is_some_and(|byte| matches!(byte, b'1'..=b'9'));
        text.parse().ok().filter(|_| first_is_a_digit_from_1).map(Self)
    }
}

impl Deref for Id {
    type Target = i64;

    fn deref(&self) -> &i64 {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a row's id"))
    }
}

/// Makes every path that cannot be read a 404.
pub(crate) fn config() -> PathConfig {
    PathConfig::default().error_handler(|_, _| Problem::not_found().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_one_address() {
        assert_eq!(Id::parse("9"), Some(Id(9)));
        assert_eq!(Id::parse("9223372036854775807"), Some(Id(i64::MAX)));
        for other in [
            "",
            "0",
            "09",
            "+9",
            "-9",
            " 9",
            "9 ",
            "9.0",
            "0x9",
            "1e3",
            "٩",
            "9223372036854775808",
        ] {
            assert_eq!(Id::parse(other), None, "{other:?}");
        }
    }
}
