//! Every path of the risk service.

mod levels;
mod of_client;
mod outcomes;
pub(crate) mod reviews;

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly risk",
    description: "How much a client writes a day; models of relapse risk, their predictions and their drift follow.",
    version: env!("CARGO_PKG_VERSION"),
};

/// Health, readiness, documentation and dead letters come with the server.
pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    what_came(config);
}

fn what_came(config: &mut ServiceConfig<'_>) {
    config
        // what came of clients, and what staff think of predictions
        .service(outcomes::create)
        .service(outcomes::list)
        .service(reviews::create)
        .service(reviews::list)
        // the level by all live models
        .service(levels::latest)
        .service(levels::over_time);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
