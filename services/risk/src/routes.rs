//! Every path of the risk service.

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly risk",
    description: "How much a client writes a day; models of relapse risk, their predictions and their drift follow.",
    version: env!("CARGO_PKG_VERSION"),
};

/// None of its own yet: health, readiness, documentation and dead letters come with the server.
pub(crate) fn all(_: &mut ServiceConfig<'_>) {}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
