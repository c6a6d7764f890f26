//! Every path of the social service.

mod ahead;
mod calendar_link;
mod contact_methods;
mod contacts;
mod crisis_resources;
mod deliveries;
mod escalation_policies;
mod escalations;
mod family;
mod meetings;
mod nudge_templates;
mod nudges;
mod of_client;
mod oncall;
mod operational_warnings;
mod predictions;
mod profiles;
mod risk_policies;
mod safety_events;
mod screeners;
mod stream;

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly social",
    description: "Predictions of messages become risk profiles, nudges and escalations that somebody acknowledges.",
    version: env!("CARGO_PKG_VERSION"),
};

pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    of_messages(config);
    escalations(config);
    on_call(config);
    of_clients(config);
    operations(config);
}

fn of_messages(config: &mut ServiceConfig<'_>) {
    config
        // pipelines
        .service(predictions::record)
        .service(predictions::batch::record_batch)
        // what cannot wait for a profile
        .service(safety_events::create)
        .service(safety_events::find)
        .service(screeners::create)
        .service(screeners::list)
        .service(crisis_resources::list)
        .service(crisis_resources::create)
        .service(crisis_resources::replace)
        .service(crisis_resources::remove)
        // counselors
        .service(predictions::list)
        .service(profiles::list)
        .service(profiles::summary)
        .service(profiles::find)
        .service(profiles::history);
}

fn escalations(config: &mut ServiceConfig<'_>) {
    config
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
        // what happens, as it happens
        .service(stream::watch)
        // whom escalations go to
        .service(escalation_policies::create)
        .service(escalation_policies::list)
        .service(escalation_policies::find)
        .service(escalation_policies::replace)
        .service(escalation_policies::activate)
        .service(escalation_policies::remove)
        .service(escalation_policies::coverage::show)
        // how staff are reached
        .service(contact_methods::create)
        .service(contact_methods::list)
        .service(contact_methods::verify)
        .service(contact_methods::remove)
        .service(deliveries::list);
}

fn on_call(config: &mut ServiceConfig<'_>) {
    config
        // who is on call
        .service(oncall::schedules::create)
        .service(oncall::schedules::list)
        .service(oncall::schedules::find)
        .service(oncall::schedules::change)
        .service(oncall::schedules::remove)
        .service(oncall::on_duty::show)
        .service(oncall::rotations::create)
        .service(oncall::rotations::replace)
        .service(oncall::rotations::remove)
        .service(oncall::shifts::list)
        .service(oncall::shifts::create)
        .service(oncall::shifts::remove)
        .service(oncall::overrides::list)
        .service(oncall::overrides::create)
        .service(oncall::overrides::remove)
        .service(oncall::swaps::list)
        .service(oncall::swaps::create)
        .service(oncall::swaps::take)
        .service(oncall::swaps::decline)
        .service(oncall::swaps::withdraw)
        .service(oncall::calendar::renew_link)
        .service(oncall::calendar::end_link)
        .service(oncall::calendar::show);
}

fn of_clients(config: &mut ServiceConfig<'_>) {
    config
        // what a client shares with family
        .service(family::create)
        .service(family::list)
        .service(family::cards::create)
        .service(family::cards::list)
        .service(family::cards::share)
        // the calendar's paths stand before those of one meeting
        .service(meetings::calendar::renew_link)
        .service(meetings::calendar::end_link)
        .service(meetings::calendar::show)
        .service(meetings::create)
        .service(meetings::list)
        .service(meetings::find)
        .service(meetings::moving::consent)
        .service(meetings::moving::confirm)
        .service(meetings::moving::complete)
        .service(meetings::moving::cancel)
        // clients and their app
        .service(nudges::create)
        .service(nudges::list)
        .service(nudges::find)
        .service(nudges::viewed)
        .service(nudges::responded);
}

fn operations(config: &mut ServiceConfig<'_>) {
    config
        // what nudges say
        .service(nudge_templates::create)
        .service(nudge_templates::list)
        .service(nudge_templates::find)
        .service(nudge_templates::replace)
        .service(nudge_templates::remove)
        // what labels are judged by
        .service(risk_policies::create)
        .service(risk_policies::list)
        .service(risk_policies::find)
        .service(risk_policies::preview)
        .service(risk_policies::activate)
        // what does not work as it should
        .service(operational_warnings::list);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
