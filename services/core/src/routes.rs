//! Every path of the core service.

mod api_clients;
mod caseload;
mod clerk;
mod history;
mod leases;
mod me;
mod messages;
mod oauth;
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
        // programs
        .service(api_clients::create)
        .service(api_clients::list)
        .service(api_clients::rotate)
        .service(api_clients::disable)
        .service(oauth::issue)
        .service(oauth::introspect)
        .service(oauth::revoke)
        // Clerk
        .service(clerk::webhook)
        .service(clerk::exchange)
        // who cares for whom
        .service(caseload::list)
        .service(caseload::assign)
        .service(caseload::end)
        // clients, their app and their counselors
        .service(messages::create)
        .service(messages::create_batch)
        .service(history::list)
        .service(history::find)
        // pipelines
        .service(leases::lease);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
