//! The routes that every service has: health, readiness, metrics, its OpenAPI document and the pages of problems.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::web::ThinData;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get};
use common::PrincipalKind;
use telemetry::Metrics;
use utoipa_actix_web::service_config::ServiceConfig;

use super::dead_letters;
use super::document::Document;
use super::readiness::{Readiness, ReadyBody};
use crate::auth::{Allowed, Caller};
use crate::problem::{Problem, page};

const METRICS: Allowed = Allowed(&[PrincipalKind::Admin]);

/// What stands in `x-principals` of a route that asks for no token.
const EVERYBODY: [&str; 1] = ["everybody"];

/// The private address whose callers need no token for `/metrics`.
#[derive(Clone, Copy)]
pub(crate) struct PrivateAddress(pub(crate) Option<SocketAddr>);

/// Mounts them.
pub(crate) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(healthz)
        .service(readyz)
        .service(metrics)
        .service(openapi_json)
        .service(docs)
        .service(problem_page);
    dead_letters::routes(config);
}

/// Whether the process is alive.
#[utoipa::path(tag = "platform", responses((status = 200)), extensions(("x-principals" = json!(EVERYBODY))))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"status":"ok"}"#)
}

/// Whether the process can serve, and what is away if it cannot.
#[utoipa::path(
    tag = "platform",
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)),
    extensions(("x-principals" = json!(EVERYBODY))),
)]
#[get("/readyz")]
async fn readyz(readiness: ThinData<Readiness>) -> HttpResponse {
    let report = readiness.report().await;
    if report.is_ready() {
        HttpResponse::Ok().json(report)
    } else {
        HttpResponse::ServiceUnavailable().json(report)
    }
}

/// All metrics as Prometheus text; open on the private address, else for admins.
#[utoipa::path(tag = "platform", responses((status = 200)), extensions(("x-principals" = json!(METRICS))))]
#[get("/metrics")]
async fn metrics(
    request: HttpRequest,
    metrics: ThinData<Metrics>,
    private: ThinData<PrivateAddress>,
) -> Result<HttpResponse, Problem> {
    if private.0.0 != Some(request.app_config().local_addr()) {
        Caller::extract(&request).await?.allow(&METRICS)?;
    }
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics.render()))
}

/// This document.
#[utoipa::path(tag = "platform", responses((status = 200)), extensions(("x-principals" = json!(EVERYBODY))))]
#[get("/openapi.json")]
async fn openapi_json(document: ThinData<Arc<Document>>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(document.json.clone())
}

/// To the documentation page. Relative, so that it also holds behind the gateway's prefix.
#[utoipa::path(tag = "platform", responses((status = 308)), extensions(("x-principals" = json!(EVERYBODY))))]
#[get("/docs")]
async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "docs/"))
        .finish()
}

/// What the `type` of a problem means.
#[utoipa::path(
    tag = "platform",
    params(("code" = String, Path, description = "The last part of a problem's `type`")),
    responses((status = 200)),
    extensions(("x-principals" = json!(EVERYBODY))),
)]
#[get("/problems/{code}")]
async fn problem_page(
    request: HttpRequest,
    code: actix_web::web::Path<String>,
) -> Result<HttpResponse, Problem> {
    page(&request, &code)
}
