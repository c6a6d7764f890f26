//! Break-glass: an hour's sight for a reason, and a review that stays open until it is done.

use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, column, pointers};

const REASON: &str = "Called the office and sounded in danger.";

async fn take(caller: &Client, client_id: &str) -> Answer {
    caller
        .post(
            "/v1/break-glass",
            &json!({"client_id": client_id, "reason": REASON}),
        )
        .await
}

/// Puts staff (by name) into a team, the first as its supervisor.
async fn team(h: &Harness, name: &str, staff: &[&str]) {
    let mut sql = format!("insert into core.teams (name) values ('{name}');");
    for (n, staff) in staff.iter().enumerate() {
        let part = if n == 0 { "supervisor" } else { "member" };
        sql.push_str(&format!(
            "insert into core.team_members (team_id, staff_id, part)
             select t.team_id, 'staff-{staff}', '{part}' from core.teams t where t.name = '{name}';"
        ));
    }
    h.run(&sql).await;
}

#[tokio::test]
async fn a_grant_shows_the_client_like_the_own_caseload_and_the_others_are_told_without_the_reason() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.messages("client-a", 30).await;
    let other = h.call("counselor_other");
    assert_eq!(other.get("/v1/users/client-a").await.code(), 404);
    let taken = take(&other, "client-a").await;
    assert_eq!((taken.code(), taken.at("/client_id")), (201, &json!("client-a")));
    assert_eq!(taken.at("/reason"), &Value::Null);
    assert_eq!(other.get("/v1/users/client-a").await.code(), 200);
    assert_eq!(column(&other.get("/v1/users").await, "user_id"), ["client-a"]);
    assert_eq!(
        other
            .get("/v1/users/client-a/messages?limit=200")
            .await
            .items()
            .len(),
        30
    );
    let told = h.events("core.breakglass.granted").await;
    assert_eq!(told.len(), 1);
    assert!(
        !told[0].to_string().contains("staff-"),
        "an event names nobody but its subject"
    );
    assert_eq!(told[0]["user_id"], json!("client-a"));
    assert_eq!(told[0]["expires_at"], *taken.at("/expires_at"));
    assert!(!told[0].to_string().contains("danger"));
    let hour =
        "select count(*) from core.break_glass_grants where expires_at = created_at + interval '1 hour'";
    assert_eq!(h.database.count(hour).await, 1);
}

#[tokio::test]
async fn a_grant_shows_nobody_else_and_to_nobody_else() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    assert_eq!(take(&h.call("counselor_other"), "client-a").await.code(), 201);
    assert_eq!(
        h.call("counselor_other").get("/v1/users/client-b").await.code(),
        404
    );
    assert_eq!(
        h.call("oncall").get("/v1/users/client-a/messages").await.code(),
        404
    );
}

#[tokio::test]
async fn staff_on_call_get_of_it_what_their_role_opens() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.messages("client-a", 30).await;
    let oncall = h.call("oncall");
    assert_eq!(oncall.get("/v1/users/client-a/messages").await.code(), 404);
    assert_eq!(take(&oncall, "client-a").await.code(), 201);
    assert_eq!(
        oncall
            .get("/v1/users/client-a/messages?limit=200")
            .await
            .items()
            .len(),
        20
    );
    assert_eq!(oncall.get("/v1/users/client-a").await.code(), 403);
}

#[tokio::test]
async fn a_grant_that_is_over_shows_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let other = h.call("counselor_other");
    take(&other, "client-a").await;
    assert_eq!(other.get("/v1/users/client-a").await.code(), 200);
    h.run(
        "update core.break_glass_grants
         set created_at = now() - interval '1 hour', expires_at = now() - interval '1 microsecond'",
    )
    .await;
    assert_eq!(other.get("/v1/users/client-a").await.code(), 404);
    assert_eq!(other.get("/v1/users").await.items(), Vec::<Value>::new());
    assert_eq!(
        take(&other, "client-a").await.code(),
        201,
        "another one can be taken"
    );
}

#[tokio::test]
async fn while_a_grant_is_in_force_asking_again_finds_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let other = h.call("counselor_other");
    let first = take(&other, "client-a").await;
    let again = take(&other, "client-a").await;
    assert_eq!((again.code(), &again.bytes), (200, &first.bytes));
    assert_eq!(
        take(&h.call("oncall"), "client-a").await.code(),
        201,
        "each has the own"
    );
    let (a, b) = tokio::join!(take(&other, "client-a"), take(&other, "client-a"));
    assert_eq!((a.code(), b.code()), (200, 200));
    assert_eq!(h.events("core.breakglass.granted").await.len(), 2);
}

#[tokio::test]
async fn who_asks_while_the_same_is_being_granted_waits_and_finds_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let first = h.database.superuser().await;
    first
        .run(&format!(
            "begin;
             select user_id from core.users where user_id = 'staff-counselor_other' for no key update;
             insert into core.break_glass_grants (staff_id, client_id, reason, expires_at)
             values ('staff-counselor_other', 'client-a', '{REASON}', now() + interval '1 hour')"
        ))
        .await;
    let other = h.call("counselor_other");
    let waits = async {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        while h.database.count(waiting).await == 0 {}
    };
    let mut asked = std::pin::pin!(take(&other, "client-a"));
    tokio::select! {
        answer = &mut asked => panic!("it did not wait: {}", answer.code()),
        () = waits => {}
    }
    first.run("commit").await;
    assert_eq!(asked.await.code(), 200);
    let grants = "select count(*) from core.break_glass_grants";
    assert_eq!(h.database.count(grants).await, 1);
}

#[tokio::test]
async fn who_takes_ten_within_a_day_takes_no_more() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run(&format!(
        "insert into core.break_glass_grants (staff_id, client_id, reason, created_at, expires_at)
         select 'staff-counselor_other', 'client-a', '{REASON}', t.at, t.at + interval '1 hour'
         from (select now() - interval '23 hours' + n * interval '1 minute' as at from generate_series(1, 10) as n) as t"
    ))
    .await;
    let other = h.call("counselor_other");
    let refused = take(&other, "client-a").await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (429, &json!("/problems/too-many-requests"))
    );
    let detail = refused.at("/detail").as_str().unwrap();
    assert!(
        detail.starts_with("You took 10 grants within 24 hours"),
        "{detail}"
    );
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3_500..=3_660).contains(&seconds), "{seconds}");
    assert_eq!(other.get("/v1/users/client-a").await.code(), 404);
    assert_eq!(h.events("core.breakglass.granted").await.len(), 0);
    assert_eq!(
        take(&h.call("oncall"), "client-a").await.code(),
        201,
        "each has the own count"
    );
    h.run(
        "update core.break_glass_grants
         set created_at = created_at - interval '2 hours', expires_at = expires_at - interval '2 hours'
         where grant_id = (select min(grant_id) from core.break_glass_grants)",
    )
    .await;
    assert_eq!(
        take(&other, "client-a").await.code(),
        201,
        "one is older than a day"
    );
}

#[tokio::test]
async fn a_review_stays_open_until_it_is_done() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let taken = take(&h.call("counselor_other"), "client-a").await;
    let supervisor = h.call("supervisor");
    h.run(
        "update core.break_glass_grants
         set created_at = now() - interval '40 days', expires_at = now() - interval '40 days' + interval '1 hour'",
    )
    .await;
    let open = supervisor.get("/v1/break-glass?state=open").await;
    assert_eq!(column(&open, "reason"), [REASON]);
    assert_eq!(open.at("/items/0/reviewed_at"), &Value::Null);
    let review = format!("/v1/break-glass/{}/review", taken.at("/id"));
    let done = supervisor.post(&review, &json!({"note": "Rightly so."})).await;
    assert_eq!(
        (done.code(), done.at("/reviewed_by")),
        (200, &json!("staff-supervisor"))
    );
    assert_eq!(
        supervisor.get("/v1/break-glass?state=open").await.items(),
        Vec::<Value>::new()
    );
    let reviewed = supervisor.get("/v1/break-glass?state=reviewed").await;
    assert_eq!(column(&reviewed, "review_note"), ["Rightly so."]);
    assert_eq!(supervisor.get("/v1/break-glass").await.items().len(), 1);
    let again = supervisor.post(&review, &json!({})).await;
    assert_eq!(
        (again.code(), again.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    let told = h.events("core.breakglass.reviewed").await;
    assert_eq!(told.len(), 1);
    assert!(
        !told[0].to_string().contains("staff-"),
        "an event names nobody but its subject"
    );
    assert!(!told[0].to_string().contains("Rightly"));
}

#[tokio::test]
async fn nobody_reviews_the_own() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-supervisor', 'oncall'), ('staff-auditor', 'supervisor')")
        .await;
    let taken = take(&h.call("supervisor"), "client-a").await;
    let review = format!("/v1/break-glass/{}/review", taken.at("/id"));
    let refused = h.call("supervisor").post(&review, &json!({})).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (403, &json!("/problems/forbidden"))
    );
    assert_eq!(h.events("core.breakglass.reviewed").await.len(), 0);
    assert_eq!(h.call("auditor").post(&review, &json!({})).await.code(), 200);
}

#[tokio::test]
async fn a_grant_is_reviewed_by_who_leads_the_staff_or_the_client_s_counselor() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-auditor', 'supervisor'), ('staff-admin', 'supervisor')")
        .await;
    team(&h, "of the client", &["supervisor", "counselor"]).await;
    team(&h, "of the staff", &["auditor", "counselor_other"]).await;
    team(&h, "of neither", &["admin", "oncall"]).await;
    let taken = take(&h.call("counselor_other"), "client-a").await;
    for (name, sees) in [("supervisor", 1), ("auditor", 1), ("admin", 0)] {
        let listed = h.call(name).get("/v1/break-glass?state=open").await;
        assert_eq!(listed.items().len(), sees, "{name}");
    }
    let review = format!("/v1/break-glass/{}/review", taken.at("/id"));
    assert_eq!(h.call("admin").post(&review, &json!({})).await.code(), 404);
    h.run(
        "update core.users set status = 'suspended' where user_id = 'staff-auditor';
           delete from core.staff_roles where user_id = 'staff-supervisor'",
    )
    .await;
    assert_eq!(
        h.call("admin").post(&review, &json!({})).await.code(),
        200,
        "nobody whose team has a part in it is left"
    );
}

#[tokio::test]
async fn every_refusal_of_a_break_glass_is_named() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let caller = h.call("counselor");
    for (body, named) in [
        (json!({}), vec!["/client_id", "/reason"]),
        (
            json!({"client_id": "client-a", "reason": "too short"}),
            vec!["/reason"],
        ),
        (
            json!({"client_id": "client-a", "reason": " ".repeat(30)}),
            vec!["/reason"],
        ),
        (
            json!({"client_id": "client-a", "reason": "x".repeat(2_001)}),
            vec!["/reason"],
        ),
        (
            json!({"client_id": "client-a", "reason": "a\u{0}bcdefghijk"}),
            vec!["/reason"],
        ),
        (json!({"client_id": "a b", "reason": REASON}), vec!["/client_id"]),
        (
            json!({"client_id": "client-a", "reason": REASON, "minutes": 120}),
            vec!["/minutes"],
        ),
    ] {
        let refused = caller.post("/v1/break-glass", &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, named.into_iter().map(str::to_owned).collect())
        );
    }
    assert_eq!(
        h.database
            .count("select count(*) from core.break_glass_grants")
            .await,
        0
    );
}

#[tokio::test]
async fn break_glass_is_for_who_cares_for_clients_and_its_review_for_supervisors() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let caller = h.call("counselor");
    for absent in ["nobody", "staff-counselor_other"] {
        assert_eq!(take(&caller, absent).await.code(), 404, "{absent}");
    }
    for name in [
        "supervisor",
        "admin",
        "auditor",
        "app",
        "pipeline",
        "service",
        "client-a",
    ] {
        assert_eq!(take(&h.call(name), "client-a").await.code(), 403, "{name}");
    }
    for name in [
        "counselor",
        "oncall",
        "admin",
        "auditor",
        "app",
        "pipeline",
        "service",
        "client-a",
    ] {
        assert_eq!(h.call(name).get("/v1/break-glass").await.code(), 403, "{name}");
        assert_eq!(
            h.call(name)
                .post("/v1/break-glass/1/review", &json!({}))
                .await
                .code(),
            403,
            "{name}"
        );
    }
    let supervisor = h.call("supervisor");
    for id in ["1", "0", "+1", "01", "-1", "x", "99999999999999999999"] {
        let path = format!("/v1/break-glass/{id}/review");
        assert_eq!(supervisor.post(&path, &json!({})).await.code(), 404, "{id}");
    }
    assert_eq!(supervisor.get("/v1/break-glass?state=closed").await.code(), 422);
    let note = json!({"note": "x".repeat(2_001)});
    let refused = supervisor.post("/v1/break-glass/1/review", &note).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/note".to_owned()])
    );
    assert_eq!(
        h.database
            .count("select count(*) from core.break_glass_grants")
            .await,
        0
    );
}
