//! Typed reading of the environment: the only place in the workspace that looks at it.
//!
//! A service reads all its variables once, at boot. Every fault is collected, so that one failed start names
//! all the variables to mend. Values never appear in an error, because a misplaced password is still a password.
//!
//! ```
//! # use config::{ConfigError, Env};
//! struct Settings {
//!     listen: std::net::SocketAddr,
//!     workers: usize,
//! }
//!
//! fn settings(mut env: Env) -> Result<Settings, ConfigError> {
//!     let listen = env.required("RECOVERLY_LISTEN", "host:port to listen on, such as 127.0.0.1:8082");
//!     let workers = env.within("RECOVERLY_WORKERS", 2, 1..=64, "HTTP worker threads");
//!     env.finish(|| Some(Settings { listen: listen?, workers }))
//! }
//!
//! let error = settings(Env::from_pairs(&[("RECOVERLY_WORKERS", "900")])).err().expect("two faults");
//! assert_eq!(error.faults().len(), 2);
//! ```
#![warn(missing_docs)]

mod error;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

pub use error::{ConfigError, Fault};

/// One variable that the program reads, as `--help` and docs/OPERATIONS list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// What holds where it is not set; `None` where there is nothing to fall back on.
    pub default: Option<String>,
    /// Whether the program refuses to start without it.
    pub required: bool,
    /// What it means, with its unit.
    pub help: &'static str,
}

/// A snapshot of the environment, and what reading it has shown so far.
///
/// Readers that have no default return `None` when they recorded a fault; [`Env::finish`] then reports it.
/// An empty value counts as absent, as in compose files.
#[derive(Debug)]
pub struct Env {
    values: HashMap<String, SecretString>,
    described: Vec<Variable>,
    faults: Vec<Fault>,
}

impl Env {
    /// Takes the environment of this process. Values that are not UTF-8 count as absent.
    pub fn from_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the environment"
        )]
        let utf8 = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::from_values(utf8)
    }

    /// Takes a written environment, for tests.
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self::from_values(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    fn from_values(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let set = pairs.filter(|(_, value)| !value.is_empty());
        Self {
            values: set
                .map(|(name, value)| (name, SecretString::from(value)))
                .collect(),
            described: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads a variable that must be set. `None`: a fault was recorded.
    pub fn required<T: FromStr<Err: Display>>(
        &mut self,
        name: &'static str,
        help: &'static str,
    ) -> Option<T> {
        self.describe(name, None, true, help);
        if !self.values.contains_key(name) {
            self.fault(name, "is not set", help);
        }
        self.parsed(name, help)
    }

    /// Reads a variable that may be absent. `None`: absent, or a fault was recorded.
    pub fn optional<T: FromStr<Err: Display>>(
        &mut self,
        name: &'static str,
        help: &'static str,
    ) -> Option<T> {
        self.describe(name, None, false, help);
        self.parsed(name, help)
    }

    /// Reads a variable that has a default, which also stands in after a recorded fault.
    pub fn or<T: FromStr<Err: Display> + Display>(
        &mut self,
        name: &'static str,
        default: T,
        help: &'static str,
    ) -> T {
        self.describe(name, Some(default.to_string()), false, help);
        self.parsed(name, help).unwrap_or(default)
    }

    /// Reads a number between two bounds, both allowed; the default also stands in after a recorded fault.
    pub fn within<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
        help: &'static str,
    ) -> T
    where
        T: FromStr<Err: Display> + Display + PartialOrd,
    {
        self.describe(name, Some(default.to_string()), false, help);
        match self.parsed::<T>(name, help) {
            Some(value) if range.contains(&value) => value,
            Some(_) => {
                self.fault(
                    name,
                    format!("is outside {} to {}", range.start(), range.end()),
                    help,
                );
                default
            }
            None => default,
        }
    }

    /// Reads a secret of at least `min_bytes` that must be set. `None`: a fault was recorded.
    pub fn secret(
        &mut self,
        name: &'static str,
        min_bytes: usize,
        help: &'static str,
    ) -> Option<SecretString> {
        self.describe(name, None, true, help);
        match self.values.get(name) {
            Some(value) if value.expose_secret().len() >= min_bytes => Some(value.clone()),
            Some(_) => {
                self.fault(name, format!("is shorter than {min_bytes} bytes"), help);
                None
            }
            None => {
                self.fault(name, "is not set", help);
                None
            }
        }
    }

    /// Reads the first of several variables that is set; one of them must be. It is treated as a secret, since such
    /// values are mostly connection URLs with a password. `None`: a fault was recorded.
    pub fn first_of(&mut self, names: &[&'static str], help: &'static str) -> Option<SecretString> {
        for name in names {
            self.describe(name, None, false, help);
        }
        let found = names.iter().find_map(|name| self.values.get(*name)).cloned();
        if let (None, Some(first)) = (&found, names.first()) {
            self.fault(first, format!("none of {} is set", names.join(", ")), help);
        }
        found
    }

    /// Builds the settings if no fault was recorded.
    ///
    /// # Errors
    /// One error that lists every fault by the name of its variable.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, ConfigError> {
        match build() {
            Some(settings) if self.faults.is_empty() => Ok(settings),
            _ => Err(ConfigError::new(self.faults)),
        }
    }

    /// Records a fault that only the caller can see, such as two settings that exclude each other.
    pub fn fault(&mut self, name: &'static str, problem: impl Into<String>, help: &'static str) {
        self.faults.push(Fault {
            name,
            problem: problem.into(),
            help,
        });
    }

    /// Every variable read so far, in reading order.
    pub fn described(&self) -> Vec<Variable> {
        self.described.clone()
    }

    fn describe(&mut self, name: &'static str, default: Option<String>, required: bool, help: &'static str) {
        if !self.described.iter().any(|known| known.name == name) {
            self.described.push(Variable {
                name,
                default,
                required,
                help,
            });
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str, help: &'static str) -> Option<T> {
        match self.values.get(name)?.expose_secret().trim().parse() {
            Ok(value) => Some(value),
            Err(_) => {
                // The parser's own message may quote the value, and a value may be a password set under the wrong name.
                self.fault(name, "cannot be read", help);
                None
            }
        }
    }
}
