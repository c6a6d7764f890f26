//! What readers say about a value, and the list that all of a request's faults end up in.

use crate::problem::{FieldError, Problem};
use crate::value::pointer;

/// Faults reported in one answer; the rest would tell the caller nothing new.
const MAX_FAULTS: usize = 5_000;

/// Why one value was refused. The detail says what it must be and never repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(crate) detail: String,
    pub(crate) too_large: bool,
}

impl Fault {
    /// A value that is not valid (422).
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            too_large: false,
        }
    }

    /// A value over a size limit, which makes the answer a 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            too_large: true,
        }
    }
}

impl From<String> for Fault {
    fn from(detail: String) -> Self {
        Self::new(detail)
    }
}

impl From<&str> for Fault {
    fn from(detail: &str) -> Self {
        Self::new(detail)
    }
}

/// All faults of a body or a query, or of one item of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    errors: Vec<FieldError>,
    too_large: Option<String>,
}

impl Faults {
    /// Records one fault.
    pub(crate) fn add(&mut self, base: &str, field: &str, fault: Fault) {
        self.add_at(pointer(base, field), fault);
    }

    pub(crate) fn add_at(&mut self, pointer: String, fault: Fault) {
        if fault.too_large && self.too_large.is_none() {
            self.too_large = Some(fault.detail.clone());
        }
        if self.errors.len() < MAX_FAULTS {
            self.errors.push(FieldError {
                pointer,
                detail: fault.detail,
            });
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.too_large = self.too_large.take().or(other.too_large);
        let room = MAX_FAULTS.saturating_sub(self.errors.len());
        self.errors.extend(other.errors.into_iter().take(room));
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The faults in the order of reading.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}

impl From<Faults> for Problem {
    /// 413 where a size limit was passed, else 422; both list every fault.
    fn from(faults: Faults) -> Self {
        match faults.too_large {
            Some(detail) => Self::too_large(detail).with_errors(faults.errors),
            None => Self::invalid(faults.errors),
        }
    }
}
