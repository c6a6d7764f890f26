//! Every path of the core service.

mod break_glass;
mod caseload;
mod history;
mod leases;
mod me;
mod messages;
mod roles;
mod teams;
mod user_changes;
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
        .service(user_changes::change)
        .service(roles::grant)
        .service(roles::revoke)
        // who cares for whom
        .service(caseload::list)
        .service(caseload::assign)
        .service(caseload::end)
        .service(teams::create)
        .service(teams::list)
        .service(teams::put_member)
        .service(teams::remove_member)
        .service(break_glass::take)
        .service(break_glass::list)
        .service(break_glass::review)
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
