//! For how long what is kept. Disclosures and the audit have the terms of the law, which nobody sets.

use ::config::Env;
use service::Term;

/// For how many days the core service keeps what.
#[derive(Clone, Debug)]
pub struct TermConfig {
    /// Messages, after they were written; then they are nobody's. Profiles look back 30 days.
    pub message_days: i32,
    /// Transcripts and coaching notes.
    pub transcript_days: i32,
    /// Events of providers and voices.
    pub event_days: i32,
}

impl Default for TermConfig {
    fn default() -> Self {
        Self {
            message_days: 731,
            transcript_days: 731,
            event_days: 365,
        }
    }
}

impl TermConfig {
    /// Reads it from the environment.
    pub(crate) fn read(env: &mut Env) -> Self {
        let default = Self::default();
        Self {
            message_days: env.within(
                "RECOVERLY_MESSAGES_DAYS",
                default.message_days,
                60..=Term::MAX_DAYS,
                "days after which messages are anonymised",
            ),
            transcript_days: env.within(
                "RECOVERLY_TRANSCRIPTS_DAYS",
                default.transcript_days,
                31..=Term::MAX_DAYS,
                "days for which transcripts and coaching notes are kept",
            ),
            event_days: env.within(
                "RECOVERLY_EVENTS_DAYS",
                default.event_days,
                31..=Term::MAX_DAYS,
                "days for which events of providers and voices are kept",
            ),
        }
    }

    /// What of it is deleted, as the job takes it.
    pub(crate) fn terms(&self) -> Vec<Term> {
        let since = |table, days| Term::since(table, "created_at", "true", days);
        vec![
            since("core.transcript_chunks", self.transcript_days),
            Term::of_oldest("core.coaching_notes", "id", "o.created_at", self.transcript_days),
            since("core.provider_events", self.event_days),
            since("core.voice_events", self.event_days),
        ]
    }
}
