//! Nobody reads outside the caseload: in lists, by id, in counts.

use serde_json::{Value, json};

use crate::harness::{Harness, scores};

/// Two counselors with a client each; both clients are in a crisis.
async fn two_caseloads() -> (Harness, [i64; 2]) {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    let mut escalations = [0; 2];
    for (n, client) in ["client-a", "client-b"].into_iter().enumerate() {
        let answer = h.writes(client, &scores(0.9, 0.1)).await;
        escalations[n] = answer.at("/escalation_id").as_i64().unwrap();
    }
    (h, escalations)
}

/// What a counselor finds of the other's client, anywhere.
async fn leaks(h: &Harness, name: &str, other: &str, escalation: i64, nudge: i64) -> Vec<String> {
    let caller = h.call(name);
    let mut found = Vec::new();
    for path in [
        format!("/v1/users/{other}/risk-profile"),
        format!("/v1/users/{other}/risk-profile/history"),
        format!("/v1/users/{other}/predictions"),
        format!("/v1/users/{other}/nudges"),
        format!("/v1/escalations/{escalation}"),
        format!("/v1/nudges/{nudge}"),
    ] {
        let answer = caller.get(&path).await;
        if answer.code() != 404 {
            found.push(format!("{path}: {}", answer.code()));
        }
    }
    for path in ["/v1/risk-profiles", "/v1/escalations", "/v1/caseload/summary"] {
        let answer = caller.get(path).await;
        if String::from_utf8_lossy(&answer.bytes).contains(other) {
            found.push(format!("{path} names {other}"));
        }
    }
    let summary = caller.get("/v1/caseload/summary").await;
    if summary.at("/labels/HIGH_RISK") != &json!(1) || summary.at("/open_escalations") != &json!(1) {
        found.push(format!("counts: {}", summary.json));
    }
    for verb in ["acknowledge", "resolve"] {
        let answer = caller
            .post(
                &format!("/v1/escalations/{escalation}/{verb}"),
                &json!({"outcome": "spoke"}),
            )
            .await;
        let refused = answer.code() == 404 || (verb == "acknowledge" && answer.code() == 422);
        if !refused {
            found.push(format!("{verb}: {}", answer.code()));
        }
    }
    found
}

async fn nudge_of(h: &Harness, client: &str) -> i64 {
    let sql = format!("select min(nudge_id) from social.nudges where user_id = '{client}'");
    h.database.count(&sql).await
}

#[tokio::test]
async fn two_counselors_see_nothing_of_each_others_clients() {
    let (h, [a, b]) = two_caseloads().await;
    let (nudge_a, nudge_b) = (nudge_of(&h, "client-a").await, nudge_of(&h, "client-b").await);
    assert_eq!(
        leaks(&h, "counselor", "client-b", b, nudge_b).await,
        Vec::<String>::new()
    );
    assert_eq!(
        leaks(&h, "counselor_other", "client-a", a, nudge_a).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn without_the_row_policies_the_same_look_finds_leaks() {
    let (h, [_, b]) = two_caseloads().await;
    let nudge = nudge_of(&h, "client-b").await;
    let admin = h.database.superuser().await;
    for table in [
        "user_risk_profiles",
        "message_predictions",
        "risk_label_changes",
        "escalations",
        "nudges",
    ] {
        admin
            .run(&format!("alter table social.{table} disable row level security"))
            .await;
    }
    let found = leaks(&h, "counselor", "client-b", b, nudge).await;
    assert!(found.len() >= 6, "the look would miss a leak: {found:?}");
}

#[tokio::test]
async fn clients_apps_and_pipelines_do_not_read_clinical_lists() {
    let (h, [a, _]) = two_caseloads().await;
    for name in ["client-a", "app", "pipeline", "admin", "auditor", "service"] {
        for path in [
            "/v1/risk-profiles",
            "/v1/caseload/summary",
            "/v1/users/client-a/risk-profile",
        ] {
            assert_eq!(h.call(name).get(path).await.code(), 403, "{name} {path}");
        }
    }
    let ack = h
        .call("client-a")
        .post(&format!("/v1/escalations/{a}/acknowledge"), &json!({}))
        .await;
    assert_eq!(ack.code(), 403);
    let post = h
        .call("counselor")
        .post("/v1/messages/1/predictions", &scores(0.1, 0.1))
        .await;
    assert_eq!(post.code(), 403, "a counselor writes no predictions");
}

#[tokio::test]
async fn a_client_reads_no_other_clients_nudges() {
    let (h, _) = two_caseloads().await;
    assert_eq!(
        h.call("client-a").get("/v1/users/client-a/nudges").await.code(),
        200
    );
    assert_eq!(
        h.call("client-a").get("/v1/users/client-b/nudges").await.code(),
        404
    );
    let nudge = nudge_of(&h, "client-b").await;
    assert_eq!(
        h.call("client-a")
            .get(&format!("/v1/nudges/{nudge}"))
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn every_bad_token_is_the_same_401() {
    let h = Harness::new().await;
    let admin = h.database.superuser().await;
    admin
        .run(
            "update core.access_tokens set expires_at = now() - interval '1 second' where subject = 'staff-auditor';
             update core.access_tokens set revoked_at = now() where subject = 'staff-supervisor';
             update core.users set status = 'suspended' where user_id = 'staff-oncall';",
        )
        .await;
    let good = h.principals.token("counselor").to_owned();
    let anonymous = testkit::Client::new(&h.app.base_url());
    let mut bodies = Vec::new();
    for token in [
        h.principals.token("auditor"),
        h.principals.token("supervisor"),
        h.principals.token("oncall"),
        "rcv_nobody",
        &good[..good.len() - 1],
        &good.replace("rcv_", "xyz_"),
    ] {
        let mut answer = anonymous.with_token(token).get("/v1/caseload/summary").await;
        assert_eq!(answer.code(), 401, "{token}");
        if let Some(body) = answer.json.as_object_mut() {
            body.remove("request_id");
        }
        bodies.push(answer.json);
    }
    assert!(bodies.iter().all(|body: &Value| body == &bodies[0]), "{bodies:?}");
    assert_eq!(anonymous.get("/v1/caseload/summary").await.code(), 401);
}

#[tokio::test]
async fn a_counselor_on_call_sees_of_a_crisis_what_on_call_sees_and_no_caseload() {
    let (h, [a, _]) = two_caseloads().await;
    let admin = h.database.superuser().await;
    admin
        .run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.app.round("advance").await.unwrap();
    let both = h.call("counselor_other");
    assert_eq!(both.get(&format!("/v1/escalations/{a}")).await.code(), 200);
    assert_eq!(both.get("/v1/users/client-a/risk-profile").await.code(), 200);
    let nudge = nudge_of(&h, "client-a").await;
    for path in [
        "/v1/users/client-a/predictions".to_owned(),
        "/v1/users/client-a/nudges".to_owned(),
        format!("/v1/nudges/{nudge}"),
    ] {
        assert_eq!(both.get(&path).await.code(), 404, "{path}");
    }
    let body = json!({"nudge_type": "check_in", "nudge_message": "How are you?"});
    assert_eq!(both.post("/v1/users/client-a/nudges", &body).await.code(), 404);
}

/// What a member of staff finds of client-a: the profile, what is beyond a crisis, and the two lists.
async fn finds_of_a(h: &Harness, name: &str) -> [bool; 4] {
    let caller = h.call(name);
    let mut found = [false; 4];
    for (n, path) in ["/v1/users/client-a/risk-profile", "/v1/users/client-a/nudges"]
        .iter()
        .enumerate()
    {
        found[n] = caller.get(path).await.code() == 200;
    }
    for (n, path) in ["/v1/risk-profiles", "/v1/escalations"].iter().enumerate() {
        let answer = caller.get(path).await;
        found[n + 2] = String::from_utf8_lossy(&answer.bytes).contains("client-a");
    }
    found
}

#[tokio::test]
async fn a_break_glass_shows_the_client_while_it_is_in_force_and_no_longer() {
    let (h, _) = two_caseloads().await;
    let admin = h.database.superuser().await;
    assert_eq!(finds_of_a(&h, "counselor_other").await, [false; 4]);
    admin
        .run(
            "insert into core.break_glass_grants (staff_id, client_id, reason, expires_at)
             values ('staff-counselor_other', 'client-a', 'The counselor is away.', now() + interval '1 hour')",
        )
        .await;
    assert_eq!(finds_of_a(&h, "counselor_other").await, [true; 4]);
    admin
        .run(
            "update core.break_glass_grants
             set created_at = now() - interval '1 hour', expires_at = now() - interval '1 microsecond'",
        )
        .await;
    assert_eq!(finds_of_a(&h, "counselor_other").await, [false; 4]);
}

#[tokio::test]
async fn a_supervisor_sees_the_clients_of_the_own_team_while_the_role_is_held() {
    let (h, _) = two_caseloads().await;
    let admin = h.database.superuser().await;
    assert_eq!(finds_of_a(&h, "supervisor").await, [false; 4]);
    admin
        .run(
            "insert into core.teams (name) values ('North');
             insert into core.team_members (team_id, staff_id, part)
             select t.team_id, m.staff_id, m.part from core.teams t,
                (values ('staff-supervisor', 'supervisor'), ('staff-counselor', 'member')) as m (staff_id, part)",
        )
        .await;
    assert_eq!(finds_of_a(&h, "supervisor").await, [true; 4]);
    let other = h.call("supervisor").get("/v1/users/client-b/risk-profile").await;
    assert_eq!(other.code(), 404);
    admin
        .run(
            "insert into core.staff_roles (user_id, role) values ('staff-supervisor', 'counselor');
             delete from core.staff_roles where user_id = 'staff-supervisor' and role = 'supervisor'",
        )
        .await;
    assert_eq!(finds_of_a(&h, "supervisor").await, [false; 4]);
}

#[tokio::test]
async fn a_shift_shows_the_client_to_who_is_on_call_and_not_as_a_caseload() {
    let (h, _) = two_caseloads().await;
    let admin = h.database.superuser().await;
    admin
        .run(
            "delete from core.temporary_access;
             insert into core.temporary_access (staff_id, client_id, cause, reference, until)
             values ('staff-oncall', 'client-a', 'shift', 1, now() + interval '8 hours'),
                ('staff-counselor_other', 'client-a', 'shift', 1, now() + interval '8 hours')",
        )
        .await;
    assert_eq!(
        h.call("oncall")
            .get("/v1/users/client-a/risk-profile")
            .await
            .code(),
        200
    );
    assert_eq!(
        finds_of_a(&h, "counselor_other").await,
        [false; 4],
        "without the role it opens nothing"
    );
    admin
        .run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    assert_eq!(finds_of_a(&h, "counselor_other").await, [true, false, true, true]);
    admin.run("update core.temporary_access set until = now()").await;
    assert_eq!(finds_of_a(&h, "counselor_other").await, [false; 4]);
    assert_eq!(
        h.call("oncall")
            .get("/v1/users/client-a/risk-profile")
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn an_app_that_acts_for_nobody_who_is_a_client_gets_a_404_and_no_empty_list() {
    let (h, _) = two_caseloads().await;
    let app = h.call("app");
    for (client, code) in [("client-a", 200), ("nobody", 404), ("staff-counselor", 404)] {
        let answer = app
            .with_header("x-on-behalf-of", client)
            .get("/v1/escalations")
            .await;
        assert_eq!(answer.code(), code, "{client}");
    }
    let calm = app
        .with_header("x-on-behalf-of", "client-a")
        .get("/v1/escalations?status=resolved")
        .await;
    assert_eq!((calm.code(), calm.items()), (200, Vec::<Value>::new()));
}

#[tokio::test]
async fn a_row_has_one_address() {
    let (h, [a, _]) = two_caseloads().await;
    let nudge = nudge_of(&h, "client-a").await;
    let counselor = h.call("counselor");
    assert_eq!(counselor.get(&format!("/v1/escalations/{a}")).await.code(), 200);
    assert_eq!(counselor.get(&format!("/v1/nudges/{nudge}")).await.code(), 200);
    for other in ["+", "0", "-", "%2B", "%20"] {
        for path in [
            format!("/v1/escalations/{other}{a}"),
            format!("/v1/nudges/{other}{nudge}"),
        ] {
            assert_eq!(counselor.get(&path).await.code(), 404, "{path}");
        }
        let path = format!("/v1/messages/{other}1/predictions");
        assert_eq!(
            h.call("pipeline").post(&path, &scores(0.1, 0.1)).await.code(),
            404,
            "{path}"
        );
    }
}
