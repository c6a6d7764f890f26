//! Every path of the causal service.

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly causal",
    description: "A client's risk a day; estimates of which action helps whom follow.",
    version: env!("CARGO_PKG_VERSION"),
};

/// None of its own yet: health, readiness, documentation and dead letters come with the server.
pub(crate) fn all(_: &mut ServiceConfig<'_>) {}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
