//! Every path of the core service.

mod caseload;
mod export;
mod history;
mod leases;
mod leaving;
mod me;
mod messages;
mod users;

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly core",
    description: "Accounts, who cares for whom, messages, and the leases by which pipelines take them to score.",
    version: env!("CARGO_PKG_VERSION"),
};

pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    config
        // everybody
        .service(me::me)
        // accounts
        .service(users::create)
        .service(users::list)
        .service(users::find)
        // who cares for whom
        .service(caseload::list)
        .service(caseload::assign)
        .service(caseload::end)
        // clients, their app and their counselors
        .service(messages::create)
        .service(messages::create_batch)
        .service(history::list)
        .service(history::find)
        // leaving
        .service(export::export)
        .service(leaving::opt_out)
        // pipelines
        .service(leases::lease);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
