//! Every path of the social service.

mod contacts;
mod escalation_policies;
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
        .service(escalations::ending::resolve)
        .service(escalations::ending::cancel)
        .service(escalations::moving::advance)
        .service(escalations::moving::reassign)
        .service(escalations::raising::create)
        .service(escalations::comments::create)
        .service(escalations::comments::list)
        .service(contacts::create)
        .service(contacts::list)
        // whom escalations go to
        .service(escalation_policies::create)
        .service(escalation_policies::list)
        .service(escalation_policies::find)
        .service(escalation_policies::replace)
        .service(escalation_policies::activate)
        .service(escalation_policies::remove)
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
