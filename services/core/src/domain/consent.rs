//! Consents: for what, to whom, and what shows that the person gave them.

use chrono::{DateTime, Utc};
use common::ConsentPurpose;
use serde_json::Value;

/// The recipient of what stays within the programme.
pub(crate) const PROGRAMME: &str = "programme";

/// A consent as it came in.
#[derive(Clone, Debug)]
pub(crate) struct NewConsent {
    pub(crate) purpose: ConsentPurpose,
    pub(crate) recipient: String,
    /// All that the purpose needs where nothing is said.
    pub(crate) scope: Option<String>,
    /// Until it is revoked where nothing is said.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) evidence: Option<Value>,
}

/// What stands of a consent besides its purpose and recipient.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) scope: Option<String>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) evidence: Option<Value>,
}

impl NewConsent {
    /// Whether it says what stands already. New evidence of an old consent is something else: it would be lost in silence.
    pub(crate) fn repeats(&self, standing: &Terms) -> bool {
        self.scope == standing.scope
            && self.expires_at == standing.expires_at
            && (self.evidence.is_none() || self.evidence == standing.evidence)
    }

    /// Whether there is anything that shows that the person gave it.
    pub(crate) fn is_evident(&self) -> bool {
        let members = self.evidence.as_ref().and_then(Value::as_object);
        members.is_some_and(|members| !members.is_empty())
    }
}

/// To whom a consent goes; what is wrong with the recipient that was named, or with naming none.
pub(crate) fn recipient(purpose: ConsentPurpose, named: Option<String>) -> Result<String, &'static str> {
    match purpose {
        ConsentPurpose::Biometrics | ConsentPurpose::Memory => match named.as_deref() {
            None | Some(PROGRAMME) => Ok(PROGRAMME.to_owned()),
            Some(_) => Err("must be left out: this purpose stays within the programme"),
        },
        ConsentPurpose::Meeting | ConsentPurpose::Research => {
            Ok(named.unwrap_or_else(|| PROGRAMME.to_owned()))
        }
        ConsentPurpose::FamilyShare | ConsentPurpose::EscalationContact => match named {
            Some(named) if named != PROGRAMME => Ok(named),
            Some(_) | None => Err("must name who outside the programme may receive it"),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faces_and_memories_stay_within_the_programme_and_family_is_outside() {
        for (purpose, named, goes_to) in [
            (ConsentPurpose::Biometrics, None, Ok("programme")),
            (ConsentPurpose::Memory, Some("programme"), Ok("programme")),
            (ConsentPurpose::Memory, Some("clinic-1"), Err(())),
            (ConsentPurpose::Meeting, None, Ok("programme")),
            (ConsentPurpose::Research, Some("clinic-1"), Ok("clinic-1")),
            (ConsentPurpose::FamilyShare, Some("contact-1"), Ok("contact-1")),
            (ConsentPurpose::FamilyShare, None, Err(())),
            (ConsentPurpose::EscalationContact, Some("programme"), Err(())),
        ] {
            let found = recipient(purpose, named.map(str::to_owned));
            assert_eq!(
                found.as_deref().map_err(|_| ()),
                goes_to,
                "{purpose} to {named:?}"
            );
        }
    }

    #[test]
    fn the_same_terms_repeat_a_consent_and_other_ones_do_not() {
        let standing = Terms {
            scope: Some("summary_card".to_owned()),
            expires_at: None,
            evidence: Some(json!({"form": 7})),
        };
        let again = NewConsent {
            purpose: ConsentPurpose::FamilyShare,
            recipient: "contact-1".to_owned(),
            scope: standing.scope.clone(),
            expires_at: None,
            evidence: None,
        };
        let with = |change: fn(&mut NewConsent)| {
            let mut changed = again.clone();
            change(&mut changed);
            changed.repeats(&standing)
        };
        assert!(with(|_| ()));
        assert!(with(|same| same.evidence = Some(json!({"form": 7}))));
        assert!(!with(|other| other.evidence = Some(json!({"form": 8}))));
        assert!(!with(|other| other.scope = None));
        assert!(!with(|other| other.expires_at = Some(DateTime::<Utc>::UNIX_EPOCH)));
    }

    #[test]
    fn an_empty_object_shows_nothing() {
        let mut consent = NewConsent {
            purpose: ConsentPurpose::Memory,
            recipient: PROGRAMME.to_owned(),
            scope: None,
            expires_at: None,
            evidence: None,
        };
        assert!(!consent.is_evident());
        consent.evidence = Some(json!({}));
        assert!(!consent.is_evident());
        consent.evidence = Some(json!({"form": 7}));
        assert!(consent.is_evident());
    }
}
