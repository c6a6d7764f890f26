//! `GET /problems/{code}`: what a problem's `type` points at.

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse};

use super::{Code, Problem};

/// Explains one code: HTML for a browser, JSON for everything else.
pub(crate) fn page(request: &HttpRequest, code: &str) -> Result<HttpResponse, Problem> {
    let code = Code::parse(code).ok_or_else(Problem::not_found)?;
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if accept.contains("text/html") {
        return Ok(HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(html(code)));
    }
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "type": format!("/problems/{}", code.name()),
        "status": code.status().as_u16(),
        "title": code.title(),
        "help": code.help(),
    })))
}

fn html(code: Code) -> String {
    let (title, status, help) = (code.title(), code.status().as_u16(), code.help());
    // The texts are our own constants and hold neither markup nor anything a caller sent.
    format!(
        "<!doctype html><title>{title}</title><h1>{status} {title}</h1><p>{}</p>",
        help.replace('<', "&lt;")
    )
}
