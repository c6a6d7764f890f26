//! Programs that call the API: what they are, and what their tokens are limited to.

use common::is_scope;

/// How long an access token of a program lasts, in seconds.
pub(crate) const TOKEN_SECONDS: i32 = 3_600;
/// How long a secret lasts, in days.
pub(crate) const SECRET_DAYS: i32 = 90;
/// How long the secret before goes on working where nobody says, in minutes.
pub(crate) const DEFAULT_OVERLAP_MINUTES: i32 = 24 * 60;
/// The longest that it may go on, in minutes.
pub(crate) const MAX_OVERLAP_MINUTES: i32 = 7 * 24 * 60;

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The backend of the client-facing app.
    App,
    /// A machine-learning pipeline.
    Pipeline,
    /// One of the services.
    Service,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Pipeline => "pipeline",
            Self::Service => "service",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::App, Self::Pipeline, Self::Service]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A program that is about to be registered.
#[derive(Clone, Debug)]
pub(crate) struct NewProgram {
    pub(crate) client_id: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Empty: all that the kind may.
    pub(crate) scopes: Vec<String>,
}

/// A word that is the scope of some route.
pub(crate) fn scope(word: &str) -> Option<String> {
    is_scope(word).then(|| word.to_owned())
}

/// The scopes of a token for a program that has `own` and asks for these words with spaces between them (RFC 6749, 3.3).
/// Who asks for none gets the own; who is limited to none may ask for any. `None`: some word is none of the program's.
pub(crate) fn granted(own: &[String], asked: Option<&str>) -> Option<Vec<String>> {
    let mut words: Vec<&str> = asked.unwrap_or_default().split(' ').collect();
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        return Some(own.to_vec());
    }
    words.sort_unstable();
    words.dedup();
    let within = |word: &&str| is_scope(word) && (own.is_empty() || own.iter().any(|scope| scope == word));
    words
        .iter()
        .all(within)
        .then(|| words.iter().map(|word| (*word).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_has_a_scope_that_its_program_lacks() {
        let own = ["messages:read".to_owned(), "users:read".to_owned()];
        let one = Some(vec!["users:read".to_owned()]);
        assert_eq!(granted(&own, None), Some(own.to_vec()));
        assert_eq!(granted(&own, Some(" ")), Some(own.to_vec()));
        assert_eq!(granted(&own, Some("users:read users:read")), one);
        assert_eq!(granted(&own, Some("users:read users:write")), None);
        assert_eq!(granted(&own, Some("everything")), None);
    }

    #[test]
    fn a_program_without_scopes_may_limit_its_token_to_any() {
        assert_eq!(granted(&[], None), Some(Vec::new()));
        assert_eq!(
            granted(&[], Some("users:read")),
            Some(vec!["users:read".to_owned()])
        );
        assert_eq!(granted(&[], Some("users:eat")), None);
    }
}
