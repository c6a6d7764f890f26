//! Ids in paths. What cannot be an id names nothing, so it is a 404 like every other id that is not there; take numbers
//! and UUIDs as `web::Path<i64>` and `web::Path<Uuid>`, which the server's [`config`] answers the same way.

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

/// Makes every path that cannot be read a 404.
pub(crate) fn config() -> PathConfig {
    PathConfig::default().error_handler(|_, _| Problem::not_found().into())
}
