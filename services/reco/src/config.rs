//! Where the reco service finds its settings.

use service::Variables;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "reco",
    program: "recoverly-reco",
    database_url: "RECOVERLY_RECO_DATABASE_URL",
    listen: "RECOVERLY_RECO_LISTEN",
    port: 8084,
};
