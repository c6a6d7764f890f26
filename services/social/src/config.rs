//! Where the social service finds its settings.

use service::Variables;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "social",
    program: "recoverly-social",
    database_url: "RECOVERLY_SOCIAL_DATABASE_URL",
    listen: "RECOVERLY_SOCIAL_LISTEN",
    port: 8082,
};
