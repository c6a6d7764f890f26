//! Policies: tier after tier is told until somebody answers, and what staff do with an episode meanwhile.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, scores};

/// A harness with a client whose counselor is `staff-counselor`.
async fn harness() -> Harness {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h
}

async fn crisis(h: &mut Harness) -> i64 {
    let answer = h.writes("client-a", &scores(0.9, 0.5)).await;
    answer.at("/escalation_id").as_i64().expect("an escalation")
}

/// Makes this policy the active one; returns its id.
async fn follow(h: &Harness, policy: &Value) -> i64 {
    let made = h.call("supervisor").post("/v1/escalation-policies", policy).await;
    assert_eq!(made.code(), 201, "{}", made.json);
    let id = made.at("/policy_id").as_i64().unwrap();
    let path = format!("/v1/escalation-policies/{id}/activate");
    let active = h.call("admin").post(&path, &json!({})).await;
    assert_eq!((active.code(), active.at("/active")), (200, &json!(true)));
    id
}

/// Counselors, then whoever is on duty after 10 minutes, then supervisors after 20 more.
fn two_tiers(repeats: i32) -> Value {
    json!({
        "name": "two tiers", "repeats": repeats, "repeat_minutes": 20, "last_resort": "supervisor",
        "tiers": [
            {"targets": [{"target": "counselors"}]},
            {"delay_minutes": 10, "targets": [{"target": "schedule"}]},
        ],
    })
}

/// Round, tier and person of each page, in order.
async fn pages(h: &Harness) -> Vec<(i32, i32, String)> {
    h.database
        .query(
            "select round, tier, staff_id from social.notification_deliveries order by round, tier, staff_id",
        )
        .await
        .iter()
        .map(|row| (row.get("round"), row.get("tier"), row.get("staff_id")))
        .collect()
}

fn page(round: i32, tier: i32, staff: &str) -> (i32, i32, String) {
    (round, tier, format!("staff-{staff}"))
}

async fn after(h: &Harness, minutes: i64) {
    h.clock.advance(TimeDelta::minutes(minutes));
    while h.app.round("advance").await.unwrap() > 0 {}
}

async fn act(h: &Harness, who: &str, id: i64, what: &str, body: &Value) -> Answer {
    h.call(who)
        .post(&format!("/v1/escalations/{id}/{what}"), body)
        .await
}

#[tokio::test]
async fn each_tier_is_told_when_its_time_has_come_and_then_the_last_resort_until_somebody_answers() {
    let mut h = harness().await;
    follow(&h, &two_tiers(0)).await;
    let id = crisis(&mut h).await;
    let mut told = vec![page(0, 1, "counselor")];
    after(&h, 9).await;
    assert_eq!(pages(&h).await, told);
    after(&h, 1).await;
    told.push(page(0, 2, "oncall"));
    assert_eq!(pages(&h).await, told);
    after(&h, 19).await;
    assert_eq!(pages(&h).await, told);
    after(&h, 1).await;
    told.push(page(0, 3, "supervisor"));
    assert_eq!(pages(&h).await, told);
    for round in 1..=3 {
        after(&h, 19).await;
        assert_eq!(pages(&h).await, told);
        after(&h, 1).await;
        told.push(page(round, 3, "supervisor"));
        assert_eq!(pages(&h).await, told);
    }
    assert_eq!(
        act(&h, "supervisor", id, "acknowledge", &json!({})).await.code(),
        200
    );
    after(&h, 20).await;
    assert_eq!(pages(&h).await, told);
    assert_eq!(h.events("social.escalation.advanced").await.len(), 5);
}

#[tokio::test]
async fn a_policy_is_repeated_as_often_as_it_says() {
    let mut h = harness().await;
    follow(&h, &two_tiers(1)).await;
    crisis(&mut h).await;
    for minutes in [10, 20, 10, 20] {
        after(&h, minutes).await;
    }
    let told = [
        page(0, 1, "counselor"),
        page(0, 2, "oncall"),
        page(1, 1, "counselor"),
        page(1, 2, "oncall"),
        page(1, 3, "supervisor"),
    ];
    assert_eq!(pages(&h).await, told);
}

#[tokio::test]
async fn a_tier_without_anybody_is_passed_in_the_statement_that_raises() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    follow(&h, &two_tiers(0)).await;
    let id = crisis(&mut h).await;
    assert_eq!(pages(&h).await, [page(0, 2, "oncall")]);
    let seen = h.call("oncall").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(
        (seen.at("/tier"), seen.at("/status"), seen.at("/next_tier_at")),
        (&json!(2), &json!("notified"), &json!("2026-06-15T12:20:00Z"))
    );
}

#[tokio::test]
async fn a_further_trigger_raises_the_urgency_and_tells_nobody_again_in_the_same_round() {
    let h = harness().await;
    let body = |urgency| json!({"user_id": "client-a", "urgency": urgency, "reason": "says goodbye"});
    let counselor = h.call("counselor");
    let first = counselor.post("/v1/escalations", &body("medium")).await;
    assert_eq!((first.code(), first.at("/status")), (201, &json!("notified")));
    let told = pages(&h).await;
    let second = counselor.post("/v1/escalations", &body("critical")).await;
    assert_eq!((second.code(), second.at("/urgency")), (200, &json!("critical")));
    assert_eq!(first.at("/escalation_id"), second.at("/escalation_id"));
    for _ in 0..100 {
        let joined = counselor.post("/v1/escalations", &body("low")).await;
        assert_eq!((joined.code(), joined.at("/urgency")), (200, &json!("critical")));
    }
    after(&h, 1).await;
    assert_eq!(pages(&h).await, told);
}

#[tokio::test]
async fn an_acknowledgement_holds_as_long_as_the_policy_says_and_then_its_tier_is_told_again() {
    let mut h = harness().await;
    let mut policy = two_tiers(0);
    policy["ack_minutes"] = json!(5);
    follow(&h, &policy).await;
    let id = crisis(&mut h).await;
    after(&h, 10).await;
    let taken = act(&h, "oncall", id, "acknowledge", &json!({})).await;
    assert_eq!(taken.at("/ack_expires_at"), &json!("2026-06-15T12:15:00Z"));
    after(&h, 5).await;
    let told = [
        page(0, 1, "counselor"),
        page(0, 2, "oncall"),
        page(1, 2, "oncall"),
    ];
    assert_eq!(pages(&h).await, told);
    let seen = h.call("oncall").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(
        (seen.at("/tier"), seen.at("/status"), seen.at("/next_tier_at")),
        (&json!(2), &json!("notified"), &json!("2026-06-15T12:35:00Z"))
    );
}

#[tokio::test]
async fn an_acknowledgement_with_a_contact_is_not_taken_back() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    act(&h, "oncall", id, "acknowledge", &json!({})).await;
    let contact = json!({"method": "call", "outcome": "spoke", "escalation_id": id});
    let made = h
        .call("oncall")
        .post("/v1/users/client-a/contacts", &contact)
        .await;
    assert_eq!((made.code(), made.at("/staff_id")), (201, &json!("staff-oncall")));
    after(&h, 600).await;
    let seen = h.call("oncall").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(seen.at("/status"), &json!("acknowledged"));
    let listed = h.call("counselor").get("/v1/users/client-a/contacts").await;
    assert_eq!(listed.at("/items/0/outcome"), &json!("spoke"));
    let other = json!({"method": "call", "outcome": "spoke", "escalation_id": id + 1});
    let refused = h.call("oncall").post("/v1/users/client-a/contacts", &other).await;
    assert_eq!(refused.code(), 422);
}

#[tokio::test]
async fn of_two_acknowledgements_at_once_one_wins_and_both_are_audited_fifty_times() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    let (counselor, oncall) = (h.call("counselor"), h.call("oncall"));
    let path = format!("/v1/escalations/{id}/acknowledge");
    for race in 1..=50 {
        let empty = json!({});
        let (one, other) = tokio::join!(counselor.post(&path, &empty), oncall.post(&path, &empty));
        let mut codes = [one.code(), other.code()];
        codes.sort_unstable();
        assert_eq!(codes, [200, 409], "race {race}");
        let moved = act(&h, "counselor", id, "advance", &json!({})).await;
        assert_eq!(moved.at("/acknowledged_by"), &Value::Null);
    }
    assert_eq!(h.events("social.escalation.acknowledged").await.len(), 50);
    let audited = "select count(*) from core.audit_events where decision = 'WORD' and object_id = 'ID'
        and action like '%acknowledge%'";
    for decision in ["allow", "deny"] {
        let sql = audited.replace("WORD", decision).replace("ID", &id.to_string());
        assert_eq!(h.database.count(&sql).await, 50, "{decision}");
    }
}

#[tokio::test]
async fn whoever_is_handed_an_episode_alone_is_told_and_the_next_tier_if_they_do_not_answer() {
    let mut h = harness().await;
    follow(&h, &two_tiers(0)).await;
    let id = crisis(&mut h).await;
    act(&h, "counselor", id, "acknowledge", &json!({})).await;
    let handed = act(
        &h,
        "counselor",
        id,
        "reassign",
        &json!({"staff_id": "staff-oncall"}),
    )
    .await;
    assert_eq!(
        (handed.code(), handed.at("/status"), handed.at("/escalated_to")),
        (200, &json!("notified"), &json!("staff-oncall"))
    );
    after(&h, 29).await;
    let told = [page(0, 1, "counselor"), page(1, 1, "oncall")];
    assert_eq!(pages(&h).await, told);
    let taken = act(&h, "oncall", id, "acknowledge", &json!({"lease_minutes": 1})).await;
    assert_eq!(taken.code(), 200);
    for (who, code) in [("auditor", 422), ("counselor_other", 200)] {
        let body = json!({"staff_id": format!("staff-{who}")});
        assert_eq!(
            act(&h, "counselor", id, "reassign", &body).await.code(),
            code,
            "{who}"
        );
    }
    let taken = act(&h, "counselor_other", id, "acknowledge", &json!({})).await;
    assert_eq!(taken.code(), 200, "who is handed it sees it: {}", taken.json);
}

#[tokio::test]
async fn resolving_without_having_reached_the_client_needs_a_next_contact_which_becomes_a_meeting() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    for next in [
        Value::Null,
        json!("2026-06-15T11:59:59Z"),
        json!("2026-12-01T12:00:00Z"),
    ] {
        let body = json!({"outcome": "unreachable", "next_contact_at": next});
        assert_eq!(
            act(&h, "counselor", id, "resolve", &body).await.code(),
            422,
            "{body}"
        );
    }
    let body = json!({"outcome": "unreachable", "next_contact_at": "2026-06-16T09:00:00Z"});
    assert_eq!(act(&h, "counselor", id, "resolve", &body).await.code(), 200);
    let meeting = "select count(*) from social.meetings where user_id = 'client-a' and meeting_type = 'follow_up'
        and status = 'proposed' and scheduled_time = '2026-06-16T09:00:00Z' and counselor_id = 'staff-counselor'";
    assert_eq!(h.database.count(meeting).await, 1);
}

#[tokio::test]
async fn the_database_refuses_to_resolve_without_an_outcome_or_a_next_contact() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    for outcome in ["null", "'left_message'"] {
        let tx = h.database.pools("social").begin_worker().await.unwrap();
        let sql = format!(
            "update social.escalations set status = 'resolved', resolved_at = now(), outcome = {outcome}
             where escalation_id = {id}"
        );
        let error = tx.execute(&sql, &[]).await.expect_err("refused");
        assert_eq!(error.constraint(), Some("ck_escalations_next_contact"));
    }
}

#[tokio::test]
async fn an_episode_that_has_ended_goes_nowhere() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    let cancelled = act(&h, "counselor", id, "cancel", &json!({"reason": "a mistake"})).await;
    assert_eq!(
        (cancelled.code(), cancelled.at("/status")),
        (200, &json!("cancelled"))
    );
    assert_eq!(h.events("social.escalation.cancelled").await.len(), 1);
    for (what, body) in [
        ("acknowledge", json!({})),
        ("advance", json!({})),
        ("reassign", json!({"staff_id": "staff-oncall"})),
        ("resolve", json!({"outcome": "spoke"})),
        ("cancel", json!({"reason": "again"})),
    ] {
        assert_eq!(act(&h, "counselor", id, what, &body).await.code(), 409, "{what}");
    }
    let told = pages(&h).await;
    after(&h, 9_000).await;
    assert_eq!(pages(&h).await, told);
}

#[tokio::test]
async fn notes_for_who_takes_over_are_read_by_staff_who_see_the_episode() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    let note = json!({"kind": "handover", "comment": "call after six"});
    let made = act(&h, "oncall", id, "comments", &note).await;
    assert_eq!(
        (made.code(), made.at("/author_id")),
        (201, &json!("staff-oncall"))
    );
    let path = format!("/v1/escalations/{id}/comments");
    let read = h.call("counselor").get(&path).await;
    assert_eq!(read.at("/items/0/comment"), &json!("call after six"));
    assert_eq!(h.call("client-a").get(&path).await.code(), 403);
    act(&h, "counselor", id, "cancel", &json!({"reason": "over"})).await;
    assert_eq!(h.call("oncall").get(&path).await.code(), 404);
}

#[tokio::test]
async fn a_policy_that_can_reach_nobody_is_refused_by_the_tier_that_does_not() {
    let h = harness().await;
    let mut policy = two_tiers(0);
    policy["tiers"][1]["targets"] = json!([{"target": "staff", "staff_id": "nobody"}]);
    let refused = h
        .call("supervisor")
        .post("/v1/escalation-policies", &policy)
        .await;
    assert_eq!(
        (refused.code(), refused.at("/errors/0/pointer")),
        (422, &json!("/tiers/1/targets/0"))
    );
    policy["tiers"][1]["targets"] = json!([{"target": "schedule", "schedule_id": 99}]);
    let refused = h
        .call("supervisor")
        .post("/v1/escalation-policies", &policy)
        .await;
    assert_eq!(refused.at("/errors/0/pointer"), &json!("/tiers/1/targets/0"));
    let admin = h.database.superuser().await;
    admin
        .run("delete from core.staff_roles where role = 'oncall'")
        .await;
    policy = two_tiers(0);
    policy["last_resort"] = json!("oncall");
    let refused = h
        .call("supervisor")
        .post("/v1/escalation-policies", &policy)
        .await;
    let mut pointers = vec![refused.at("/errors/0/pointer"), refused.at("/errors/1/pointer")];
    pointers.sort_by_key(|pointer| pointer.to_string());
    assert_eq!(pointers, [&json!("/last_resort"), &json!("/tiers/1/targets/0")]);
    policy["tiers"] = json!([{"delay_minutes": 5, "targets": [{"target": "counselors"}]}]);
    let waits = h
        .call("supervisor")
        .post("/v1/escalation-policies", &policy)
        .await;
    assert_eq!(
        (waits.code(), waits.at("/errors/0/pointer")),
        (422, &json!("/tiers"))
    );
}

#[tokio::test]
async fn a_policy_of_a_type_goes_before_the_default_which_is_always_there() {
    let mut h = harness().await;
    let mut of_type = two_tiers(0);
    of_type["escalation_type"] = json!("profile_risk");
    let followed = follow(&h, &of_type).await;
    let id = crisis(&mut h).await;
    let seen = h.call("counselor").get(&format!("/v1/escalations/{id}")).await;
    assert_eq!(seen.at("/policy_id"), &json!(followed));
    let admin = h.call("admin");
    let default = admin
        .get("/v1/escalation-policies")
        .await
        .at("/items/0/policy_id")
        .clone();
    let path = format!("/v1/escalation-policies/{default}");
    assert_eq!(admin.delete(&path).await.code(), 409);
    of_type["name"] = json!("another name");
    assert_eq!(admin.put(&path, &of_type).await.code(), 409);
    let gone = admin.delete(&format!("/v1/escalation-policies/{followed}")).await;
    assert_eq!(gone.code(), 204);
    // What followed it goes on by the default: past its one tier, to the last resort.
    after(&h, 10).await;
    assert_eq!(pages(&h).await.last(), Some(&page(0, 2, "supervisor")));
    assert_eq!(
        h.call("counselor").get("/v1/escalation-policies").await.code(),
        403
    );
}

#[tokio::test]
async fn a_policy_whose_people_have_left_is_not_activated() {
    let h = harness().await;
    let made = h
        .call("supervisor")
        .post("/v1/escalation-policies", &two_tiers(0))
        .await;
    let path = format!("/v1/escalation-policies/{}/activate", made.at("/policy_id"));
    let admin = h.database.superuser().await;
    admin
        .run("delete from core.staff_roles where role = 'oncall'")
        .await;
    let refused = h.call("admin").post(&path, &json!({})).await;
    assert_eq!(refused.code(), 409);
    assert!(refused.json.to_string().contains("tier 2"), "{}", refused.json);
}

#[tokio::test]
async fn a_try_that_did_not_reach_the_client_keeps_no_acknowledgement_and_nor_does_a_contact_of_yesterday() {
    let mut h = harness().await;
    let id = crisis(&mut h).await;
    for (outcome, minutes) in [("unreachable", 30), ("left_message", 30), ("spoke", 25 * 60)] {
        let taken = act(&h, "oncall", id, "acknowledge", &json!({})).await;
        assert_eq!(taken.code(), 200, "{outcome}: {}", taken.json);
        let contact = json!({"method": "call", "outcome": outcome, "escalation_id": id});
        h.call("oncall")
            .post("/v1/users/client-a/contacts", &contact)
            .await;
        after(&h, minutes).await;
        let seen = h.call("oncall").get(&format!("/v1/escalations/{id}")).await;
        assert_eq!(seen.at("/status"), &json!("notified"), "{outcome}");
    }
}

#[tokio::test]
async fn where_a_tier_has_nobody_when_an_acknowledgement_runs_out_the_next_is_told_at_once() {
    let mut h = harness().await;
    let policy = json!({
        "name": "two tiers", "last_resort": "supervisor", "tiers": [
            {"targets": [{"target": "schedule"}]},
            {"delay_minutes": 600, "targets": [{"target": "counselors"}]},
        ],
    });
    follow(&h, &policy).await;
    let id = crisis(&mut h).await;
    assert_eq!(act(&h, "oncall", id, "acknowledge", &json!({})).await.code(), 200);
    let admin = h.database.superuser().await;
    admin
        .run("delete from core.staff_roles where role = 'oncall'")
        .await;
    after(&h, 30).await;
    assert_eq!(pages(&h).await.last(), Some(&page(1, 2, "counselor")));
}

#[tokio::test]
async fn who_may_not_answer_any_more_fills_no_tier() {
    let mut h = harness().await;
    follow(&h, &two_tiers(0)).await;
    let admin = h.database.superuser().await;
    admin
        .run("delete from core.staff_roles where user_id = 'staff-counselor'")
        .await;
    crisis(&mut h).await;
    assert_eq!(pages(&h).await, [page(0, 2, "oncall")]);
}

#[tokio::test]
async fn an_acknowledgement_that_ran_out_uses_up_no_repeat() {
    let mut h = harness().await;
    follow(&h, &two_tiers(1)).await;
    let id = crisis(&mut h).await;
    act(&h, "counselor", id, "acknowledge", &json!({})).await;
    for minutes in [30, 10, 20] {
        after(&h, minutes).await;
    }
    let told = [
        page(0, 1, "counselor"),
        page(1, 1, "counselor"),
        page(1, 2, "oncall"),
        page(2, 1, "counselor"),
    ];
    assert_eq!(pages(&h).await, told);
}
