//! The HTTP server of a service: one application per worker thread, the same frame around every route, and a stop that
//! finishes what it began.

mod application;
mod dead_letters;
mod document;
mod fallback;
mod frame;
mod platform;
mod readiness;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer};
use db::Db;
use telemetry::Metrics;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::audit::Auditor;
use crate::auth::Tokens;
use crate::erasure::ErasureKey;
use crate::page::CursorKey;
use crate::rate::RateSettings;

use application::Application;

pub use document::{About, openapi};
pub use readiness::Readiness;

/// How a server listens and what it bounds.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where the routes are served; port 0 takes any free one.
    pub listen: SocketAddr,
    /// A private address that serves `/metrics` without a token.
    pub metrics_listen: Option<SocketAddr>,
    /// Worker threads, each with an application of its own.
    pub workers: usize,
    /// Open connections of one worker.
    pub max_connections: usize,
    /// How long an idle connection stays open, also one that was opened ahead and has asked nothing yet; and how long
    /// the head of a request may take to arrive.
    pub keep_alive: Duration,
    /// How long a request may take until its answer begins, once its body is there.
    pub request_timeout: Duration,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// How long a stopping server still accepts, so that load balancers see that it is not ready.
    pub drain_pause: Duration,
    /// How long a stopping server waits for the requests in flight.
    pub stop_timeout: Duration,
    /// How many requests each caller may make.
    pub rate: RateSettings,
}

impl ServerSettings {
    /// The defaults for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            metrics_listen: None,
            workers: 2,
            max_connections: 10_000,
            keep_alive: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            drain_pause: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(20),
            rate: RateSettings::default(),
        }
    }
}

/// What a service puts behind the frame.
pub struct Site<S> {
    /// How it introduces itself in OpenAPI.
    pub about: About,
    /// All its routes.
    pub routes: fn(&mut ServiceConfig<'_>),
    /// What its handlers take as `Data<S>`.
    pub state: Arc<S>,
    /// Its database, for the routes that all services have.
    pub db: Db,
    /// The key of its cursors.
    pub cursors: CursorKey,
    /// What its requests leave behind.
    pub auditor: Auditor,
    /// The key by which it knows who was erased.
    pub erasures: ErasureKey,
    /// The tokens it accepts.
    pub tokens: Tokens,
    /// What `/readyz` asks.
    pub readiness: Readiness,
    /// Where it records and what `/metrics` shows.
    pub metrics: Metrics,
}

/// A server whose addresses are bound; nothing is answered before [`Server::run`].
pub struct Server {
    server: actix_web::dev::Server,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    handle: ServerHandle,
}

/// Stops a running server. Cloning is cheap.
#[derive(Clone)]
pub struct ServerHandle {
    server: actix_web::dev::ServerHandle,
    readiness: Readiness,
    drain_pause: Duration,
}

impl Server {
    /// Binds the addresses and prepares the application.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn bind<S: Send + Sync + 'static>(settings: &ServerSettings, site: Site<S>) -> io::Result<Self> {
        let listener = listen(settings.listen)?;
        let metrics_listener = settings.metrics_listen.map(listen).transpose()?;
        let address = listener.local_addr()?;
        let metrics_address = metrics_listener
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()?;
        let readiness = site.readiness.clone();

        let application = Application::new(settings, site, metrics_address);
        let factory = move || {
            App::new()
                .wrap(from_fn(frame::frame))
                .configure(|config| application.mount(config))
        };
        let mut server = HttpServer::new(factory)
            .workers(settings.workers)
            .max_connections(settings.max_connections)
            .keep_alive(settings.keep_alive)
            .client_request_timeout(settings.keep_alive)
            .shutdown_timeout(settings.stop_timeout.as_secs())
            .disable_signals()
            .listen(listener)?;
        if let Some(listener) = metrics_listener {
            server = server.listen(listener)?;
        }
        let server = server.run();
        let handle = ServerHandle {
            server: server.handle(),
            readiness,
            drain_pause: settings.drain_pause,
        };
        Ok(Self {
            server,
            address,
            metrics_address,
            handle,
        })
    }

    /// The address of the routes, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The private address of `/metrics`.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What stops it.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until it is stopped and the requests in flight have ended.
    ///
    /// # Errors
    /// The server's threads cannot be started.
    pub async fn run(self) -> io::Result<()> {
        self.server.await
    }
}

impl ServerHandle {
    /// Turns `/readyz` to 503, goes on for the drain pause, then accepts no more and waits for what is in flight.
    pub async fn stop(&self) {
        self.readiness.stop();
        tokio::time::sleep(self.drain_pause).await;
        self.server.stop(true).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
