//! Every path of the core service.

mod ai;
mod api_clients;
mod audit;
mod auth;
mod break_glass;
mod caseload;
mod clerk;
mod coaching_notes;
mod collections;
mod consents;
mod context;
mod disclosures;
mod embeddings;
mod export;
mod faces;
mod history;
mod interactions;
mod leases;
mod leaving;
mod me;
mod memories;
mod memory_search;
mod messages;
mod oauth;
mod password;
mod password_reset;
mod preferences;
mod profile;
mod provider_events;
mod reviews;
mod roles;
mod stated_preferences;
mod teams;
mod threads;
mod totp;
mod transcripts;
mod turns;
mod user_changes;
mod users;
mod voice_events;

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
        // by their own proof
        .service(auth::login)
        .service(auth::refresh)
        .service(auth::logout)
        .service(password::change)
        .service(password_reset::ask)
        .service(password_reset::confirm)
        .service(totp::sign_in)
        .service(totp::enrol)
        .service(totp::confirm)
        // accounts
        .service(users::create)
        .service(users::list)
        .service(users::find)
        .service(user_changes::change)
        .service(roles::grant)
        .service(roles::revoke)
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
        .service(teams::create)
        .service(teams::list)
        .service(teams::put_member)
        .service(teams::remove_member)
        .service(break_glass::take)
        .service(break_glass::list)
        .service(break_glass::review)
        // auditors, and each person about themselves
        .service(audit::list)
        .service(audit::verify)
        .service(audit::access_log)
        // clients, their app and their counselors
        .service(messages::create)
        .service(messages::create_batch)
        .service(history::list)
        .service(history::find)
        // what a client prefers
        .service(preferences::find)
        .service(preferences::replace)
        .service(profile::list)
        .service(profile::find)
        .service(profile::put)
        .service(profile::forget)
        .service(stated_preferences::list)
        .service(stated_preferences::state_preference)
        .service(stated_preferences::forget)
        // what a client consents to
        .service(consents::grant)
        .service(consents::list)
        .service(consents::revoke)
        .service(disclosures::disclose)
        .service(disclosures::list_of_client)
        // auditors
        .service(disclosures::list)
        // leaving
        .service(export::export)
        .service(leaving::opt_out)
        // pipelines
        .service(leases::lease);
    remembered(config);
    conversations(config);
    with_staff(config);
}

/// What the companion remembers of a client.
fn remembered(config: &mut ServiceConfig<'_>) {
    config
        .service(memories::create)
        .service(memories::list)
        .service(memories::find)
        .service(memories::correct)
        .service(memories::forget)
        .service(memory_search::search)
        .service(collections::create)
        .service(collections::list)
        .service(collections::find)
        .service(collections::change)
        .service(collections::delete_collection)
        .service(collections::list_items)
        .service(collections::add)
        .service(collections::remove)
        .service(embeddings::models)
        .service(embeddings::put)
        .service(embeddings::lease);
}

/// Conversations with a companion.
fn conversations(config: &mut ServiceConfig<'_>) {
    config
        .service(threads::put_thread)
        .service(threads::list)
        .service(threads::find)
        .service(threads::delete_thread)
        .service(history::list_of_thread)
        .service(turns::create)
        .service(turns::window)
        .service(turns::warm)
        .service(turns::forget)
        // those who care for the client
        .service(reviews::review)
        .service(reviews::list);
}

/// What happens between staff and clients, and what programs tell of it.
fn with_staff(config: &mut ServiceConfig<'_>) {
    config
        // faces, sessions with staff, and what is known of a client
        .service(faces::keep)
        .service(faces::list)
        .service(faces::forget)
        .service(faces::search)
        .service(interactions::put)
        .service(interactions::find)
        .service(interactions::list_of_client)
        .service(transcripts::add)
        .service(transcripts::add_batch)
        .service(transcripts::list)
        .service(coaching_notes::add)
        .service(coaching_notes::list)
        .service(context::find)
        // how providers did
        .service(provider_events::tell)
        .service(provider_events::list)
        .service(voice_events::tell)
        .service(voice_events::list)
        // the paths of seed 003
        .service(context::find_as_in_the_seed)
        .service(leaving::opt_out_as_in_the_seed)
        .service(faces::search_as_in_the_seed)
        .service(memory_search::search_as_in_the_seed);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
