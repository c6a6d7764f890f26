//! What the companion's models say about a reply, in the words of their versions.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Metadata as it came in. Which fields there may be depends on the version.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct AiMetadata {
    pub(crate) ai_core_version: Option<String>,
    pub(crate) persona: Option<String>,
    pub(crate) tone: Option<String>,
    pub(crate) behavior: Option<String>,
    pub(crate) context_type: Option<String>,
    pub(crate) confidence: Option<f64>,
    pub(crate) signal_strength: Option<f64>,
    pub(crate) context_clarity: Option<i16>,
    pub(crate) needs_knowledge: Option<i16>,
    pub(crate) model_name: Option<String>,
    pub(crate) prompt_tokens: Option<i32>,
    pub(crate) completion_tokens: Option<i32>,
    pub(crate) runtime: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) provider_fallback_reason: Option<String>,
    pub(crate) context_snapshot: Option<Value>,
}

/// Versions of the AI core, by what tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Generation {
    /// 1.x: `confidence`.
    One,
    /// 2.0: `tone`, `behavior`.
    Two,
    /// 2.1: `signal_strength`, `context_clarity`, `needs_knowledge` beside those of 2.0.
    TwoOne,
}

impl Generation {
    /// The generation of a version's name, such as `1.4`.
    pub(crate) fn of(version: &str) -> Option<Self> {
        match version {
            "2.0" => Some(Self::Two),
            "2.1" => Some(Self::TwoOne),
            _ => {
                let minor = version.strip_prefix("1.")?;
                let is_number =
                    (1..=3).contains(&minor.len()) && minor.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then_some(Self::One)
            }
        }
    }

    /// What it is called where the sender did not say which of 1.x it was.
    const fn name(self) -> &'static str {
        match self {
            Self::One => "1.0",
            Self::Two => "2.0",
            Self::TwoOne => "2.1",
        }
    }

    const fn has(self, field: &Telling) -> bool {
        match field.from {
            Self::One => matches!(self, Self::One),
            Self::Two => matches!(self, Self::Two | Self::TwoOne),
            Self::TwoOne => matches!(self, Self::TwoOne),
        }
    }
}

/// A field that not all versions have.
struct Telling {
    name: &'static str,
    from: Generation,
    is_given: fn(&AiMetadata) -> bool,
}

const TELLING: [Telling; 6] = [
    Telling {
        name: "confidence",
        from: Generation::One,
        is_given: |ai| ai.confidence.is_some(),
    },
    Telling {
        name: "tone",
        from: Generation::Two,
        is_given: |ai| ai.tone.is_some(),
    },
    Telling {
        name: "behavior",
        from: Generation::Two,
        is_given: |ai| ai.behavior.is_some(),
    },
    Telling {
        name: "signal_strength",
        from: Generation::TwoOne,
        is_given: |ai| ai.signal_strength.is_some(),
    },
    Telling {
        name: "context_clarity",
        from: Generation::TwoOne,
        is_given: |ai| ai.context_clarity.is_some(),
    },
    Telling {
        name: "needs_knowledge",
        from: Generation::TwoOne,
        is_given: |ai| ai.needs_knowledge.is_some(),
    },
];

impl AiMetadata {
    /// Settles the version: the one that is named, else the latest whose fields are there.
    ///
    /// # Errors
    /// The fields that this version does not have.
    pub(crate) fn settle(mut self) -> Result<Self, Vec<&'static str>> {
        let given: Vec<&Telling> = TELLING.iter().filter(|field| (field.is_given)(&self)).collect();
        let named = self.ai_core_version.as_deref().and_then(Generation::of);
        let Some(generation) = named.or(given.iter().map(|field| field.from).max()) else {
            return Ok(self);
        };
        let foreign: Vec<&str> = given
            .iter()
            .filter(|field| !generation.has(field))
            .map(|field| field.name)
            .collect();
        if !foreign.is_empty() {
            return Err(foreign);
        }
        self.ai_core_version
            .get_or_insert_with(|| generation.name().to_owned());
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut AiMetadata)) -> AiMetadata {
        let mut ai = AiMetadata::default();
        change(&mut ai);
        ai
    }

    #[test]
    fn the_fields_tell_the_version_where_nobody_names_it() {
        for (ai, version) in [
            (with(|ai| ai.confidence = Some(0.5)), Some("1.0")),
            (with(|ai| ai.tone = Some("casual".to_owned())), Some("2.0")),
            (with(|ai| ai.needs_knowledge = Some(0)), Some("2.1")),
            (with(|ai| ai.persona = Some("coach".to_owned())), None),
        ] {
            let settled = ai.settle().map(|ai| ai.ai_core_version);
            assert_eq!(settled, Ok(version.map(str::to_owned)));
        }
    }

    #[test]
    fn a_mix_of_versions_names_the_fields_that_do_not_belong() {
        let mixed = with(|ai| {
            ai.confidence = Some(0.5);
            ai.tone = Some("casual".to_owned());
        });
        assert_eq!(mixed.settle().err(), Some(vec!["confidence"]));
        let named = with(|ai| {
            ai.ai_core_version = Some("2.0".to_owned());
            ai.signal_strength = Some(0.5);
            ai.behavior = Some("normal".to_owned());
        });
        assert_eq!(named.settle().err(), Some(vec!["signal_strength"]));
    }

    #[test]
    fn versions_are_1_with_a_minor_number_2_0_and_2_1() {
        for version in ["1.0", "1.12", "2.0", "2.1"] {
            assert!(Generation::of(version).is_some(), "{version}");
        }
        for version in ["1", "1.", "2.2", "1.x", "3.0", "1.1234"] {
            assert!(Generation::of(version).is_none(), "{version}");
        }
    }
}
