//! Where the causal service finds its settings.

use service::Variables;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "causal",
    program: "recoverly-causal",
    database_url: "RECOVERLY_CAUSAL_DATABASE_URL",
    listen: "RECOVERLY_CAUSAL_LISTEN",
    port: 8085,
};
