//! The scopes' nouns against the routes of all services.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use common::{is_scope, scope_of};
use serde_json::{Value, json};

/// Every token may ask whose it is, whatever it is limited to.
const WITHOUT_SCOPE: &str = "/v1/me";

#[test]
fn every_route_that_asks_for_a_token_has_a_scope() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi");
    let mut routes = 0;
    for file in fs::read_dir(folder).unwrap() {
        let document: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        for (pattern, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if operation["x-principals"] == json!(["everybody"]) || pattern == WITHOUT_SCOPE {
                    continue;
                }
                let scope = scope_of(&method.to_uppercase(), pattern);
                assert!(
                    is_scope(&scope),
                    "{scope} of {method} {pattern} is missing in scope.rs"
                );
                routes += 1;
            }
        }
    }
    assert!(routes > 40, "only {routes} routes were found");
}
