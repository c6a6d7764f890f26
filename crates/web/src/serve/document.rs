//! The OpenAPI document: the service's routes as `utoipa` collects them, and what holds for all of them.

use actix_web::App;
use actix_web::dev::ResourceDef;
use actix_web::web::Bytes;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, Info, OpenApi, Ref, RefOr, ResponseBuilder, Responses};
use utoipa::{PartialSchema, ToSchema};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::fallback::PathMethods;
use super::platform;
use crate::problem::ProblemDetails;

/// How a service introduces itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name, such as `Recoverly social`.
    pub title: &'static str,
    /// One or two sentences.
    pub description: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// The OpenAPI document of a service: its own routes and those that every service has.
pub fn openapi(about: About, routes: fn(&mut ServiceConfig<'_>)) -> OpenApi {
    let mut info = Info::new(about.title, about.version);
    info.description = Some(about.description.to_owned());
    let (_, mut api) = App::new()
        .into_utoipa_app()
        .openapi(OpenApi::new(info, utoipa::openapi::Paths::new()))
        .configure(platform::routes)
        .configure(routes)
        .split_for_parts();

    let components = api.components.get_or_insert_with(Components::new);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("bearer", bearer);
    components
        .schemas
        .insert(ProblemDetails::name().into_owned(), ProblemDetails::schema());
    api.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            describe_refusals(operation);
        }
    }
    api
}

/// The name of an operation in clients that are made from the document: `get_v1_users_user_id`. Not that of its handler,
/// which is one of many with that name.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| !word.is_empty());
    let all: Vec<&str> = [method].into_iter().chain(words).collect();
    all.join("_").to_ascii_lowercase()
}

/// The document as it is served, and the paths it knows.
pub(crate) struct Document {
    pub(crate) json: Bytes,
    paths: Vec<PathMethods>,
}

impl Document {
    pub(crate) fn new(mut api: OpenApi) -> Self {
        let json = api.to_json().unwrap_or_default().into();
        let paths = api.paths.paths.iter_mut().map(|(path, item)| PathMethods {
            pattern: ResourceDef::new(path.as_str()),
            methods: operations(item).into_iter().map(|(method, _)| method).collect(),
        });
        Self {
            json,
            paths: paths.collect(),
        }
    }

    /// The methods that some route takes at a path; none where there is no such path.
    pub(crate) fn methods_at(&self, path: &str) -> Vec<&'static str> {
        let matching = self.paths.iter().filter(|known| known.pattern.is_match(path));
        let mut methods: Vec<_> = matching.flat_map(|known| known.methods.iter().copied()).collect();
        methods.sort_unstable();
        methods.dedup();
        methods
    }
}

fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    let all = [
        ("GET", item.get.as_mut()),
        ("PUT", item.put.as_mut()),
        ("POST", item.post.as_mut()),
        ("DELETE", item.delete.as_mut()),
        ("PATCH", item.patch.as_mut()),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation?)))
        .collect()
}

/// Every route refuses in the same form; a handler only lists the statuses that say something about it.
fn describe_refusals(operation: &mut Operation) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDetails::name())));
    let response = ResponseBuilder::new()
        .description("A refusal, as RFC 9457 problem details")
        .content("application/problem+json", problem.build());
    let Responses { responses, .. } = &mut operation.responses;
    responses
        .entry("default".to_owned())
        .or_insert(RefOr::T(response.build()));
}
