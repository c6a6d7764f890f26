//! What was wrong with the environment, variable by variable.

use std::fmt;

/// One variable that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The variable's name.
    pub name: &'static str,
    /// What is wrong, without the value.
    pub problem: String,
    /// What to set it to.
    pub help: &'static str,
}

/// All faults of one start. Its `Display` is meant for the terminal: one line a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

impl ConfigError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults in reading order.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment cannot be used:")?;
        for Fault { name, problem, help } in &self.faults {
            write!(f, "\n  {name} {problem}; set it to: {help}")?;
        }
        Ok(())
    }
}
