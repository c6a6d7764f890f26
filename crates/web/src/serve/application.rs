//! What every worker's application is made of. It holds no global state, so many of them run in one test process.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::web::{self, Data, ThinData};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::document::Document;
use super::fallback::fallback;
use super::frame::Frame;
use super::platform::{self, PrivateAddress};
use super::{ServerSettings, Site, openapi};
use crate::body::BodyTimeout;
use crate::guesses::Guesses;
use crate::path;
use crate::rate::RateLimits;

/// The parts that the workers share.
pub(crate) struct Application<S> {
    site: Arc<Site<S>>,
    frame: Arc<Frame>,
    limits: RateLimits,
    guesses: Guesses,
    document: Arc<Document>,
    private: PrivateAddress,
    body_timeout: BodyTimeout,
}

impl<S: 'static> Application<S> {
    pub(crate) fn new(settings: &ServerSettings, site: Site<S>, private: Option<SocketAddr>) -> Self {
        let limits = RateLimits::new(settings.rate);
        Self {
            frame: Arc::new(Frame::new(limits.clone(), settings, &site.metrics)),
            document: Arc::new(Document::new(openapi(site.about, site.routes))),
            site: Arc::new(site),
            limits,
            guesses: Guesses::new(),
            private: PrivateAddress(private),
            body_timeout: BodyTimeout(settings.body_timeout),
        }
    }

    /// Puts data and routes into an application.
    pub(crate) fn mount(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(Data::from(Arc::clone(&self.site.state)))
            .app_data(ThinData(self.site.db.clone()))
            .app_data(ThinData(self.site.cursors.clone()))
            .app_data(ThinData(self.site.readiness.clone()))
            .app_data(ThinData(self.site.metrics.clone()))
            .app_data(ThinData(Arc::clone(&self.document)))
            .app_data(ThinData(self.private))
            .app_data(self.site.tokens.clone())
            .app_data(self.site.auditor.clone())
            .app_data(self.site.erasures.clone())
            .app_data(Arc::clone(&self.frame))
            .app_data(self.limits.clone())
            .app_data(self.guesses.clone())
            .app_data(self.body_timeout)
            .app_data(path::config());

        let mut routes = ServiceConfig::new(config);
        platform::routes(&mut routes);
        (self.site.routes)(&mut routes);
        // Relative to /docs/, so that the page also works behind the gateway's prefix.
        let page = SwaggerUi::new("/docs/{_:.*}").config(Config::new(["../openapi.json"]));
        config.service(page).default_service(web::to(fallback));
    }
}

impl<S> Clone for Application<S> {
    fn clone(&self) -> Self {
        Self {
            site: Arc::clone(&self.site),
            frame: Arc::clone(&self.frame),
            limits: self.limits.clone(),
            guesses: self.guesses.clone(),
            document: Arc::clone(&self.document),
            private: self.private,
            body_timeout: self.body_timeout,
        }
    }
}
