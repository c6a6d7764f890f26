//! Episodes: opened once, joined, acknowledged by one, resolved with an outcome.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Harness, calm, scores};

/// A client in a crisis; returns the escalation.
pub(crate) async fn crisis(h: &mut Harness, user_id: &str) -> i64 {
    let answer = h.writes(user_id, &scores(0.9, 0.5)).await;
    assert_eq!(answer.at("/profile/current_risk_label"), &json!("HIGH_RISK"));
    answer.at("/escalation_id").as_i64().expect("an escalation")
}

#[tokio::test]
async fn a_high_risk_label_opens_an_escalation_and_tells_counselors_and_on_call() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let seen = h.call("oncall").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(seen.code(), 200);
    assert_eq!(seen.at("/status"), &json!("notified"));
    assert_eq!(seen.at("/urgency"), &json!("critical"));
    assert_eq!(seen.at("/trigger_data/0/code"), &json!("max_risk_score"));
    let told = h
        .database
        .query("select staff_id from social.notification_deliveries order by staff_id")
        .await;
    let told: Vec<&str> = told.iter().map(|row| row.get("staff_id")).collect();
    assert_eq!(told, ["staff-counselor", "staff-oncall"]);
    assert_eq!(h.events("social.escalation.raised").await.len(), 1);
    assert_eq!(h.events("social.escalation.notified").await.len(), 1);
}

#[tokio::test]
async fn what_others_are_to_act_on_is_said_and_not_left_blank() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let episode = crisis(&mut h, "client-a").await;
    let raised = json!({"user_id": "client-a", "urgency": "high", "reason": " "});
    let path = |verb: &str| format!("/v1/escalations/{episode}/{verb}");
    for (path, body, pointer) in [
        ("/v1/escalations".to_owned(), raised, "/reason"),
        (path("comments"), json!({"comment": "\t\n"}), "/comment"),
        (path("cancel"), json!({"reason": "\u{a0}"}), "/reason"),
    ] {
        let refused = h.call("counselor").post(&path, &body).await;
        assert_eq!(
            (refused.code(), refused.at("/errors/0/pointer")),
            (422, &json!(pointer)),
            "{path}: {}",
            refused.json
        );
    }
}

#[tokio::test]
async fn a_second_trigger_joins_the_open_episode_and_tells_nobody_twice() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let first = crisis(&mut h, "client-a").await;
    let second = crisis(&mut h, "client-a").await;
    assert_eq!(first, second);
    let seen = h.call("counselor").get(&format!("/v1/escalations/{first}")).await;
    assert_eq!(seen.at("/trigger_count"), &json!(2));
    assert_eq!(
        h.database
            .count("select count(*) from social.notification_deliveries")
            .await,
        2
    );
    assert_eq!(h.events("social.escalation.raised").await.len(), 1);
}

#[tokio::test]
async fn a_calm_message_of_a_client_at_high_risk_is_no_further_trigger() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let calm = h.writes("client-a", &calm()).await;
    assert_eq!(calm.at("/profile/current_risk_label"), &json!("HIGH_RISK"));
    assert_eq!(calm.at("/escalation_id"), &Value::Null);
    let seen = h.call("counselor").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(seen.at("/trigger_count"), &json!(1));
}

#[tokio::test]
async fn two_who_acknowledge_at_once_are_one_winner_and_one_conflict() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let path = format!("/v1/escalations/{id}/acknowledge");
    let (counselor, oncall) = (h.call("counselor"), h.call("oncall"));
    let empty = json!({});
    let (one, other) = tokio::join!(counselor.post(&path, &empty), oncall.post(&path, &empty));
    let mut codes = [one.code(), other.code()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 409]);
    assert_eq!(h.events("social.escalation.acknowledged").await.len(), 1);
}

#[tokio::test]
async fn an_acknowledgement_without_contact_runs_out() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let taken = h
        .call("oncall")
        .post(
            &format!("/v1/escalations/{id}/acknowledge"),
            &json!({"lease_minutes": 10}),
        )
        .await;
    assert_eq!(taken.at("/ack_expires_at"), &json!("2026-06-15T12:10:00Z"));
    h.clock.advance(TimeDelta::minutes(9));
    assert_eq!(h.app.round("advance").await.unwrap(), 0);
    h.clock.advance(TimeDelta::minutes(1));
    // It is taken back, and both who were told of the tier are told again.
    assert_eq!(h.app.round("advance").await.unwrap(), 3);
    assert_eq!(h.app.round("advance").await.unwrap(), 0);
    let seen = h.call("counselor").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(
        (seen.at("/status"), seen.at("/acknowledged_by")),
        (&json!("notified"), &Value::Null)
    );
    let again = h
        .call("counselor")
        .post(&format!("/v1/escalations/{id}/acknowledge"), &json!({}))
        .await;
    assert_eq!(again.code(), 200);
}

#[tokio::test]
async fn resolving_records_the_contact_and_ends_the_access_of_on_call_staff() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    assert_eq!(
        h.call("oncall")
            .get("/v1/users/client-a/risk-profile")
            .await
            .code(),
        200
    );
    let resolved = h
        .call("oncall")
        .post(
            &format!("/v1/escalations/{id}/resolve"),
            &json!({"outcome": "spoke", "notes": "calmer now"}),
        )
        .await;
    assert_eq!(
        (resolved.code(), resolved.at("/status")),
        (200, &json!("resolved"))
    );
    assert_eq!(
        h.call("oncall")
            .get("/v1/users/client-a/risk-profile")
            .await
            .code(),
        404
    );
    let caseload = h.call("counselor").get("/v1/risk-profiles").await;
    assert_eq!(caseload.at("/items/0/last_contact/outcome"), &json!("spoke"));
    assert_eq!(caseload.at("/items/0/open_escalations"), &json!([]));
    let again = h
        .call("counselor")
        .post(
            &format!("/v1/escalations/{id}/resolve"),
            &json!({"outcome": "spoke"}),
        )
        .await;
    assert_eq!(again.code(), 409);
    let ack = h
        .call("counselor")
        .post(&format!("/v1/escalations/{id}/acknowledge"), &json!({}))
        .await;
    assert_eq!(ack.code(), 409);
}

#[tokio::test]
async fn after_a_resolution_new_evidence_opens_a_new_episode() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let first = crisis(&mut h, "client-a").await;
    h.call("counselor")
        .post(
            &format!("/v1/escalations/{first}/resolve"),
            &json!({"outcome": "spoke"}),
        )
        .await;
    let second = crisis(&mut h, "client-a").await;
    assert_ne!(first, second);
}

#[tokio::test]
async fn an_escalation_that_nobody_can_be_told_of_stays_pending_until_somebody_can() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let admin = h.database.superuser().await;
    admin
        .run("delete from core.staff_roles where role in ('oncall', 'supervisor')")
        .await;
    let id = crisis(&mut h, "client-a").await;
    assert_eq!(h.app.round("advance").await.unwrap(), 0);
    let status =
        format!("select count(*) from social.escalations where escalation_id = {id} and status = 'pending'");
    assert_eq!(h.database.count(&status).await, 1);
    admin
        .run("insert into core.staff_roles (user_id, role) values ('staff-oncall', 'oncall')")
        .await;
    assert_eq!(h.app.round("advance").await.unwrap(), 1);
    assert_eq!(
        h.call("oncall")
            .get(&format!("/v1/escalations/{id}"))
            .await
            .code(),
        200
    );
}

#[tokio::test]
async fn the_database_refuses_an_illegal_move() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    h.call("counselor")
        .post(
            &format!("/v1/escalations/{id}/resolve"),
            &json!({"outcome": "false_alarm"}),
        )
        .await;
    let tx = h.database.pools("social").begin_worker().await.unwrap();
    let error = tx
        .execute(
            "update social.escalations set status = 'notified', resolved_at = null where escalation_id = $1",
            &[&id],
        )
        .await
        .expect_err("resolved is final");
    assert_eq!(error.constraint(), Some("ck_escalations_move"));
}

#[tokio::test]
async fn a_client_sees_that_help_is_coming_and_nothing_of_why() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let own = h.call("client-a").get(&format!("/v1/escalations/{id}")).await;
    let mut fields: Vec<&String> = own.json.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["escalation_id", "status", "timestamp", "user_id"]);
    let through_app = h
        .call("app")
        .with_header("x-on-behalf-of", "client-a")
        .get("/v1/escalations")
        .await;
    assert_eq!(through_app.items().len(), 1);
    assert_eq!(h.call("app").get("/v1/escalations").await.code(), 400);
}

#[tokio::test]
async fn an_erased_client_leaves_an_escalation_that_names_nobody() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    h.database
        .superuser()
        .await
        .run("delete from core.users where user_id = 'client-a'")
        .await;
    let left = format!(
        "select count(*) from social.escalations where escalation_id = {id} and user_id is null
         and status = 'cancelled' and risk_score is null and trigger_reason is null and trigger_data is null"
    );
    assert_eq!(h.database.count(&left).await, 1);
}

#[tokio::test]
async fn who_comes_on_call_later_is_told_and_sees_the_client() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let admin = h.database.superuser().await;
    admin
        .run("insert into core.staff_roles (user_id, role) values ('staff-supervisor', 'oncall')")
        .await;
    assert_eq!(
        h.call("supervisor")
            .get(&format!("/v1/escalations/{id}"))
            .await
            .code(),
        404
    );
    assert_eq!(h.app.round("advance").await.unwrap(), 1);
    assert_eq!(h.app.round("advance").await.unwrap(), 0);
    assert_eq!(
        h.call("supervisor")
            .get(&format!("/v1/escalations/{id}"))
            .await
            .code(),
        200
    );
    admin
        .run("delete from core.staff_roles where user_id = 'staff-supervisor' and role = 'oncall'")
        .await;
    h.app.round("duty").await.unwrap();
    assert_eq!(
        h.call("supervisor")
            .get(&format!("/v1/escalations/{id}"))
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn a_counselor_whose_assignment_ends_sees_nothing_more_although_an_episode_is_open() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    h.database
        .superuser()
        .await
        .run("update core.caseload_assignments set ends_at = now()")
        .await;
    assert_eq!(
        h.call("counselor")
            .get(&format!("/v1/escalations/{id}"))
            .await
            .code(),
        404
    );
    assert_eq!(
        h.call("counselor")
            .get("/v1/users/client-a/risk-profile")
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn a_renewed_acknowledgement_keeps_the_time_of_the_first() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let id = crisis(&mut h, "client-a").await;
    let path = format!("/v1/escalations/{id}/acknowledge");
    let first = h.call("oncall").post(&path, &json!({})).await;
    h.clock.advance(TimeDelta::minutes(20));
    let again = h.call("oncall").post(&path, &json!({})).await;
    assert_eq!(first.at("/acknowledged_at"), again.at("/acknowledged_at"));
    assert_ne!(first.at("/ack_expires_at"), again.at("/ack_expires_at"));
}

#[tokio::test]
async fn a_client_learns_no_urgency_by_filtering() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    crisis(&mut h, "client-a").await;
    for query in ["urgency=critical", "urgency=low", "mine=true"] {
        assert_eq!(
            h.call("client-a")
                .get(&format!("/v1/escalations?{query}"))
                .await
                .code(),
            422,
            "{query}"
        );
    }
}
