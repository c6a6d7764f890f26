//! Where the core service finds its settings.

use service::Variables;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "core",
    program: "recoverly-core",
    database_url: "RECOVERLY_CORE_DATABASE_URL",
    listen: "RECOVERLY_CORE_LISTEN",
    port: 8081,
};
