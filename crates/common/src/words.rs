//! The closed vocabularies that several services share: each has one spelling in code, API, events and database.

use serde::{Deserialize, Serialize};

/// A word that is not in the vocabulary it was read for; holds the words that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord(pub &'static [&'static str]);

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "must be one of {}", self.0.join(", "))
    }
}

impl std::error::Error for UnknownWord {}

/// Gives an enumeration of words its `WORDS`, `as_str` and `FromStr`; the spelling stands once, beside the variant.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as API, events and database spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(Self::WORDS)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A client's current risk, most urgent first.
    RiskLabel {
        /// Somebody should answer within two hours.
        High = "HIGH_RISK",
        /// Somebody should answer within a day.
        Moderate = "MODERATE_RISK",
        /// Not at risk by score, but withdrawing.
        IsolationOnly = "ISOLATION_ONLY",
        /// No data in the last 30 days; not the same as low risk.
        Unknown = "UNKNOWN",
        /// There is data, and no rule holds.
        Low = "LOW_RISK",
    }
}

words! {
    /// Where a score is heading.
    Trend {
        /// Falling by more than the margin.
        Improving = "improving",
        /// Neither, or too little data.
        Stable = "stable",
        /// Rising by more than the margin.
        Declining = "declining",
        /// A very high score within the last two days.
        RapidDecline = "rapid_decline",
    }
}

words! {
    /// How soon an escalation or a label wants an answer, most urgent last.
    Urgency {
        /// Within a week.
        Low = "low",
        /// Within two days.
        Medium = "medium",
        /// Within a day.
        High = "high",
        /// Within two hours.
        Critical = "critical",
    }
}

words! {
    /// In what kind of conversation a message was written.
    ConversationType {
        /// With a peer.
        Buddy = "buddy",
        /// With a counselor.
        Counselor = "counselor",
        /// In a group.
        Group = "group",
        /// With family.
        Family = "family",
        /// With the companion.
        Assistant = "assistant",
    }
}

words! {
    /// Who wrote a message; only the user's own are scored.
    SenderRole {
        /// The client.
        User = "user",
        /// The companion.
        Assistant = "assistant",
        /// A staff member.
        Staff = "staff",
    }
}

words! {
    /// The level a risk model gives a client, least first.
    ModelRiskLevel {
        /// Below the first threshold.
        Low = "LOW",
        /// Above the first.
        Moderate = "MODERATE",
        /// Above the second: a reason on the caseload list.
        High = "HIGH",
        /// Above the third: a live model escalates.
        VeryHigh = "VERY_HIGH",
    }
}

words! {
    /// What a version of a model may do.
    ModelStage {
        /// It is listened to and measured, and acts on nobody.
        Shadow = "shadow",
        /// Its levels count, and page. Of each model one version is.
        Live = "live",
        /// It says nothing any more, for good.
        Retired = "retired",
    }
}

words! {
    /// What changed the level of a client by live models.
    LevelCause {
        /// A prediction that was live when it came: its own event tells of it as well.
        Prediction = "prediction",
        /// A version became live or is so no longer: no event tells of the prediction as a live one.
        Stage = "stage",
        /// The horizon of a prediction ended.
        Time = "time",
    }
}

words! {
    /// Why staff must answer.
    EscalationType {
        /// The client's profile is high-risk.
        ProfileRisk = "profile_risk",
        /// A live risk model says the risk is very high.
        ModelRisk = "model_risk",
        /// A message is a crisis.
        Safety = "safety",
        /// A person raised it.
        Manual = "manual",
        /// Expected contact did not come.
        Silence = "silence",
        /// A rehearsal.
        Drill = "drill",
    }
}

words! {
    /// Where an escalation stands; the first three are open.
    EscalationStatus {
        /// Nobody was told yet.
        Pending = "pending",
        /// Staff were told.
        Notified = "notified",
        /// Somebody took it.
        Acknowledged = "acknowledged",
        /// It ended with an outcome.
        Resolved = "resolved",
        /// It ended without one.
        Cancelled = "cancelled",
    }
}

words! {
    /// What came of a contact with a client.
    ContactOutcome {
        /// They spoke.
        Spoke = "spoke",
        /// A message was left.
        LeftMessage = "left_message",
        /// Nobody answered.
        Unreachable = "unreachable",
        /// Emergency services were called.
        EmergencyServices = "emergency_services",
        /// There was no crisis.
        FalseAlarm = "false_alarm",
    }
}

words! {
    /// Where a meeting stands; the first three are open.
    MeetingStatus {
        /// It is in question.
        Proposed = "proposed",
        /// Its time is kept for the counselor.
        Scheduled = "scheduled",
        /// Client and counselor will come.
        Confirmed = "confirmed",
        /// It took place.
        Completed = "completed",
        /// The client did not come.
        NoShow = "no_show",
        /// It does not take place.
        Cancelled = "cancelled",
    }
}

words! {
    /// What a client consents to.
    ConsentPurpose {
        /// Faces are stored and searched.
        Biometrics = "biometrics",
        /// Family is told.
        FamilyShare = "family_share",
        /// Somebody is met.
        Meeting = "meeting",
        /// What was said is remembered, and searched.
        Memory = "memory",
        /// Data goes into research.
        Research = "research",
        /// Somebody outside is called in a crisis.
        EscalationContact = "escalation_contact",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_back_as_itself() {
        for word in RiskLabel::WORDS {
            assert_eq!(word.parse::<RiskLabel>().map(RiskLabel::as_str), Ok(*word));
        }
    }

    #[test]
    fn another_word_is_refused_with_the_words_that_are_allowed() {
        let error = "sms".parse::<ConversationType>().map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("must be one of buddy, counselor, group, family, assistant".into())
        );
    }
}
