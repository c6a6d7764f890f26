//! Looking ahead: when nobody would be told but the last resort, and when a schedule stands empty.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::Harness;

impl Harness {
    /// Looks ahead, an hour from now; what that finds of a policy.
    async fn coverage(&self, policy_id: i64) -> Answer {
        self.clock.advance(TimeDelta::hours(1));
        assert!(self.app.round("forecast").await.unwrap() > 0);
        assert_eq!(self.app.round("forecast").await.unwrap(), 0);
        let path = format!("/v1/escalation-policies/{policy_id}/coverage");
        let seen = self.call("supervisor").get(&path).await;
        assert_eq!(seen.code(), 200, "{}", seen.json);
        assert_eq!(seen.at("/looked_at"), &json!(self.in_hours(0)));
        seen
    }

    /// Makes a policy of these targets, one a tier, the active one for every type; returns its id.
    async fn followed(&self, targets: &[Value]) -> i64 {
        let tiers: Vec<Value> = targets.iter().map(|one| json!({"targets": [one]})).collect();
        let policy =
            json!({"name": format!("{}", json!(targets)), "last_resort": "supervisor", "tiers": tiers});
        let made = self
            .call("supervisor")
            .post("/v1/escalation-policies", &policy)
            .await;
        assert_eq!(made.code(), 201, "{}", made.json);
        let id = made.at("/policy_id").as_i64().unwrap();
        let path = format!("/v1/escalation-policies/{id}/activate");
        assert_eq!(self.call("admin").post(&path, &json!({})).await.code(), 200);
        id
    }

    /// Whether such a warning is open, with its measure.
    async fn gap_warning(&self) -> Option<Value> {
        self.app.round("watch").await.unwrap();
        let page = self.call("admin").get("/v1/operational-warnings?open=true").await;
        page.items()
            .into_iter()
            .find(|one| one["kind"] == "coverage_gap")
            .map(|one| one["measure"].clone())
    }
}

fn by(schedule: &str) -> Value {
    let id: i64 = schedule.rsplit('/').next().unwrap().parse().unwrap();
    json!({"target": "schedule", "schedule_id": id})
}

/// From and until of the gaps, in hours from the beginning of the look.
fn hours(seen: &Answer, list: &str) -> Vec<(i64, i64)> {
    let moment = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let from = moment(seen.at("/looked_at"));
    let gaps = seen.at(list).as_array().unwrap();
    gaps.iter()
        .map(|gap| {
            let after = |field: &str| (moment(&gap[field]) - from).num_hours();
            (after("starts_at"), after("ends_at"))
        })
        .collect()
}

const WHOLE: i64 = 14 * 24;

#[tokio::test]
async fn the_hours_at_which_no_tier_reaches_anybody_are_known_and_a_warning_until_they_are_filled() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 100).await;
    h.shift(&schedule, "counselor", 111, 400).await;
    let policy = h.followed(&[by(&schedule)]).await;
    assert_eq!(h.gap_warning().await, None, "nobody has looked yet");
    let seen = h.coverage(policy).await;
    assert_eq!(hours(&seen, "/gaps"), [(99, 110)]);
    assert_eq!(hours(&seen, "/empty"), [(99, 110)]);
    assert_eq!(seen.at("/until"), &json!(h.in_hours(WHOLE)));
    assert_eq!(h.gap_warning().await, Some(json!(11 * 60)));
    h.shift(&schedule, "oncall", 98, 111).await;
    let seen = h.coverage(policy).await;
    assert_eq!(hours(&seen, "/gaps"), []);
    assert_eq!(h.gap_warning().await, None);
}

#[tokio::test]
async fn who_stands_in_leaves_no_gap_and_who_has_left_does() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 600).await;
    let policy = h.followed(&[by(&schedule)]).await;
    let body = json!({"staff_id": "staff-counselor", "replaces_staff_id": "staff-oncall",
        "starts_at": h.in_hours(11), "ends_at": h.in_hours(21)});
    let made = h
        .call("supervisor")
        .post(&format!("{schedule}/overrides"), &body)
        .await;
    assert_eq!(made.code(), 201);
    assert_eq!(hours(&h.coverage(policy).await, "/gaps"), []);
    let admin = h.database.superuser().await;
    admin
        .run("update core.users set status = 'suspended' where user_id = 'staff-oncall'")
        .await;
    assert_eq!(hours(&h.coverage(policy).await, "/gaps"), [(0, 9), (19, WHOLE)]);
}

#[tokio::test]
async fn another_tier_fills_a_gap_and_a_schedule_is_empty_all_the_same() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 100).await;
    let named = json!({"target": "staff", "staff_id": "staff-supervisor"});
    let policy = h.followed(&[by(&schedule), named]).await;
    let seen = h.coverage(policy).await;
    assert_eq!(hours(&seen, "/gaps"), []);
    assert_eq!(hours(&seen, "/empty"), [(99, WHOLE)]);
    assert_eq!(h.gap_warning().await, None);
}

#[tokio::test]
async fn counselors_fill_a_gap_where_every_client_has_one() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 100).await;
    // The policy that came with the software: counselors, and whoever is on duty.
    assert_eq!(hours(&h.coverage(1).await, "/gaps"), []);
    h.client("client-b", &[]).await;
    assert_eq!(hours(&h.coverage(1).await, "/gaps"), [(98, WHOLE)]);
}

#[tokio::test]
async fn while_no_schedule_has_a_shift_everybody_on_call_is_reached() {
    let mut h = Harness::new().await;
    h.client("client-b", &[]).await;
    h.schedule("UTC").await;
    let seen = h.coverage(1).await;
    assert_eq!(
        (hours(&seen, "/gaps"), hours(&seen, "/empty")),
        (vec![], vec![]),
        "a schedule to which nobody was put is none"
    );
    let gone = "delete from core.staff_roles where role = 'oncall'";
    h.database.superuser().await.run(gone).await;
    assert_eq!(hours(&h.coverage(1).await, "/gaps"), [(0, WHOLE)]);
}

#[tokio::test]
async fn a_policy_that_is_changed_or_activated_is_looked_at_at_once() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 100).await;
    assert_eq!(h.app.round("forecast").await.unwrap(), 1);
    assert_eq!(h.app.round("forecast").await.unwrap(), 0);
    h.followed(&[by(&schedule)]).await;
    assert_eq!(h.app.round("forecast").await.unwrap(), 1);
    let before = h.call("admin").get("/v1/escalation-policies/1/coverage").await;
    assert_eq!(
        (before.at("/looked_at"), before.at("/gaps")),
        (&Value::Null, &json!([])),
        "which is not followed any more"
    );
    let absent = h.call("admin").get("/v1/escalation-policies/999/coverage").await;
    assert_eq!(absent.code(), 404);
}

/// Every quarter of an hour of the next 14 days at which the forecast and `social.people_of` say otherwise of a policy, for
/// a client without a counselor; and how many there are at which nobody would be told.
const DIFFER: &str = "
    select count(*) filter (where c.is_gap <> c.is_untold) as differ, count(*) filter (where c.is_untold) as untold
    from (
        select exists (select from social.coverage_gaps g
                where g.policy_id = p.policy_id and g.starts_at <= m.at and g.ends_at > m.at) as is_gap,
            social.tier_after(p.policy_id, 0, 'client-b', m.at) is null as is_untold
        from social.escalation_policies p
        cross join generate_series(p.forecast_at, p.forecast_at + interval '335 hours 59 minutes', interval '15 minutes') as m (at)
        where p.active) as c";

#[tokio::test]
async fn at_every_moment_the_forecast_says_what_would_be_told_then_also_when_clocks_change() {
    let mut h = Harness::new().await;
    h.on_call_too(&["counselor"]).await;
    h.client("client-b", &[]).await;
    // Before the night in which clocks are put back in Vienna, and at that in which they are put forward.
    for (name, from) in [
        ("back", "2026-10-20T12:00:00Z"),
        ("forward", "2027-03-20T12:00:00Z"),
    ] {
        let from: DateTime<Utc> = from.parse().unwrap();
        h.clock.advance(from - h.in_hours(0));
        let body = json!({"name": name, "timezone": "Europe/Vienna"});
        let made = h.call("supervisor").post("/v1/oncall-schedules", &body).await;
        let schedule = format!("/v1/oncall-schedules/{}", made.at("/schedule_id"));
        for (name, from, until, weekdays) in [
            ("nights", "22:30", "02:30", json!([5, 6, 7])),
            ("mornings", "02:45", "11:00", Value::Null),
        ] {
            let rotation = json!({"name": name, "kind": "daily", "handover_time": "12:00", "starts_on": "2026-10-01",
                "hours_from": from, "hours_until": until, "weekdays": weekdays, "members": ["staff-oncall", "staff-counselor"]});
            let made = h
                .call("supervisor")
                .post(&format!("{schedule}/rotations"), &rotation)
                .await;
            assert_eq!(made.code(), 201, "{}", made.json);
        }
        h.followed(&[json!({"target": "counselors"}), by(&schedule)])
            .await;
        assert_eq!(h.app.round("forecast").await.unwrap(), 1);
        let found = h.database.query(DIFFER).await;
        let (differ, untold): (i64, i64) = (found[0].get("differ"), found[0].get("untold"));
        assert_eq!(differ, 0, "{name}");
        assert!((300..1_344).contains(&untold), "{name}: {untold}");
    }
}

#[tokio::test]
async fn only_supervisors_and_admins_see_what_is_not_covered() {
    let h = Harness::new().await;
    h.coverage(1).await;
    for (name, code) in [
        ("admin", 200),
        ("counselor", 403),
        ("oncall", 403),
        ("auditor", 403),
    ] {
        let answer = h.call(name).get("/v1/escalation-policies/1/coverage").await;
        assert_eq!(answer.code(), code, "{name}");
    }
    let sql = "select gap_id from social.coverage_gaps";
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 2, 3).await;
    h.coverage(1).await;
    for (name, seen) in [("supervisor", true), ("counselor", false)] {
        let actor = db::Actor::Staff(format!("staff-{name}"));
        let rows = h.database.seen_by("social", &actor, sql).await;
        assert_eq!(!rows.is_empty(), seen, "{name}");
    }
}
