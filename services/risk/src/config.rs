//! Where the risk service finds its settings.

use service::Variables;

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "risk",
    program: "recoverly-risk",
    database_url: "RECOVERLY_RISK_DATABASE_URL",
    listen: "RECOVERLY_RISK_LISTEN",
    port: 8083,
};
