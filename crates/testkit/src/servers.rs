//! Where the test servers are.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use secrecy::SecretString;
use uuid::Uuid;

/// A role's name and its URL on the platform's own database.
pub(crate) type RoleUrls = [(&'static str, SecretString); 6];

/// The URLs of the test stack.
#[derive(Clone, Debug)]
pub struct Servers {
    /// Postgres, as a role that may create roles and databases.
    pub admin_database_url: SecretString,
    /// The platform's roles as the bootstrap made them: `recoverly_owner`, `recoverly_<service>`, each with its URL.
    pub(crate) role_urls: RoleUrls,
    /// RabbitMQ, default vhost.
    pub amqp_url: SecretString,
    /// RabbitMQ's management API with user and password.
    pub amqp_management_url: SecretString,
    /// Redis.
    pub redis_url: SecretString,
}

impl Servers {
    /// From the environment, else from `.dev/test/env`.
    ///
    /// # Panics
    /// When neither names the servers: tests never run without them.
    #[must_use]
    pub fn get() -> &'static Self {
        static SERVERS: OnceLock<Servers> = OnceLock::new();
        SERVERS.get_or_init(|| {
            let named = Self::read(config::Env::from_process());
            let servers = named.or_else(|| {
                let file = std::fs::read_to_string(workspace_root().join(".dev/test/env")).ok()?;
                let pairs: Vec<(&str, &str)> = file.lines().filter_map(|line| line.split_once('=')).collect();
                Self::read(config::Env::from_pairs(&pairs))
            });
            servers.expect("the test servers are not running: run `deploy/dev/stack.sh up test` first")
        })
    }

    fn read(mut env: config::Env) -> Option<Self> {
        let admin_database_url = env.secret(
            "RECOVERLY_ADMIN_DATABASE_URL",
            1,
            "Postgres URL of a role that may create databases",
        );
        let role_urls = roles(&mut env);
        let amqp_url = env.secret("RECOVERLY_AMQP_URL", 1, "RabbitMQ URL");
        let amqp_management_url = env.secret("RECOVERLY_AMQP_MANAGEMENT_URL", 1, "RabbitMQ management URL");
        let redis_url = env.secret("RECOVERLY_REDIS_URL", 1, "Redis URL");
        Some(Self {
            admin_database_url: admin_database_url?,
            role_urls: role_urls?,
            amqp_url: amqp_url?,
            amqp_management_url: amqp_management_url?,
            redis_url: redis_url?,
        })
    }
}

fn roles(env: &mut config::Env) -> Option<RoleUrls> {
    let mut url = |variable| env.secret(variable, 1, "Postgres URL of a role of the platform");
    Some([
        ("recoverly_owner", url("RECOVERLY_OWNER_DATABASE_URL")?),
        ("recoverly_core", url("RECOVERLY_CORE_DATABASE_URL")?),
        ("recoverly_social", url("RECOVERLY_SOCIAL_DATABASE_URL")?),
        ("recoverly_risk", url("RECOVERLY_RISK_DATABASE_URL")?),
        ("recoverly_reco", url("RECOVERLY_RECO_DATABASE_URL")?),
        ("recoverly_causal", url("RECOVERLY_CAUSAL_DATABASE_URL")?),
    ])
}

/// RabbitMQ of another stack profile and its management API, from `.dev/<profile>/env`.
pub(crate) fn rabbitmq_of_profile(profile: &str) -> (SecretString, SecretString) {
    let path = workspace_root().join(".dev").join(profile).join("env");
    let file = std::fs::read_to_string(path).expect("the profile's env file: is it up?");
    let pairs: Vec<(&str, &str)> = file.lines().filter_map(|line| line.split_once('=')).collect();
    let mut env = config::Env::from_pairs(&pairs);
    let amqp = env.secret("RECOVERLY_AMQP_URL", 1, "RabbitMQ URL");
    let management = env.secret("RECOVERLY_AMQP_MANAGEMENT_URL", 1, "RabbitMQ management URL");
    amqp.zip(management).expect("a profile with RabbitMQ")
}

/// A key prefix that no other test uses.
#[must_use]
pub fn redis_prefix() -> String {
    format!("test:{}:", Uuid::now_v7())
}

/// The folder of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}
