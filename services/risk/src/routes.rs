//! Every path of the risk service.

mod feature_sets;
mod models;
mod names;

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly risk",
    description: "What models say of a client's risk of relapse, of which features, why, and which models are listened to.",
    version: env!("CARGO_PKG_VERSION"),
};

pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    models(config);
}

fn models(config: &mut ServiceConfig<'_>) {
    config
        // what models may be told
        .service(feature_sets::create)
        .service(feature_sets::list)
        .service(feature_sets::find)
        // and which are listened to
        .service(models::create)
        .service(models::list)
        .service(models::find)
        .service(models::put_into);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
