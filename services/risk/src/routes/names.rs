//! Names in paths and queries. What cannot be a name names nothing: a 404, as with every other that is not there.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, de};
use web::{Fault, Value, read};

use crate::domain::name::{A_NAME, name};

/// A model, a version or a feature set.
#[derive(Clone, Debug)]
pub(super) struct Name(String);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        name(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("not a name"))
    }
}

/// A name in a body or a query.
pub(super) fn a_name(value: &Value) -> Result<String, Fault> {
    read::parsed(name, A_NAME)(value)
}

/// The member of staff behind what identifies a caller, where it is one.
pub(super) fn staff(identity: &str) -> Option<String> {
    identity.strip_prefix("staff:").map(str::to_owned)
}
