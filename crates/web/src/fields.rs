//! Reading a JSON object into a request type, field by field, and reporting everything that is wrong with it at once.

use std::ops::RangeInclusive;

use crate::fault::{Fault, Faults};
use crate::problem::Problem;
use crate::value::{Value, pointer};

/// A request type that can be read from a JSON object.
///
/// Read every field first and build the value last, so that one answer names all faults:
///
/// ```
/// use web::{Fields, Read, read};
///
/// struct Note {
///     text: String,
///     pinned: Option<bool>,
/// }
///
/// impl Read for Note {
///     fn read(fields: &mut Fields<'_>) -> Option<Self> {
///         let text = fields.required("text", read::text(1..=500));
///         let pinned = fields.optional("pinned", read::boolean);
///         Some(Self { text: text?, pinned: pinned? })
///     }
/// }
/// ```
pub trait Read: Sized {
    /// The largest body of this type, decoded, in bytes.
    const MAX_BODY_BYTES: usize = 256 * 1024;

    /// Whether a request without any body counts as `{}`.
    const MAY_BE_ABSENT: bool = false;

    /// Reads the fields. `None` if and only if a fault was recorded.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The body of a route that takes none: absent or `{}`.
impl Read for () {
    const MAX_BODY_BYTES: usize = 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(())
    }
}

/// What a batch holds at one place: the item, or everything that is wrong with it.
pub type Item<T> = Result<T, Faults>;

/// The members of one JSON object while they are read.
///
/// Every reading method takes a reader, a function from a [`Value`] to the wanted type or to a [`Fault`] (a `String`
/// will do); [`crate::read`] has the common ones. `None` always means that a fault was recorded.
#[derive(Debug)]
pub struct Fields<'v> {
    members: &'v [(String, Value)],
    at: String,
    known: Vec<&'static str>,
    faults: Faults,
}

impl<'v> Fields<'v> {
    /// Reads a whole value as `T`; `at` is the JSON pointer of the value, empty for the document.
    ///
    /// # Errors
    /// Every fault of the value and of what it holds, also unknown fields.
    pub fn read<T: Read>(value: &'v Value, at: String) -> Result<T, Faults> {
        let Value::Object(members) = value else {
            let mut faults = Faults::default();
            faults.add_at(at, Fault::new(format!("must be an object, not {}", value.kind())));
            return Err(faults);
        };
        let mut fields = Self {
            members,
            at,
            known: Vec::new(),
            faults: Faults::default(),
        };
        let read = T::read(&mut fields);
        fields.refuse_unknown();
        match read {
            Some(value) if fields.faults.is_empty() => Ok(value),
            _ => Err(fields.faults),
        }
    }

    /// A field that must be there and not null.
    pub fn required<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        reader: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<T> {
        let Some(value) = self.take(name) else {
            self.faults.add(&self.at, name, Fault::new("is required"));
            return None;
        };
        self.reading(name, value, reader)
    }

    /// A field that may be absent or null: `Some(None)`.
    pub fn optional<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        reader: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.reading(name, value, reader).map(Some),
        }
    }

    /// A field of a `PATCH`: absent leaves the stored value alone (`Some(None)`), null clears it (`Some(Some(None))`).
    pub fn change<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        reader: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<Option<Option<T>>> {
        match self.take(name) {
            None => Some(None),
            Some(Value::Null) => Some(Some(None)),
            Some(value) => self.reading(name, value, reader).map(|read| Some(Some(read))),
        }
    }

    /// An object of another request type that must be there.
    pub fn nested<T: Read>(&mut self, name: &'static str) -> Option<T> {
        let Some(value) = self.take(name) else {
            self.faults.add(&self.at, name, Fault::new("is required"));
            return None;
        };
        self.object(name, value)
    }

    /// An object of another request type that may be absent or null.
    pub fn optional_nested<T: Read>(&mut self, name: &'static str) -> Option<Option<T>> {
        match self.take(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.object(name, value).map(Some),
        }
    }

    /// An array of plain values; the faults of all of them are recorded.
    pub fn list<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        lengths: RangeInclusive<usize>,
        reader: impl Fn(&Value) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let values = self.array(name, lengths)?;
        let at = pointer(&self.at, name);
        let read = values.iter().enumerate().map(|(index, value)| {
            let fault = |error: E| self.faults.add(&at, &index.to_string(), error.into());
            reader(value).map_err(fault).ok()
        });
        // Not `collect::<Option<_>>`, which would stop at the first fault.
        let read: Vec<Option<T>> = read.collect();
        read.into_iter().collect()
    }

    /// An array of objects, each read on its own, so that the caller may use the good ones of a batch. More items than
    /// allowed is a 413. [`all`] turns the result into all or nothing.
    pub fn items<T: Read>(
        &mut self,
        name: &'static str,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<Item<T>>> {
        let values = self.array(name, lengths)?;
        let at = pointer(&self.at, name);
        Some(
            values
                .iter()
                .enumerate()
                .map(|(index, value)| Fields::read(value, format!("{at}/{index}")))
                .collect(),
        )
    }

    /// An array of objects that must all be good; the faults of all of them are recorded.
    pub fn nested_list<T: Read>(
        &mut self,
        name: &'static str,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        match gather(self.items(name, lengths)?) {
            Ok(items) => Some(items),
            Err(faults) => {
                self.faults.append(faults);
                None
            }
        }
    }

    /// As [`Self::nested_list`], of an array that may be absent or null: it then holds nothing.
    pub fn optional_nested_list<T: Read>(
        &mut self,
        name: &'static str,
        lengths: RangeInclusive<usize>,
    ) -> Option<Vec<T>> {
        match self.take(name) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(_) => self.nested_list(name, lengths),
        }
    }

    /// Records a fault that only several fields together show.
    pub fn fault(&mut self, name: &str, fault: impl Into<Fault>) {
        self.faults.add(&self.at, name, fault.into());
    }

    fn array(&mut self, name: &'static str, lengths: RangeInclusive<usize>) -> Option<&'v [Value]> {
        let (min, max) = (*lengths.start(), *lengths.end());
        let fault = match self.take(name) {
            Some(Value::Array(values)) if lengths.contains(&values.len()) => return Some(values),
            Some(Value::Array(values)) if values.len() > max => {
                Fault::too_large(format!("holds more than {max} items"))
            }
            Some(Value::Array(_)) => Fault::new(format!("must hold at least {min} items")),
            Some(other) => Fault::new(format!("must be an array, not {}", other.kind())),
            None => Fault::new("is required"),
        };
        self.faults.add(&self.at, name, fault);
        None
    }

    fn object<T: Read>(&mut self, name: &'static str, value: &Value) -> Option<T> {
        match Fields::read(value, pointer(&self.at, name)) {
            Ok(read) => Some(read),
            Err(faults) => {
                self.faults.append(faults);
                None
            }
        }
    }

    fn reading<T, E: Into<Fault>>(
        &mut self,
        name: &'static str,
        value: &Value,
        reader: impl FnOnce(&Value) -> Result<T, E>,
    ) -> Option<T> {
        match reader(value) {
            Ok(read) => Some(read),
            Err(error) => {
                self.faults.add(&self.at, name, error.into());
                None
            }
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.push(name);
        self.members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value)
    }

    fn refuse_unknown(&mut self) {
        let (members, known) = (self.members, std::mem::take(&mut self.known));
        let unknown = members.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        for (name, _) in unknown {
            self.faults.add(
                &self.at,
                name,
                Fault::new(format!("is unknown; known are: {}", known.join(", "))),
            );
        }
    }
}

/// All items of a batch, or the refusal that names the faults of every bad one.
///
/// # Errors
/// 422 with every fault, or 413 where a value was over a size limit.
pub fn all<T>(items: Vec<Item<T>>) -> Result<Vec<T>, Problem> {
    gather(items).map_err(Problem::from)
}

fn gather<T>(items: Vec<Item<T>>) -> Result<Vec<T>, Faults> {
    let mut good = Vec::with_capacity(items.len());
    let mut faults = Faults::default();
    for item in items {
        match item {
            Ok(item) => good.push(item),
            Err(of_item) => faults.append(of_item),
        }
    }
    if faults.is_empty() { Ok(good) } else { Err(faults) }
}
