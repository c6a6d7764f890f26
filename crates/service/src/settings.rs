//! The settings that every service reads.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use config::Env;
use secrecy::SecretString;
use telemetry::LogFormat;
use web::{RateSettings, ServerSettings};

/// Cursors and other signatures need a key of at least as many bytes as their hash.
const MIN_KEY_BYTES: usize = 32;

/// Names under which a service finds its database, its own first.
#[derive(Clone, Copy, Debug)]
pub struct Variables {
    /// The service and its schema.
    pub name: &'static str,
    /// The binary: `recoverly-<name>`.
    pub program: &'static str,
    /// `RECOVERLY_<SERVICE>_DATABASE_URL`.
    pub database_url: &'static str,
    /// `RECOVERLY_<SERVICE>_LISTEN`.
    pub listen: &'static str,
    /// The port it listens on by default, on the loopback address.
    pub port: u16,
}

/// What every service needs to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The service and its schema.
    pub name: &'static str,
    /// Its pools.
    pub database: db::Settings,
    /// RabbitMQ.
    pub amqp_url: SecretString,
    /// Signs cursors; the same for all replicas.
    pub cursor_key: SecretString,
    /// By it people who were erased are known; the same for all services, and kept outside the database.
    pub erasure_key: SecretString,
    /// How it listens.
    pub server: ServerSettings,
    /// How it logs and traces.
    pub telemetry: telemetry::Settings,
    /// The schema version that the code was built with; with less the service is not ready.
    pub schema_version_min: i64,
    /// Whether consumer, relay and jobs run by themselves; tests step them by hand.
    pub background: bool,
}

impl Settings {
    /// Reads them from the environment; `None` where a fault was recorded.
    pub fn read(env: &mut Env, variables: Variables) -> Option<Self> {
        let url = env.first_of(
            &[variables.database_url, "RECOVERLY_DATABASE_URL"],
            "Postgres URL of the service's login role",
        );
        let people = env.within(
            "RECOVERLY_PEOPLE_CONNECTIONS",
            8,
            1..=200,
            "connections for people's requests",
        );
        let workers = env.within(
            "RECOVERLY_WORKER_CONNECTIONS",
            8,
            3..=200,
            "connections for pipelines and jobs",
        );
        let amqp_url = env.secret(
            "RECOVERLY_AMQP_URL",
            1,
            "RabbitMQ URL, amqp:// or amqps://, with vhost",
        );
        let cursor_key = env.secret(
            "RECOVERLY_CURSOR_KEY",
            MIN_KEY_BYTES,
            "key that signs list cursors, 32 bytes or more",
        );
        let erasure_key = Self::read_erasure_key(env);
        let default_listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), variables.port);
        let listen = env.or(variables.listen, default_listen, "host:port that serves the API");
        let metrics = env.optional(
            "RECOVERLY_METRICS_LISTEN",
            "private host:port that serves /metrics without a token",
        );
        let threads = env.within("RECOVERLY_WORKERS", 2, 1..=64, "HTTP worker threads");
        let drain = env.within(
            "RECOVERLY_DRAIN_PAUSE_MILLISECONDS",
            1_000,
            0..=60_000,
            "milliseconds between unready and closing",
        );
        let telemetry = telemetry_settings(env, variables.name);
        let server = ServerSettings {
            metrics_listen: metrics,
            workers: threads,
            drain_pause: Duration::from_millis(drain),
            rate: rate_settings(env),
            ..ServerSettings::new(listen)
        };
        Some(Self {
            name: variables.name,
            database: db::Settings {
                url: url?,
                schema: variables.name,
                people_connections_max: people,
                server_threads: threads,
                worker_connections_max: workers,
                session_parameters: Vec::new(),
            },
            amqp_url: amqp_url?,
            cursor_key: cursor_key?,
            erasure_key: erasure_key?,
            server,
            telemetry,
            schema_version_min: 0,
            background: true,
        })
    }

    /// Reads the key of the erasures alone, for a command that needs it; `None` where a fault was recorded.
    pub fn read_erasure_key(env: &mut Env) -> Option<SecretString> {
        env.secret(
            "RECOVERLY_ERASURE_KEY",
            MIN_KEY_BYTES,
            "key by which erased people are known, 32 bytes or more, the same for all services",
        )
    }

    /// For tests: a free port, nothing runs by itself, and stopping does not pause.
    #[must_use]
    pub fn for_testing(name: &'static str, database_url: SecretString, amqp_url: SecretString) -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            name,
            database: db::Settings {
                url: database_url,
                schema: name,
                people_connections_max: 4,
                server_threads: 1,
                worker_connections_max: 6,
                session_parameters: Vec::new(),
            },
            amqp_url,
            cursor_key: SecretString::from("a key of tests, thirty-two bytes and more"),
            erasure_key: SecretString::from("another key of tests, as long as the first"),
            server: ServerSettings {
                drain_pause: Duration::ZERO,
                ..ServerSettings::new(listen)
            },
            telemetry: telemetry::Settings {
                service: name,
                log_filter: "warn".to_owned(),
                log_format: LogFormat::Pretty,
                otlp_endpoint: None,
            },
            schema_version_min: 0,
            background: false,
        }
    }
}

/// More than any machine answers, in requests a second: a load test raises a limit to it and meets none.
const MAX_RATE_PER_SECOND: NonZeroU32 = match NonZeroU32::new(1_000_000) {
    Some(rate) => rate,
    None => NonZeroU32::MAX,
};

fn rate_settings(env: &mut Env) -> RateSettings {
    let defaults = RateSettings::default();
    let mut rate =
        |name, default, help| env.within(name, default, NonZeroU32::MIN..=MAX_RATE_PER_SECOND, help);
    RateSettings {
        person_per_second: rate(
            "RECOVERLY_RATE_PER_PERSON",
            defaults.person_per_second,
            "requests a second of a client or a member of staff",
        ),
        machine_per_second: rate(
            "RECOVERLY_RATE_PER_PROGRAM",
            defaults.machine_per_second,
            "requests a second of an app, a pipeline or a service",
        ),
        address_per_second: rate(
            "RECOVERLY_RATE_PER_ADDRESS",
            defaults.address_per_second,
            "requests a second of an address, without a good token",
        ),
        behind_gateway: env.or(
            "RECOVERLY_BEHIND_GATEWAY",
            defaults.behind_gateway,
            "true where only a gateway reaches the port; the last hop of its X-Forwarded-For is believed",
        ),
    }
}

fn telemetry_settings(env: &mut Env, service: &'static str) -> telemetry::Settings {
    telemetry::Settings {
        service,
        log_filter: env.or(
            "RECOVERLY_LOG",
            "info".to_owned(),
            "which events are logged, such as info,bus=debug",
        ),
        log_format: env.or("RECOVERLY_LOG_FORMAT", LogFormat::Json, "json or pretty"),
        otlp_endpoint: env.optional(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTLP collector over HTTP, such as http://127.0.0.1:4318",
        ),
    }
}
