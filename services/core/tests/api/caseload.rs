//! Assignments: made by admins, effective at once.

use serde_json::{Value, json};

use crate::harness::{Harness, column, pointers};

#[tokio::test]
async fn assigning_twice_is_one_assignment() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let (admin, path) = (h.call("admin"), "/v1/caseload/staff-counselor/client-a");
    assert_eq!(h.call("counselor").get("/v1/users/client-a").await.code(), 404);
    let first = admin.put(path, &json!({})).await;
    assert_eq!((first.code(), first.at("/relation")), (201, &json!("counselor")));
    assert_eq!(h.call("counselor").get("/v1/users/client-a").await.code(), 200);
    let again = admin.put(path, &json!({})).await;
    assert_eq!((again.code(), &again.bytes), (200, &first.bytes));
    let changed = admin.put(path, &json!({"relation": "mentor"})).await;
    assert_eq!((changed.code(), changed.at("/relation")), (200, &json!("mentor")));
    assert_eq!(
        admin.put(path, &json!({})).await.at("/relation"),
        &json!("mentor")
    );
    assert_eq!(
        h.database
            .count("select count(*) from core.caseload_assignments")
            .await,
        1
    );
}

#[tokio::test]
async fn ending_an_assignment_ends_what_it_showed() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let (admin, path) = (h.call("admin"), "/v1/caseload/staff-counselor/client-a");
    assert_eq!(admin.delete(path).await.code(), 204);
    assert_eq!(h.call("counselor").get("/v1/users/client-a").await.code(), 404);
    assert_eq!(admin.delete(path).await.code(), 404);
    assert_eq!(admin.put(path, &json!({})).await.code(), 201, "a new one begins");
    assert_eq!(
        h.database
            .count("select count(*) from core.caseload_assignments")
            .await,
        2
    );
}

#[tokio::test]
async fn only_staff_care_and_only_for_clients() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let admin = h.call("admin");
    for (path, field) in [
        ("/v1/caseload/client-a/client-a", "/staff_id"),
        ("/v1/caseload/staff-counselor/staff-admin", "/client_id"),
    ] {
        let refused = admin.put(path, &json!({})).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![field.to_owned()])
        );
    }
    assert_eq!(
        admin
            .put("/v1/caseload/staff-counselor/nobody", &json!({}))
            .await
            .code(),
        404
    );
    assert_eq!(
        admin.put("/v1/caseload/nobody/client-a", &json!({})).await.code(),
        404
    );
    assert_eq!(
        admin
            .put("/v1/caseload/staff-counselor/client-a", &json!({"until": 1}))
            .await
            .code(),
        422
    );
    assert_eq!(
        h.call("supervisor")
            .put("/v1/caseload/staff-counselor/client-a", &json!({}))
            .await
            .code(),
        403
    );
}

#[tokio::test]
async fn the_list_shows_what_lasts() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor", "counselor_other"]).await;
    h.client("client-b", &["counselor"]).await;
    let admin = h.call("admin");
    admin.delete("/v1/caseload/staff-counselor_other/client-a").await;
    assert_eq!(
        column(&admin.get("/v1/caseload").await, "client_id"),
        ["client-a", "client-b"]
    );
    let one = admin
        .get("/v1/caseload?staff_id=staff-counselor&client_id=client-b")
        .await;
    assert_eq!(column(&one, "client_id"), ["client-b"]);
    assert_eq!(
        admin.get("/v1/caseload?staff_id=staff-oncall").await.items(),
        Vec::<Value>::new()
    );
    let first = admin.get("/v1/caseload?limit=1").await;
    let next = first
        .at("/next_cursor")
        .as_str()
        .expect("a second page")
        .to_owned();
    let second = admin.get(&format!("/v1/caseload?limit=1&cursor={next}")).await;
    assert_eq!(
        (column(&second, "client_id"), second.at("/next_cursor")),
        (vec![json!("client-b")], &Value::Null)
    );
    assert_eq!(h.call("counselor").get("/v1/caseload").await.code(), 403);
}
