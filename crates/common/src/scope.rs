//! Scopes: what a token can be limited to. Each route has one word, made of its method and its path.

/// What the routes of all services are about. A new noun of a path stands here too; `crates/common/tests` hold the list
/// against the OpenAPI documents.
const NOUNS: &[&str] = &[
    "access-log",
    "api-clients",
    "audit-events",
    "auth",
    "break-glass",
    "caseload",
    "collections",
    "consents",
    "contact-methods",
    "contacts",
    "context",
    "crisis-resources",
    "dead-letters",
    "deliveries",
    "disclosures",
    "drift-alerts",
    "embedding-models",
    "escalation-policies",
    "escalations",
    "export",
    "face-embeddings",
    "family-cards",
    "family-consents",
    "feature-sets",
    "feature-snapshots",
    "interactions",
    "me",
    "meetings",
    "memories",
    "messages",
    "metrics",
    "mistakes",
    "models",
    "nudge-templates",
    "nudges",
    "oncall-schedules",
    "operational-warnings",
    "opt-out",
    "outcomes",
    "predictions",
    "preferences",
    "profile",
    "provider-events",
    "risk-policies",
    "risk-profile",
    "risk-profiles",
    "roles",
    "safety-event",
    "screener-answers",
    "search",
    "shift-swaps",
    "stated-preferences",
    "stream",
    "teams",
    "threads",
    "users",
    "voice-events",
];

/// What is done with it.
const READ: &str = "read";
/// As [`READ`].
const WRITE: &str = "write";

/// In front of what belongs to one person: what comes behind is the noun.
const OF_A_USER: &str = "/v1/users/{user_id}/";
/// As [`OF_A_USER`], in the paths of seed 003.
const OF_A_CUSTOMER: &str = "/customers/{user_id}/";
/// In front of everything else.
const VERSION: &str = "/v1/";

/// The scope that a route needs, such as `messages:read` for `GET /v1/users/{user_id}/messages`.
#[must_use]
pub fn scope_of(method: &str, pattern: &str) -> String {
    let verb = if method == "GET" { READ } else { WRITE };
    format!("{}:{verb}", noun_of(pattern))
}

/// What a route is about, such as `messages` for `/v1/users/{user_id}/messages`.
#[must_use]
pub fn noun_of(pattern: &str) -> &str {
    let place = pattern
        .strip_prefix(OF_A_USER)
        .or_else(|| pattern.strip_prefix(OF_A_CUSTOMER))
        .or_else(|| pattern.strip_prefix(VERSION))
        .unwrap_or_else(|| pattern.trim_start_matches('/'));
    place.split(['/', ':']).next().unwrap_or_default()
}

/// Whether a word is the scope of some route.
#[must_use]
pub fn is_scope(word: &str) -> bool {
    word.split_once(':')
        .is_some_and(|(noun, verb)| NOUNS.contains(&noun) && (verb == READ || verb == WRITE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_noun_of_the_path_and_whether_it_is_read() {
        for (method, pattern, scope) in [
            ("GET", "/v1/messages/{message_id}", "messages:read"),
            ("GET", "/v1/users/{user_id}/messages", "messages:read"),
            ("POST", "/v1/messages:lease", "messages:write"),
            ("POST", "/v1/messages/{message_id}/predictions", "messages:write"),
            ("GET", "/v1/users", "users:read"),
            ("PATCH", "/v1/users/{user_id}", "users:write"),
            ("DELETE", "/v1/api-clients/{program_id}", "api-clients:write"),
            ("GET", "/metrics", "metrics:read"),
            ("GET", "/customers/{user_id}/context", "context:read"),
            ("DELETE", "/customers/{user_id}/opt-out", "opt-out:write"),
            ("POST", "/search/face", "search:write"),
        ] {
            assert_eq!(scope_of(method, pattern), scope, "{method} {pattern}");
            assert!(is_scope(scope), "{scope}");
        }
    }

    #[test]
    fn a_word_that_no_route_has_is_no_scope() {
        for word in [
            "",
            "messages",
            "messages:",
            "messages:delete",
            ":read",
            "everything:read",
            "messages:read:x",
        ] {
            assert!(!is_scope(word), "{word}");
        }
    }
}
