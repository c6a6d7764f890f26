//! What answers where no route does: 405 where the address takes other methods, else 404.

use actix_web::dev::ResourceDef;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use std::sync::Arc;

use crate::problem::{Code, Problem};
use crate::serve::document::Document;

/// The default service of the application.
pub(crate) async fn fallback(request: HttpRequest, document: ThinData<Arc<Document>>) -> HttpResponse {
    let methods = document.methods_at(request.path());
    let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) else {
        return Problem::not_found().error_response();
    };
    if methods.is_empty() {
        return Problem::not_found().error_response();
    }
    let detail = format!("This address takes {}.", methods.join(", "));
    let mut response = Problem::new(Code::MethodNotAllowed, detail).error_response();
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// One path of the API with its methods.
pub(crate) struct PathMethods {
    pub(crate) pattern: ResourceDef,
    pub(crate) methods: Vec<&'static str>,
}
