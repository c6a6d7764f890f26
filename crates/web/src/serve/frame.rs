//! The one middleware around every route: request id, trace, limits, time-out, metrics, headers, and the last touch to
//! problems. One, because every layer of its own would cost every request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;
use telemetry::Metrics;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::ServerSettings;
use crate::auth::Caller;
use crate::erasure::gone_if_erased;
use crate::problem::{Code, PROBLEM_JSON, Problem};
use crate::rate::RateLimits;
use crate::request_id::{RequestId, X_REQUEST_ID};

/// When to come back after a request took too long, in seconds.
const RETRY_AFTER_TIMEOUT_SECONDS: u64 = 5;

/// Upper bounds of the histogram of durations, in seconds.
const DURATION_BOUNDS_SECONDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const HEALTH_PATH: &str = "/healthz";

/// What the frame needs; in the application's data.
pub(crate) struct Frame {
    limits: RateLimits,
    request_timeout: Duration,
    body_timeout: Duration,
    durations: Histogram<f64>,
}

impl Frame {
    pub(crate) fn new(limits: RateLimits, settings: &ServerSettings, metrics: &Metrics) -> Self {
        let durations = metrics
            .meter("web")
            .f64_histogram("http.server.request.duration")
            .with_description(
                "How long requests took until their answers began, by route pattern and status class",
            )
            .with_unit("s")
            .with_boundaries(DURATION_BOUNDS_SECONDS.to_vec())
            .build();
        Self {
            limits,
            request_timeout: settings.request_timeout,
            body_timeout: settings.body_timeout,
            durations,
        }
    }

    /// What a request may take in all. The time of a body comes on top: who sends it too slowly is told so, and the
    /// service is not blamed for it.
    fn timeout(&self, request: &ServiceRequest) -> Duration {
        let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|name| request.headers().contains_key(name));
        if has_body {
            self.body_timeout + self.request_timeout
        } else {
            self.request_timeout
        }
    }

    fn record(&self, call: &Call, route: String, status: StatusCode) {
        let labels = [
            KeyValue::new("http.request.method", call.method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_class", class_label(status)),
        ];
        self.durations
            .record(call.started.elapsed().as_secs_f64(), &labels);
    }
}

/// What must outlive the request itself, which its handler consumes.
struct Call {
    started: Instant,
    id: RequestId,
    method: &'static str,
    path: String,
    traceparent: Option<String>,
}

impl Call {
    fn new(request: &ServiceRequest) -> Self {
        let traceparent = request
            .headers()
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok());
        Self {
            started: Instant::now(),
            id: RequestId::accept(request.headers().get(X_REQUEST_ID)),
            method: method_label(request.method()),
            path: request.path().to_owned(),
            traceparent: traceparent.map(str::to_owned),
        }
    }

    /// The path is left out: it holds ids of people, and the log's reader has the request id to ask with.
    fn span(&self) -> Span {
        let span = tracing::info_span!(
            "request",
            otel.kind = "server",
            http.request.method = self.method,
            http.response.status_code = Empty,
            request_id = self.id.told(),
            stored_request_id = self.id.as_str(),
        );
        if let Some(traceparent) = &self.traceparent {
            telemetry::set_parent(&span, traceparent);
        }
        span
    }
}

/// Runs one request.
pub(crate) async fn frame(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let Some(frame) = request.app_data::<Arc<Frame>>().cloned() else {
        return Err(Problem::internal("no Frame in the application's data").into());
    };
    let call = Call::new(&request);
    request.extensions_mut().insert(call.id.clone());
    let span = call.span();

    let answering = answer(&frame, &call, request, next).instrument(span.clone());
    let response = telemetry::carrying(call.traceparent.as_deref(), answering).await?;
    span.record("http.response.status_code", response.status().as_u16());
    Ok(response)
}

async fn answer(
    frame: &Frame,
    call: &Call,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let anonymous = !request.headers().contains_key(AUTHORIZATION) && call.path != HEALTH_PATH;
    let response = match anonymous.then(|| frame.limits.charge_address(request.request())) {
        Some(Err(refused)) => request.into_response(refused.error_response()),
        _ => match tokio::time::timeout(frame.timeout(&request), next.call(request)).await {
            Ok(response) => response?,
            Err(_) => return Err(too_slow(frame, call).into()),
        },
    };
    let response = gone_if_erased(response).await;
    let route = response.request().match_pattern();
    frame.record(
        call,
        route.unwrap_or_else(|| "unmatched".to_owned()),
        response.status(),
    );
    let response = match told_of_refusal(&response).await {
        Ok(()) => response,
        Err(unheard) => unserved(response, &unheard),
    };
    let mut response = located(response, call);
    set_headers(response.headers_mut(), &call.id);
    Ok(response)
}

/// Tells the audit that somebody whom we know was refused something, or found nothing where there may be something that
/// is not theirs.
async fn told_of_refusal(response: &ServiceResponse) -> Result<(), Problem> {
    let refusals = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::GONE];
    if !refusals.contains(&response.status()) {
        return Ok(());
    }
    let ours = response
        .response()
        .extensions()
        .get::<Problem>()
        .map(Problem::code);
    let refused = ours.unwrap_or_else(|| Code::of_status(response.status()));
    let caller = response.request().extensions().get::<Caller>().cloned();
    match caller {
        Some(caller) => caller.refused(refused).await,
        None => Ok(()),
    }
}

/// In place of an answer that must not go out.
fn unserved(response: ServiceResponse, problem: &Problem) -> ServiceResponse {
    let (request, _) = response.into_parts();
    ServiceResponse::new(request, problem.error_response())
}

/// The refusal after a time-out. The handler is dropped, and with it the request that knows the route.
fn too_slow(frame: &Frame, call: &Call) -> Problem {
    let mut problem = Problem::unavailable(RETRY_AFTER_TIMEOUT_SECONDS);
    problem.locate(&call.path, call.id.told());
    frame.record(call, "timed_out".to_owned(), StatusCode::SERVICE_UNAVAILABLE);
    tracing::error!("a request took too long and was given up");
    problem
}

/// Writes the body of a refusal again, now that path and request id are known, and logs what broke on our side.
fn located(mut response: ServiceResponse, call: &Call) -> ServiceResponse {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let ours = response.response_mut().extensions_mut().remove::<Problem>();
    let Some(mut problem) = ours.or_else(|| foreign(&response)) else {
        return response;
    };
    problem.locate(&call.path, call.id.told());
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(cause = problem.cause(), "a request failed");
    } else if status.is_server_error() {
        tracing::warn!(cause = problem.cause(), "a request could not be served");
    }
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
    response.map_body(|_, _| BoxBody::new(problem.to_bytes()))
}

/// The problem for an error that the framework answered by itself, in words of its own or in none.
fn foreign(response: &ServiceResponse) -> Option<Problem> {
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let wordless = response.response().body().size().is_eof() || content_type.starts_with(b"text/plain");
    let code = Code::of_status(response.status());
    wordless.then(|| Problem::new(code, code.help()))
}

fn set_headers(headers: &mut HeaderMap, id: &RequestId) {
    headers.insert(X_REQUEST_ID, id.header().clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let traceparent = telemetry::current_traceparent().and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent);
    }
}

/// The methods that are a label; whatever else a caller makes up is one more.
fn method_label(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    let words = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known
        .iter()
        .zip(words)
        .find_map(|(known, word)| (known == method).then_some(word))
        .unwrap_or("OTHER")
}

fn class_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
