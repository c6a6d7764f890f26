//! Every path of the risk service.

mod feature_sets;
mod levels;
mod models;
mod names;
mod of_client;
mod outcomes;
mod predictions;
pub(crate) mod reviews;
mod snapshots;

use utoipa_actix_web::service_config::ServiceConfig;
use web::About;

pub(crate) const ABOUT: About = About {
    title: "Recoverly risk",
    description: "What models say of a client's risk of relapse, of which features, why, and which models are listened to.",
    version: env!("CARGO_PKG_VERSION"),
};

/// Health, readiness, documentation and dead letters come with the server.
pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    models(config);
    what_they_say(config);
    what_came(config);
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

fn what_they_say(config: &mut ServiceConfig<'_>) {
    config
        // pipelines
        .service(snapshots::create)
        .service(predictions::record)
        .service(predictions::batch::record_batch)
        // staff
        .service(snapshots::list)
        .service(predictions::reading::list)
        .service(predictions::reading::find);
}

fn what_came(config: &mut ServiceConfig<'_>) {
    config
        // what came of clients, and what staff think of predictions
        .service(outcomes::create)
        .service(outcomes::list)
        .service(reviews::create)
        .service(reviews::list)
        // the level by all live models
        .service(levels::latest)
        .service(levels::over_time);
}

/// The OpenAPI document of this service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    web::openapi(ABOUT, all)
}
