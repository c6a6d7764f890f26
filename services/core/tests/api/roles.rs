//! Roles of staff: given and taken by admins, effective at once.

use serde_json::{Value, json};

use crate::harness::{Harness, comes_to_answer, pointers};

#[tokio::test]
async fn a_role_is_given_once_and_says_by_whom() {
    let h = Harness::new().await;
    let (admin, path) = (h.call("admin"), "/v1/users/staff-auditor/roles/counselor");
    assert_eq!(h.call("auditor").get("/v1/users").await.code(), 403);
    let first = admin.put(path, &json!({})).await;
    assert_eq!((first.code(), first.at("/role")), (201, &json!("counselor")));
    assert_eq!(first.at("/granted_by"), &json!("staff-admin"));
    let again = admin.put(path, &json!({})).await;
    assert_eq!((again.code(), &again.bytes), (200, &first.bytes));
    let planted = admin
        .put("/v1/users/staff-auditor/roles/auditor", &json!({}))
        .await;
    assert_eq!((planted.code(), planted.at("/granted_by")), (200, &Value::Null));
    comes_to_answer(&h.call("auditor"), "/v1/users", 200).await;
}

#[tokio::test]
async fn a_role_that_is_taken_opens_nothing_more() {
    let h = Harness::new().await;
    let (admin, path) = (h.call("admin"), "/v1/users/staff-counselor/roles/counselor");
    assert_eq!(h.call("counselor").get("/v1/users").await.code(), 200);
    assert_eq!(admin.delete(path).await.code(), 204);
    comes_to_answer(&h.call("counselor"), "/v1/users", 403).await;
    assert_eq!(admin.delete(path).await.code(), 404, "it is not there any more");
}

#[tokio::test]
async fn roles_are_for_staff_and_given_by_admins() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let admin = h.call("admin");
    let client = "/v1/users/client-a/roles/counselor";
    for refused in [admin.put(client, &json!({})).await, admin.delete(client).await] {
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/user_id".to_owned()])
        );
    }
    for path in [
        "/v1/users/nobody/roles/counselor",
        "/v1/users/staff-counselor/roles/client",
        "/v1/users/staff-counselor/roles/king",
        "/v1/users/staff-counselor/roles/Admin",
    ] {
        assert_eq!(admin.put(path, &json!({})).await.code(), 404, "{path}");
        assert_eq!(admin.delete(path).await.code(), 404, "{path}");
    }
    let path = "/v1/users/staff-counselor/roles/admin";
    for caller in [
        "counselor",
        "supervisor",
        "oncall",
        "auditor",
        "app",
        "pipeline",
        "service",
        "client-a",
    ] {
        assert_eq!(h.call(caller).put(path, &json!({})).await.code(), 403, "{caller}");
        assert_eq!(h.call(caller).delete(path).await.code(), 403, "{caller}");
    }
    let with_body = admin.put(path, &json!({"until": 1})).await;
    assert_eq!(
        (with_body.code(), pointers(&with_body)),
        (422, vec!["/until".to_owned()])
    );
    let roles = "select count(*) from core.staff_roles";
    assert_eq!(h.database.count(roles).await, 6);
}

#[tokio::test]
async fn nobody_takes_away_the_last_active_admin() {
    let h = Harness::new().await;
    let (admin, own) = (h.call("admin"), "/v1/users/staff-admin/roles/admin");
    let refused = admin.delete(own).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    h.run(
        "insert into core.staff_roles (user_id, role) values ('staff-auditor', 'admin');
         update core.users set status = 'suspended' where user_id = 'staff-auditor'",
    )
    .await;
    assert_eq!(
        admin.delete(own).await.code(),
        409,
        "a suspended admin makes nobody one"
    );
    h.run("update core.users set status = 'active' where user_id = 'staff-auditor'")
        .await;
    assert_eq!(admin.delete(own).await.code(), 204);
}

#[tokio::test]
async fn of_two_admins_who_take_each_other_away_at_once_one_stays() {
    let h = Harness::new().await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-auditor', 'admin')")
        .await;
    let (one, other) = (h.call("admin"), h.call("auditor"));
    let (first, second) = tokio::join!(
        one.delete("/v1/users/staff-auditor/roles/admin"),
        other.delete("/v1/users/staff-admin/roles/admin")
    );
    let mut codes = [first.code(), second.code()];
    codes.sort_unstable();
    assert!(codes == [204, 409] || codes == [204, 403], "{codes:?}");
    let left = "select count(*) from core.staff_roles where role = 'admin'";
    assert_eq!(h.database.count(left).await, 1);
}
