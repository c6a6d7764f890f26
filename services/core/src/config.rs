//! Where the core service finds its settings.

use ::config::Env;
use service::Variables;

use crate::clerk::ClerkSettings;

/// What core needs besides the settings of every service.
#[derive(Clone, Debug, Default)]
pub struct OwnSettings {
    /// Clients who have their account at Clerk.
    pub clerk: ClerkSettings,
}

impl OwnSettings {
    /// Reads them from the environment; `None` where a fault was recorded.
    pub fn read(env: &mut Env) -> Option<Self> {
        Some(Self {
            clerk: ClerkSettings::read(env)?,
        })
    }
}

/// The names of its variables.
pub(crate) const VARIABLES: Variables = Variables {
    name: "core",
    program: "recoverly-core",
    database_url: "RECOVERLY_CORE_DATABASE_URL",
    listen: "RECOVERLY_CORE_LISTEN",
    port: 8081,
};
