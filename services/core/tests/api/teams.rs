//! Teams: a supervisor sees the clients of everybody in them, for as long as all of it lasts.

use serde_json::{Value, json};

use crate::harness::{Harness, column, comes_to_answer, pointers};

/// A team in which the supervisor leads the counselor; returns its path.
async fn led_team(h: &Harness) -> String {
    let made = h.call("admin").post("/v1/teams", &json!({"name": "North"})).await;
    assert_eq!(made.code(), 201);
    let team = format!("/v1/teams/{}", made.at("/team_id"));
    for (staff, part) in [("supervisor", "supervisor"), ("counselor", "member")] {
        let path = format!("{team}/members/staff-{staff}");
        assert_eq!(
            h.call("admin").put(&path, &json!({"part": part})).await.code(),
            201
        );
    }
    team
}

#[tokio::test]
async fn a_supervisor_sees_the_clients_of_the_teams_that_are_led_and_no_others() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    let supervisor = h.call("supervisor");
    assert_eq!(supervisor.get("/v1/users/client-a").await.code(), 404);
    led_team(&h).await;
    assert_eq!(
        column(&supervisor.get("/v1/users").await, "user_id"),
        ["client-a"]
    );
    assert_eq!(supervisor.get("/v1/users/client-a").await.code(), 200);
    assert_eq!(supervisor.get("/v1/users/client-a/messages").await.code(), 200);
    assert_eq!(supervisor.get("/v1/users/client-b").await.code(), 404);
    assert_eq!(
        column(&h.call("counselor").get("/v1/users").await, "user_id"),
        ["client-a"],
        "a member sees the own caseload"
    );
}

#[tokio::test]
async fn a_client_of_two_in_a_team_is_listed_once() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor", "counselor_other", "supervisor"])
        .await;
    let team = led_team(&h).await;
    let path = format!("{team}/members/staff-counselor_other");
    h.call("admin").put(&path, &json!({"part": "member"})).await;
    let seen = h.call("supervisor").get("/v1/users").await;
    assert_eq!(column(&seen, "user_id"), ["client-a"]);
}

#[tokio::test]
async fn what_a_team_shows_ends_with_the_assignment_the_membership_the_part_and_the_role() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let team = led_team(&h).await;
    let (admin, supervisor) = (h.call("admin"), h.call("supervisor"));
    let sees = async || {
        let (list, one) = (
            supervisor.get("/v1/users").await,
            supervisor.get("/v1/users/client-a").await,
        );
        assert_eq!(
            list.items().len() == 1,
            one.code() == 200,
            "both forms of the actor agree"
        );
        one.code() == 200
    };
    assert!(sees().await);

    let assignment = "/v1/caseload/staff-counselor/client-a";
    assert_eq!(admin.delete(assignment).await.code(), 204);
    assert!(!sees().await, "the assignment has ended");
    admin.put(assignment, &json!({})).await;
    assert!(sees().await);

    let member = format!("{team}/members/staff-counselor");
    assert_eq!(admin.delete(&member).await.code(), 204);
    assert!(!sees().await, "the counselor has left the team");
    admin.put(&member, &json!({"part": "member"})).await;
    assert!(sees().await);

    let lead = format!("{team}/members/staff-supervisor");
    assert_eq!(admin.put(&lead, &json!({"part": "member"})).await.code(), 200);
    assert!(!sees().await, "the supervisor leads no more");
    admin.put(&lead, &json!({"part": "supervisor"})).await;
    assert!(sees().await);

    h.run("insert into core.staff_roles (user_id, role) values ('staff-supervisor', 'counselor')")
        .await;
    let role = "/v1/users/staff-supervisor/roles/supervisor";
    assert_eq!(admin.delete(role).await.code(), 204);
    comes_to_answer(&supervisor, "/v1/users/client-a", 404).await;
    assert!(!sees().await, "the role has been taken");
}

#[tokio::test]
async fn a_team_has_as_many_supervisors_as_it_is_given() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let team = led_team(&h).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-auditor', 'supervisor')")
        .await;
    let path = format!("{team}/members/staff-auditor");
    h.call("admin").put(&path, &json!({"part": "supervisor"})).await;
    for name in ["supervisor", "auditor"] {
        assert_eq!(h.call(name).get("/v1/users/client-a").await.code(), 200, "{name}");
    }
    let listed = h.call("admin").get("/v1/teams").await;
    assert_eq!(listed.at("/items/0/name"), &json!("North"));
    let members = listed
        .at("/items/0/members")
        .as_array()
        .cloned()
        .unwrap_or_default();
    let members: Vec<(&Value, &Value)> = members.iter().map(|m| (&m["staff_id"], &m["part"])).collect();
    assert_eq!(
        members,
        [
            (&json!("staff-auditor"), &json!("supervisor")),
            (&json!("staff-supervisor"), &json!("supervisor")),
            (&json!("staff-counselor"), &json!("member")),
        ]
    );
}

#[tokio::test]
async fn a_crisis_in_the_team_is_no_crisis_only_to_its_supervisor() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-supervisor', 'oncall')")
        .await;
    h.crisis("client-a", "supervisor").await;
    h.messages("client-a", 30).await;
    let supervisor = h.call("supervisor");
    let messages = "/v1/users/client-a/messages?limit=200";
    assert_eq!(supervisor.get(messages).await.items().len(), 20);
    assert_eq!(supervisor.get("/v1/users/client-a").await.code(), 404);
    led_team(&h).await;
    assert_eq!(supervisor.get(messages).await.items().len(), 30);
    assert_eq!(supervisor.get("/v1/users/client-a").await.code(), 200);
    assert_eq!(
        column(&supervisor.get("/v1/users").await, "user_id"),
        ["client-a"]
    );
}

#[tokio::test]
async fn saying_it_twice_changes_nothing_in_a_team() {
    let h = Harness::new().await;
    let team = led_team(&h).await;
    let (admin, path) = (h.call("admin"), format!("{team}/members/staff-oncall"));
    let first = admin.put(&path, &json!({"part": "member"})).await;
    let again = admin.put(&path, &json!({"part": "member"})).await;
    assert_eq!(
        (first.code(), again.code(), &again.bytes),
        (201, 200, &first.bytes)
    );
    assert_eq!(admin.delete(&path).await.code(), 204);
    assert_eq!(admin.delete(&path).await.code(), 404);
}

#[tokio::test]
async fn every_refusal_of_a_team_is_named() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let team = led_team(&h).await;
    let admin = h.call("admin");
    let taken = admin.post("/v1/teams", &json!({"name": "North"})).await;
    assert_eq!(
        (taken.code(), taken.at("/type")),
        (409, &json!("/problems/taken"))
    );
    assert_eq!(pointers(&taken), ["/name"]);
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "x".repeat(256)}), "/name"),
        (json!({"name": "South", "supervisor": "x"}), "/supervisor"),
    ] {
        let refused = admin.post("/v1/teams", &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()])
        );
    }
    let member = json!({"part": "member"});
    for (path, body, pointer) in [
        (format!("{team}/members/client-a"), &member, "/staff_id"),
        (format!("{team}/members/staff-oncall"), &json!({}), "/part"),
        (
            format!("{team}/members/staff-oncall"),
            &json!({"part": "lead"}),
            "/part",
        ),
    ] {
        let refused = admin.put(&path, body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()]),
            "{path}"
        );
    }
    for path in [
        format!("{team}/members/nobody"),
        "/v1/teams/9999/members/staff-oncall".to_owned(),
        "/v1/teams/0/members/staff-oncall".to_owned(),
        "/v1/teams/+1/members/staff-oncall".to_owned(),
        "/v1/teams/x/members/staff-oncall".to_owned(),
    ] {
        assert_eq!(admin.put(&path, &member).await.code(), 404, "{path}");
        assert_eq!(admin.delete(&path).await.code(), 404, "{path}");
    }
}

#[tokio::test]
async fn teams_are_made_and_filled_by_admins() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let team = led_team(&h).await;
    let member = json!({"part": "member"});
    for caller in [
        "counselor",
        "oncall",
        "supervisor",
        "auditor",
        "app",
        "pipeline",
        "service",
        "client-a",
    ] {
        let caller = h.call(caller);
        let path = format!("{team}/members/staff-oncall");
        assert_eq!(caller.get("/v1/teams").await.code(), 403);
        assert_eq!(
            caller.post("/v1/teams", &json!({"name": "South"})).await.code(),
            403
        );
        assert_eq!(caller.put(&path, &member).await.code(), 403);
        assert_eq!(caller.delete(&path).await.code(), 403);
    }
    assert_eq!(h.database.count("select count(*) from core.teams").await, 1);
    assert_eq!(
        h.database.count("select count(*) from core.team_members").await,
        2
    );
}

#[tokio::test]
async fn a_team_that_is_full_takes_nobody_more() {
    let h = Harness::new().await;
    let team = led_team(&h).await;
    h.run(
        "insert into core.users (user_id, kind) select 'extra-' || n, 'staff' from generate_series(1, 198) as n;
         insert into core.team_members (team_id, staff_id, part)
         select t.team_id, 'extra-' || n, 'member' from core.teams t, generate_series(1, 198) as n",
    )
    .await;
    let admin = h.call("admin");
    let refused = admin
        .put(
            &format!("{team}/members/staff-oncall"),
            &json!({"part": "member"}),
        )
        .await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    let changed = admin
        .put(&format!("{team}/members/extra-1"), &json!({"part": "supervisor"}))
        .await;
    assert_eq!(changed.code(), 200, "who is in it may get another part");
}

#[tokio::test]
async fn teams_come_in_pages() {
    let h = Harness::new().await;
    let admin = h.call("admin");
    for name in ["A", "B", "C"] {
        admin.post("/v1/teams", &json!({"name": name})).await;
    }
    let first = admin.get("/v1/teams?limit=2").await;
    assert_eq!(column(&first, "name"), ["A", "B"]);
    let next = first
        .at("/next_cursor")
        .as_str()
        .expect("a second page")
        .to_owned();
    let second = admin.get(&format!("/v1/teams?limit=2&cursor={next}")).await;
    assert_eq!(
        (column(&second, "name"), second.at("/next_cursor")),
        (vec![json!("C")], &Value::Null)
    );
}
