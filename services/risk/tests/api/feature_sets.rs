//! Feature sets: what models may be told of clients.

use serde_json::{Value, json};

use crate::harness::{FEATURES, Harness, feature_set};

/// A set of these features.
fn of(features: Value) -> Value {
    json!({"version": "v1", "features": features})
}

/// Posts what must be refused; returns what is told of it, by pointer.
async fn refused(h: &Harness, body: &Value) -> Vec<String> {
    let answer = h.call("pipeline").post("/v1/feature-sets", body).await;
    assert_eq!(answer.code(), 422, "{}", answer.json);
    let errors = answer.at("/errors").as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            format!(
                "{}: {}",
                error["pointer"].as_str().unwrap(),
                error["detail"].as_str().unwrap()
            )
        })
        .collect()
}

#[tokio::test]
async fn a_set_is_read_as_it_was_declared_by_everybody_who_works_with_models() {
    let h = Harness::new().await;
    h.declare().await;
    for name in ["pipeline", "admin", "supervisor", "counselor"] {
        let found = h.call(name).get("/v1/feature-sets/engagement-1").await;
        assert_eq!(found.code(), 200, "{name}");
        assert_eq!(found.at("/created_by"), "pipeline:program-pipeline");
        assert_eq!(
            found.at("/features/1"),
            &json!({
                "name": "sleep_hours", "type": "number", "minimum": 0.0, "maximum": 24.0, "categories": null,
                "nullable": true, "subgroup": false, "texts": {"raises": null, "lowers": null},
            })
        );
        assert_eq!(
            found.at("/features/0/texts/raises"),
            "They write less than before."
        );
        let listed = h.call(name).get("/v1/feature-sets").await;
        assert_eq!(listed.at("/items/0"), &found.json, "{name}");
    }
    assert_eq!(h.call("pipeline").get("/v1/feature-sets/other").await.code(), 404);
    assert_eq!(h.call("pipeline").get("/v1/feature-sets/a%20b").await.code(), 404);
}

#[tokio::test]
async fn the_same_set_again_changes_nothing_and_another_is_refused() {
    let h = Harness::new().await;
    h.declare().await;
    let again = h
        .call("admin")
        .post("/v1/feature-sets", &feature_set(FEATURES))
        .await;
    assert_eq!(again.code(), 200);
    assert_eq!(again.at("/created_by"), "pipeline:program-pipeline");
    for (pointer, value) in [
        ("/features/0/maximum", json!(9_999)),
        ("/features/0/texts/raises", json!("Other words.")),
        ("/features/1/nullable", json!(false)),
        ("/features/2/subgroup", json!(false)),
        ("/features/2/name", json!("lives_with_others")),
    ] {
        let mut other = feature_set(FEATURES);
        *other.pointer_mut(pointer).unwrap() = value;
        let refused = h.call("pipeline").post("/v1/feature-sets", &other).await;
        assert_eq!(refused.code(), 409, "{pointer}");
        assert_eq!(refused.at("/type"), "/problems/differs");
    }
    let stored = h.database.count("select count(*) from risk.feature_sets").await;
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn declarations_that_mean_nothing_are_refused_all_at_once() {
    let h = Harness::new().await;
    let told = refused(
        &h,
        &json!({"version": "a b", "features": [
            {"name": "n", "type": "number", "minimum": 2, "maximum": 1},
            {"name": "i", "type": "integer", "minimum": 0.5},
            {"name": "c", "type": "category", "categories": ["day", "day"]},
            {"name": "e", "type": "category", "categories": []},
            {"name": "b", "type": "boolean", "minimum": 0},
            {"name": "x/y", "type": "text"},
            {"name": "t", "type": "boolean", "texts": {"raises": "", "says": "x"}},
        ]}),
    )
    .await;
    let pointers: Vec<&str> = told
        .iter()
        .map(|fault| fault.split(':').next().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/version",
            "/features/0/maximum",
            "/features/1/minimum",
            "/features/2/categories",
            "/features/3/categories",
            "/features/4/minimum",
            "/features/5/name",
            "/features/5/type",
            "/features/6/texts/raises",
            "/features/6/texts/says",
        ],
        "{told:#?}"
    );
}

#[tokio::test]
async fn a_feature_is_declared_once_and_a_set_holds_some() {
    let h = Harness::new().await;
    let twice = of(json!([{"name": "a", "type": "boolean"}, {"name": "a", "type": "number"}]));
    assert_eq!(
        refused(&h, &twice).await,
        ["/features: declares a feature a second time at 1"]
    );
    assert_eq!(
        refused(&h, &of(json!([]))).await,
        ["/features: must hold at least 1 items"]
    );
    let many: Vec<Value> = (0..501)
        .map(|number| json!({"name": format!("f{number}"), "type": "boolean"}))
        .collect();
    let answer = h
        .call("pipeline")
        .post("/v1/feature-sets", &of(json!(many)))
        .await;
    assert_eq!(answer.code(), 413);
    let most = h
        .call("pipeline")
        .post("/v1/feature-sets", &of(json!(many[1..])))
        .await;
    assert_eq!(most.code(), 201);
}

#[tokio::test]
async fn counselors_and_supervisors_declare_nothing() {
    let h = Harness::new().await;
    for name in ["counselor", "supervisor", "oncall", "auditor", "app"] {
        let answer = h.call(name).post("/v1/feature-sets", &json!({"x": 1})).await;
        assert_eq!(answer.code(), 403, "{name}");
    }
}
