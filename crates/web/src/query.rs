//! Query strings, as strict as bodies: unknown, repeated and malformed parameters are refused by name.

use std::future::{Ready, ready};
use std::ops::RangeInclusive;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::fault::{Fault, Faults};
use crate::problem::Problem;
use crate::value::Value;

/// A type that can be read from a query string. As with [`Read`](crate::Read), read every parameter first and build
/// the value last.
pub trait ReadQuery: Sized {
    /// Reads the parameters. `None` if and only if a fault was recorded.
    fn read(params: &mut Params) -> Option<Self>;
}

/// The query of a request, read as `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: ReadQuery> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            Params::read(request.query_string())
                .map(Self)
                .map_err(Problem::from),
        )
    }
}

/// The parameters of a query string while they are read.
#[derive(Debug)]
pub struct Params {
    pairs: Vec<(String, Value)>,
    known: Vec<&'static str>,
    faults: Faults,
}

impl Params {
    /// Reads a whole query string as `T`.
    ///
    /// # Errors
    /// Every fault, with pointers of the form `?name`.
    pub fn read<T: ReadQuery>(query: &str) -> Result<T, Faults> {
        let parsed = actix_web::web::Query::<Vec<(String, String)>>::from_query(query);
        let pairs = parsed.map(actix_web::web::Query::into_inner).unwrap_or_default();
        let pairs = pairs
            .into_iter()
            .map(|(name, text)| (name, Value::Text(text)))
            .collect();
        let mut params = Self {
            pairs,
            known: Vec::new(),
            faults: Faults::default(),
        };
        let read = T::read(&mut params);
        params.refuse_unknown_and_repeated();
        match read {
            Some(value) if params.faults.is_empty() => Ok(value),
            _ => Err(params.faults),
        }
    }

    /// A parameter that may be absent. The readers are those of [`crate::read`] that take text.
    pub fn optional<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        reader: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<Option<T>> {
        self.known.push(name);
        let Some((_, value)) = self.pairs.iter().find(|(given, _)| given == name) else {
            return Some(None);
        };
        match reader(value) {
            Ok(read) => Some(Some(read)),
            Err(error) => {
                self.fault(name, error.into());
                None
            }
        }
    }

    /// A parameter that must be there.
    pub fn required<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        reader: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<T> {
        let read = self.optional(name, reader)?;
        if read.is_none() {
            self.fault(name, Fault::new("is required"));
        }
        read
    }

    /// A whole number between two bounds, both allowed.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<Option<i64>> {
        self.optional(name, |value| {
            // Rust also reads "+5"; in a query that is a space and a 5 to most readers.
            let digits = value.as_text().filter(|text| !text.starts_with('+'));
            let number = digits.and_then(|text| text.parse().ok());
            let inside = number.filter(|number| range.contains(number));
            inside.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// `true` or `false`; absent means `false`.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let read = self.optional(name, |value| match value.as_text() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => Err("must be true or false"),
        });
        read.map(Option::unwrap_or_default)
    }

    /// Records a fault that only several parameters together show.
    pub fn fault(&mut self, name: &str, fault: impl Into<Fault>) {
        self.faults.add_at(format!("?{name}"), fault.into());
    }

    /// All parameters but these, in one form for every order they may be given in.
    pub(crate) fn without(&self, left_out: &[&str]) -> String {
        let texts = self
            .pairs
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_text()?)));
        let mut kept: Vec<(&str, &str)> = texts.filter(|(name, _)| !left_out.contains(name)).collect();
        kept.sort_unstable();
        serde_json::json!(kept).to_string()
    }

    fn refuse_unknown_and_repeated(&mut self) {
        let known = std::mem::take(&mut self.known);
        let pairs = std::mem::take(&mut self.pairs);
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                self.fault(name, format!("is unknown; known are: {}", known.join(", ")));
            } else if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
                self.fault(name, "is given twice");
            }
        }
    }
}

/// The query of a route that takes no parameters.
impl ReadQuery for () {
    fn read(_: &mut Params) -> Option<Self> {
        Some(())
    }
}
