//! Every path of the reco service.

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly reco",
    description: "What each client may need next, by the latest label and trend; recommendations and their feedback follow.",
    version: env!("CARGO_PKG_VERSION"),
};

/// None of its own yet: health, readiness, documentation and dead letters come with the server.
pub(crate) fn all(_: &mut ServiceConfig<'_>) {}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
