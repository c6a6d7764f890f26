//! Every path of the social service.

mod contact_methods;
mod deliveries;
mod escalations;
mod nudges;
mod predictions;
mod profiles;

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly social",
    description: "Predictions of messages become risk profiles, nudges and escalations that somebody acknowledges.",
    version: env!("CARGO_PKG_VERSION"),
};

pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    config
        // pipelines
        .service(predictions::record)
        .service(predictions::batch::record_batch)
        // counselors
        .service(predictions::list)
        .service(profiles::list)
        .service(profiles::summary)
        .service(profiles::find)
        .service(profiles::history)
        // staff on call and counselors
        .service(escalations::list)
        .service(escalations::find)
        .service(escalations::acknowledge)
        .service(escalations::resolve)
        // how staff are reached
        .service(contact_methods::create)
        .service(contact_methods::list)
        .service(contact_methods::verify)
        .service(contact_methods::remove)
        .service(deliveries::list)
        // clients and their app
        .service(nudges::create)
        .service(nudges::list)
        .service(nudges::find)
        .service(nudges::viewed)
        .service(nudges::responded);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
