//! JSON as we accept it: stricter than the grammar, because a duplicate name or a silent `Infinity` is a bug that
//! somebody else will have to find.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::Problem;

/// How deeply objects and arrays may nest.
pub const MAX_DEPTH: usize = 32;

/// A parsed JSON value. Objects keep their order; their names are unique.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number written without fraction and exponent that fits 64 bits and is negative.
    Negative(i64),
    /// A number written without fraction and exponent that fits 64 bits and is not negative.
    Natural(u64),
    /// Any other number; always finite.
    Real(f64),
    /// A string, which may hold any character, also U+0000.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Parses one JSON document.
    ///
    /// # Errors
    /// 400 for what is not JSON, bytes that are not UTF-8, lone surrogates, repeated names and nesting deeper than
    /// [`MAX_DEPTH`]; 422 for numbers that no number can hold (`NaN`, `Infinity`, `1e999`), naming their place.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.is_empty() {
            return Err(Problem::malformed_body("The body is empty."));
        }
        let path = RefCell::new(Vec::new());
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let parsed = Node {
            path: &path,
            depth: 0,
        }
        .deserialize(&mut json);
        parsed
            .and_then(|value| json.end().map(|()| value))
            .map_err(|error| refusal(&error, bytes, &path.into_inner()))
    }

    /// What the value is, for messages such as "must be text, not a number".
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Negative(_) | Self::Natural(_) | Self::Real(_) => "a number",
            Self::Text(_) => "text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The same value for `jsonb` columns and answers.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            Self::Negative(value) => (*value).into(),
            Self::Natural(value) => (*value).into(),
            Self::Real(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::Array(values) => values.iter().map(Self::to_json).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect(),
        }
    }
}

/// Appends one reference token to a JSON pointer (RFC 6901).
#[must_use]
pub fn pointer(base: &str, token: &str) -> String {
    format!("{base}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// Serde says where parsing stopped; whether that was a number out of this world decides between 400 and 422.
fn refusal(error: &serde_json::Error, bytes: &[u8], path: &[String]) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    let line = bytes
        .split(|byte| *byte == b'\n')
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    if is_number_beyond_json(token_at(line, error.column().saturating_sub(1))) {
        let at = path
            .iter()
            .rev()
            .fold(String::new(), |base, token| pointer(&base, token));
        return Problem::invalid_field(at, "must be a finite number");
    }
    // Serde's own messages may quote the input, so only ours and the place are passed on.
    let what = match error.classify() {
        serde_json::error::Category::Eof => "It ends too early",
        serde_json::error::Category::Data => DATA_FAULTS
            .into_iter()
            .find(|fault| error.to_string().starts_with(fault))
            .unwrap_or("It cannot be read"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "It is not JSON",
    };
    Problem::malformed_body(format!("{what}, at {place}."))
}

const REPEATED_NAME: &str = "A name is repeated in an object";
const TOO_DEEP: &str = "It is nested too deeply";
const DATA_FAULTS: [&str; 2] = [REPEATED_NAME, TOO_DEEP];

/// The bytes around an offset up to the next JSON delimiter on both sides.
fn token_at(line: &[u8], offset: usize) -> &[u8] {
    let is_delimiter = |byte: &u8| byte.is_ascii_whitespace() || b",:[]{}\"".contains(byte);
    let (before, after) = line.split_at(offset.min(line.len()));
    let start = before.iter().rposition(is_delimiter).map_or(0, |at| at + 1);
    let end = after
        .iter()
        .position(is_delimiter)
        .map_or(line.len(), |at| offset + at);
    line.get(start..end).unwrap_or_default()
}

fn is_number_beyond_json(token: &[u8]) -> bool {
    let unsigned = token.strip_prefix(b"-").unwrap_or(token);
    let starts_as_number = unsigned.first().is_some_and(u8::is_ascii_digit);
    let overflows = || {
        std::str::from_utf8(token)
            .ok()?
            .parse::<f64>()
            .ok()
            .map(f64::is_infinite)
    };
    matches!(unsigned, b"NaN" | b"Infinity") || (starts_as_number && overflows() == Some(true))
}

/// Reads one value, knowing how deep it stands. When reading fails, the way back up notes the path to the failure.
#[derive(Clone, Copy)]
struct Node<'p> {
    path: &'p RefCell<Vec<String>>,
    depth: usize,
}

impl Node<'_> {
    fn child<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            Err(E::custom(TOO_DEEP))
        } else {
            Ok(Self { depth, ..self })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Negative(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Natural(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let child = self.child()?;
        let mut values = Vec::new();
        let failed_at = |index: usize| self.path.borrow_mut().push(index.to_string());
        while let Some(value) = array
            .next_element_seed(child)
            .inspect_err(|_| failed_at(values.len()))?
        {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let child = self.child()?;
        let mut members = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object
                .next_value_seed(child)
                .inspect_err(|_| self.path.borrow_mut().push(name.clone()))?;
            members.push((name, value));
        }
        if has_repeated_name(&members) {
            return Err(A::Error::custom(REPEATED_NAME));
        }
        Ok(Value::Object(members))
    }
}

/// Compares pairwise where that is fastest; a hostile object of many names must not cost their square.
fn has_repeated_name(members: &[(String, Value)]) -> bool {
    const FEW: usize = 16;
    if members.len() > FEW {
        let distinct: HashSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        return distinct.len() < members.len();
    }
    let mut rest = members;
    while let [(name, _), later @ ..] = rest {
        if later.iter().any(|(other, _)| other == name) {
            return true;
        }
        rest = later;
    }
    false
}
