//! What a counselor thinks of a prediction.

use common::ModelRiskLevel;

/// They agree, or say which level they would have given, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// With what they add, if anything.
    Accept(Option<String>),
    /// With the reason.
    Override(ModelRiskLevel, String),
}

impl Decision {
    /// The word for it, as it is stored and told.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Accept(_) => "accept",
            Self::Override(..) => "override",
        }
    }

    /// The level they would have given, where it is another one.
    pub(crate) const fn level(&self) -> Option<ModelRiskLevel> {
        match self {
            Self::Accept(_) => None,
            Self::Override(level, _) => Some(*level),
        }
    }

    /// Why.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Accept(reason) => reason.as_deref(),
            Self::Override(_, reason) => Some(reason),
        }
    }
}
