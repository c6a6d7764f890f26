//! Meetings: proposed, agreed to, confirmed under the client's consent, and followed up where the client does not come.

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, noon, scores};

const CONSENTS: &str =
    "insert into core.consents (user_id, purpose) select user_id, 'meeting' from core.users
    where kind = 'client'";

fn in_minutes(minutes: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(minutes)
}

impl Harness {
    /// With two clients of two counselors, both of whom consented to be met.
    async fn with_meetings() -> Self {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        h.client("client-b", &["counselor", "counselor_other"]).await;
        h.database.superuser().await.run(CONSENTS).await;
        h
    }

    /// What a caller proposes for a time; the answer.
    async fn proposes(&self, name: &str, client: &str, at: Option<DateTime<Utc>>) -> Answer {
        let body = json!({"user_id": client, "meeting_type": "session", "scheduled_time": at});
        self.call(name).post("/v1/meetings", &body).await
    }

    /// The path of a meeting that was proposed.
    async fn proposed(&self, name: &str, client: &str, at: Option<DateTime<Utc>>) -> String {
        let made = self.proposes(name, client, at).await;
        assert_eq!(made.code(), 201, "{}", made.json);
        format!("/v1/meetings/{}", made.at("/meeting_id"))
    }

    /// The path of a meeting that the client agreed to and the counselor confirmed.
    async fn confirmed(&self, client: &str, at: DateTime<Utc>) -> String {
        let meeting = self.proposed("counselor", client, Some(at)).await;
        self.moves(client, &meeting, "consent", 200).await;
        self.moves("counselor", &meeting, "confirm", 200).await;
        meeting
    }

    /// Moves a meeting; the answer, which is as expected.
    async fn moves(&self, name: &str, meeting: &str, verb: &str, expected: u16) -> Answer {
        self.moves_with(name, (meeting, verb), &json!({}), expected).await
    }

    async fn moves_with(&self, name: &str, what: (&str, &str), body: &Value, expected: u16) -> Answer {
        let answer = self
            .call(name)
            .post(&format!("{}/{}", what.0, what.1), body)
            .await;
        assert_eq!(answer.code(), expected, "{name} {what:?}: {}", answer.json);
        answer
    }

    /// Whether the owner of the database is refused by a constraint.
    async fn is_refused(&self, sql: &str, constraint: &str) -> bool {
        let tx = self.database.pools("social").begin_worker().await.unwrap();
        let refused = tx.execute(sql, &[]).await;
        refused.is_err_and(|error| error.constraint() == Some(constraint))
    }
}

#[tokio::test]
async fn a_meeting_at_a_leap_second_is_at_the_second_after_it() {
    let h = Harness::with_meetings().await;
    let body =
        json!({"user_id": "client-a", "meeting_type": "session", "scheduled_time": "2026-12-31T23:59:60Z"});
    let made = h.call("counselor").post("/v1/meetings", &body).await;
    assert_eq!(
        (made.code(), made.at("/scheduled_time")),
        (201, &json!("2027-01-01T00:00:00Z"))
    );
}

#[tokio::test]
async fn a_meeting_goes_from_the_proposal_to_what_came_of_it_and_each_step_is_told() {
    let h = Harness::with_meetings().await;
    let made = h.proposes("counselor", "client-a", Some(in_minutes(60))).await;
    assert_eq!(made.code(), 201, "{}", made.json);
    assert_eq!(
        (made.at("/status"), made.at("/counselor_id"), made.at("/ends_at")),
        (
            &json!("scheduled"),
            &json!("staff-counselor"),
            &json!("2026-06-15T13:30:00Z")
        )
    );
    let meeting = format!("/v1/meetings/{}", made.at("/meeting_id"));
    let agreed = h.moves("client-a", &meeting, "consent", 200).await;
    assert_eq!(
        (agreed.at("/user_consent"), agreed.at("/consent_given_at")),
        (&json!(true), &json!("2026-06-15T12:00:00Z"))
    );
    h.moves("client-a", &meeting, "consent", 200).await;
    let confirmed = h.moves("counselor", &meeting, "confirm", 200).await;
    assert_eq!(confirmed.at("/status"), &json!("confirmed"));
    h.clock.advance(TimeDelta::minutes(61));
    let body = json!({"notes": "went well"});
    let ended = h
        .moves_with("counselor", (&meeting, "complete"), &body, 200)
        .await;
    assert_eq!(
        (ended.at("/status"), ended.at("/notes"), ended.at("/completed_at")),
        (
            &json!("completed"),
            &json!("went well"),
            &json!("2026-06-15T13:01:00Z")
        )
    );
    let seen = h.call("client-a").get(&meeting).await;
    assert_eq!(
        (seen.at("/status"), seen.at("/notes")),
        (&json!("completed"), &Value::Null)
    );
    let contacts = h.call("counselor").get("/v1/users/client-a/contacts").await;
    assert_eq!(contacts.at("/items/0/outcome"), &json!("spoke"));
    for (event, statuses) in [
        ("scheduled", vec!["scheduled", "confirmed"]),
        ("consented", vec!["scheduled"]),
        ("completed", vec!["completed"]),
        ("cancelled", vec![]),
    ] {
        let events = h.events(&format!("social.meeting.{event}")).await;
        let told: Vec<&str> = events
            .iter()
            .map(|data| data["status"].as_str().unwrap())
            .collect();
        assert_eq!(told, statuses, "{event}");
    }
}

#[tokio::test]
async fn a_meeting_is_confirmed_only_under_a_consent_that_holds_then() {
    let h = Harness::with_meetings().await;
    let revoke = "update core.consents set revoked_at = clock_timestamp() where user_id = 'client-a'";
    let meeting = h.proposed("counselor", "client-a", Some(in_minutes(60))).await;
    let early = h.moves("counselor", &meeting, "confirm", 409).await;
    assert_eq!(early.at("/type"), &json!("/problems/wrong-state"));
    h.moves("client-a", &meeting, "consent", 200).await;
    h.database.superuser().await.run(revoke).await;
    let refused = h.moves("counselor", &meeting, "confirm", 403).await;
    assert_eq!(refused.at("/type"), &json!("/problems/consent-required"));
    let by_hand = "update social.meetings set status = 'confirmed'";
    assert!(h.is_refused(by_hand, "ck_meetings_consent").await);
    let again = "insert into core.consents (user_id, purpose) values ('client-a', 'meeting')";
    h.database.superuser().await.run(again).await;
    h.moves("counselor", &meeting, "confirm", 200).await;
}

/// What a confirmation is answered that meets a revocation which is not committed yet.
async fn confirms_during_a_revocation(h: &Harness) -> u16 {
    let meeting = h.proposed("counselor", "client-a", Some(in_minutes(60))).await;
    h.moves("client-a", &meeting, "consent", 200).await;
    let revoking = h.database.pools("core").begin_worker().await.unwrap();
    let revoke = "update core.consents set revoked_at = clock_timestamp() where user_id = 'client-a'";
    revoking.execute(revoke, &[]).await.unwrap();
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let is_answered = Cell::new(false);
    let confirm = async {
        let path = format!("{meeting}/confirm");
        let answer = h.call("counselor").post(&path, &json!({})).await;
        is_answered.set(true);
        answer.code()
    };
    let commit = async {
        while !is_answered.get() && h.database.count(waiting).await == 0 {}
        revoking.commit().await.unwrap();
    };
    join(confirm, commit).await.0
}

#[tokio::test]
async fn a_revocation_that_is_under_way_beats_the_confirmation() {
    let h = Harness::with_meetings().await;
    assert_eq!(confirms_during_a_revocation(&h).await, 403);
}

#[tokio::test]
async fn without_holding_the_consent_a_meeting_would_be_confirmed_under_a_revocation() {
    let h = Harness::with_meetings().await;
    let not_held = "create or replace function core.hold_consent(of_user varchar, for_purpose varchar, to_recipient varchar)
        returns bigint language sql security definer set search_path = pg_catalog, pg_temp as $$
        select c.consent_id from core.consents c
        where c.user_id = of_user and c.purpose = for_purpose and c.recipient = to_recipient and c.revoked_at is null $$";
    h.database.superuser().await.run(not_held).await;
    assert_eq!(confirms_during_a_revocation(&h).await, 200);
}

#[tokio::test]
async fn neither_a_counselor_nor_a_client_is_at_two_meetings_at_a_time() {
    let h = Harness::with_meetings().await;
    h.proposed("counselor", "client-a", Some(in_minutes(60))).await;
    for (name, client, at) in [
        ("counselor", "client-b", in_minutes(89)),
        ("counselor", "client-b", in_minutes(31)),
        ("counselor", "client-a", in_minutes(60)),
    ] {
        let taken = h.proposes(name, client, Some(at)).await;
        assert_eq!(
            (taken.code(), taken.at("/type")),
            (409, &json!("/problems/conflict")),
            "{at}"
        );
    }
    // One ends when the next begins; and another counselor is free, but not the client of the second.
    let next = h.proposed("counselor", "client-b", Some(in_minutes(90))).await;
    let other = h
        .proposes("counselor_other", "client-b", Some(in_minutes(100)))
        .await;
    assert_eq!(other.code(), 409);
    h.moves("client-b", &next, "cancel", 200).await;
    let other = h
        .proposes("counselor_other", "client-b", Some(in_minutes(100)))
        .await;
    assert_eq!(other.code(), 201, "a time that was cancelled is free");
}

/// How many of ten calls for one time at once get it, and how many are refused.
async fn ten_calls_at_once(h: &Harness) -> (usize, usize) {
    let calls = (0..10).map(|n| {
        let client = if n % 2 == 0 { "client-a" } else { "client-b" };
        h.proposes("counselor", client, Some(in_minutes(60 + n)))
    });
    let answers = futures::future::join_all(calls).await;
    let with = |code| answers.iter().filter(|answer| answer.code() == code).count();
    (with(201), with(409))
}

#[tokio::test]
async fn of_ten_calls_for_one_time_at_once_one_gets_it() {
    let h = Harness::with_meetings().await;
    assert_eq!(ten_calls_at_once(&h).await, (1, 9));
}

#[tokio::test]
async fn without_the_constraints_all_of_them_would_get_it() {
    let h = Harness::with_meetings().await;
    let open = "alter table social.meetings drop constraint ex_meetings_counselor, drop constraint ex_meetings_client";
    h.database.superuser().await.run(open).await;
    assert_eq!(ten_calls_at_once(&h).await, (10, 0));
}

#[tokio::test]
async fn a_client_asks_for_a_time_and_the_counselor_who_confirms_has_the_meeting() {
    let h = Harness::with_meetings().await;
    let asked = h.proposes("client-b", "client-b", Some(in_minutes(60))).await;
    assert_eq!(
        (
            asked.at("/status"),
            asked.at("/counselor_id"),
            asked.at("/user_consent")
        ),
        (&json!("proposed"), &Value::Null, &json!(true))
    );
    // It keeps nobody's calendar.
    h.proposed("counselor", "client-a", Some(in_minutes(60))).await;
    let meeting = format!("/v1/meetings/{}", asked.at("/meeting_id"));
    let taken = h.moves("counselor", &meeting, "confirm", 409).await;
    assert_eq!(taken.at("/type"), &json!("/problems/conflict"));
    let confirmed = h.moves("counselor_other", &meeting, "confirm", 200).await;
    assert_eq!(confirmed.at("/counselor_id"), &json!("staff-counselor_other"));
}

#[tokio::test]
async fn an_urgent_meeting_of_the_rules_gets_its_time_when_it_is_confirmed() {
    let mut h = Harness::with_meetings().await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    let listed = h.call("client-a").get("/v1/meetings").await;
    assert_eq!(
        (listed.at("/items/0/meeting_type"), listed.at("/items/0/status")),
        (&json!("urgent"), &json!("proposed"))
    );
    let meeting = format!("/v1/meetings/{}", listed.at("/items/0/meeting_id"));
    h.moves("client-a", &meeting, "consent", 200).await;
    let without = h.moves("counselor", &meeting, "confirm", 422).await;
    assert_eq!(without.at("/errors/0/pointer"), &json!("/scheduled_time"));
    let late = json!({"scheduled_time": in_minutes(-1)});
    h.moves_with("counselor", (&meeting, "confirm"), &late, 422).await;
    let body = json!({"scheduled_time": in_minutes(30), "duration_minutes": 45});
    let confirmed = h.moves_with("counselor", (&meeting, "confirm"), &body, 200).await;
    assert_eq!(confirmed.at("/ends_at"), &json!("2026-06-15T13:15:00Z"));
}

#[tokio::test]
async fn what_a_client_agreed_to_is_not_changed_by_confirming_it() {
    let h = Harness::with_meetings().await;
    let meeting = h.proposed("counselor", "client-b", Some(in_minutes(60))).await;
    h.moves("client-b", &meeting, "consent", 200).await;
    h.moves("counselor_other", &meeting, "confirm", 409).await;
    let later = json!({"scheduled_time": in_minutes(61)});
    h.moves_with("counselor", (&meeting, "confirm"), &later, 409)
        .await;
    let same = json!({"scheduled_time": in_minutes(60)});
    h.moves_with("counselor", (&meeting, "confirm"), &same, 200).await;
}

#[tokio::test]
async fn a_meeting_that_is_over_is_moved_by_nobody_and_not_in_the_database_either() {
    let h = Harness::with_meetings().await;
    let meeting = h.confirmed("client-a", in_minutes(60)).await;
    let early = h.moves("counselor", &meeting, "complete", 409).await;
    assert!(early.at("/detail").as_str().unwrap().contains("has not begun"));
    h.moves("client-a", &meeting, "consent", 409).await;
    h.moves("counselor", &meeting, "confirm", 409).await;
    let reason = json!({"reason": "ill"});
    let cancelled = h.moves_with("client-a", (&meeting, "cancel"), &reason, 200).await;
    assert_eq!(cancelled.at("/cancel_reason"), &json!("ill"));
    for (name, verb) in [
        ("client-a", "consent"),
        ("counselor", "confirm"),
        ("counselor", "complete"),
        ("client-a", "cancel"),
    ] {
        let refused = h.moves(name, &meeting, verb, 409).await;
        assert_eq!(refused.at("/type"), &json!("/problems/wrong-state"), "{verb}");
    }
    for status in ["proposed", "scheduled", "confirmed", "completed", "no_show"] {
        let sql = format!("update social.meetings set status = '{status}'");
        assert!(h.is_refused(&sql, "ck_meetings_move").await, "{status}");
    }
    let made =
        "insert into social.meetings (user_id, meeting_type, scheduled_time, ends_at, user_consent, status)
        values ('client-a', 'session', now(), now() + interval '30 minutes', true, 'confirmed')";
    assert!(
        h.is_refused(made, "ck_meetings_move").await,
        "none begins confirmed"
    );
}

#[tokio::test]
async fn a_client_who_does_not_come_is_followed_up_and_nobody_is_called_unless_the_risk_is_high() {
    let mut h = Harness::with_meetings().await;
    let quiet = h.confirmed("client-b", in_minutes(10)).await;
    let meeting = h.confirmed("client-a", in_minutes(60)).await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    h.clock.advance(TimeDelta::minutes(75));
    let no_show = json!({"outcome": "no_show", "next_contact_at": in_minutes(300)});
    let missed = h
        .moves_with("counselor", (&meeting, "complete"), &no_show, 200)
        .await;
    assert_eq!(
        (missed.at("/status"), missed.at("/completed_at")),
        (&json!("no_show"), &Value::Null)
    );
    h.moves_with(
        "counselor",
        (&quiet, "complete"),
        &json!({"outcome": "no_show"}),
        200,
    )
    .await;
    let follow_ups = h
        .database
        .query(
            "select user_id, status, counselor_id, follow_up_of, scheduled_time is not null as has_time
            from social.meetings where meeting_type = 'follow_up' order by user_id",
        )
        .await;
    let found: Vec<(&str, &str, &str, bool)> = follow_ups
        .iter()
        .map(|row| {
            (
                row.get("user_id"),
                row.get("status"),
                row.get("counselor_id"),
                row.get("has_time"),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("client-a", "proposed", "staff-counselor", true),
            ("client-b", "proposed", "staff-counselor", false)
        ]
    );
    let silent =
        "select user_id from social.escalations where escalation_type = 'silence' and status = 'notified'";
    let called: Vec<String> = h
        .database
        .query(silent)
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(called, ["client-a"]);
    let told = "select count(*) from social.notification_deliveries d join social.escalations e using (escalation_id)
        where e.escalation_type = 'silence' and d.staff_id = 'staff-counselor'";
    assert_eq!(h.database.count(told).await, 1);
    let contacts = "select count(*) from social.contacts";
    assert_eq!(h.database.count(contacts).await, 0, "nobody was spoken with");
    assert_eq!(h.events("social.meeting.completed").await.len(), 2);
}

#[tokio::test]
async fn a_client_is_reminded_once_a_day_before_and_not_at_night() {
    let h = Harness::with_meetings().await;
    let soon = h.confirmed("client-a", noon() + TimeDelta::hours(25)).await;
    let unconfirmed = noon() + TimeDelta::hours(22);
    h.proposed("counselor", "client-b", Some(unconfirmed)).await;
    assert_eq!(h.app.round("remind").await.unwrap(), 0);
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.app.round("remind").await.unwrap(), 1);
    assert_eq!(h.app.round("remind").await.unwrap(), 0, "once");
    h.app.round("release").await.unwrap();
    let nudges = h.call("client-a").get("/v1/users/client-a/nudges").await;
    assert_eq!(
        (
            nudges.at("/items/0/nudge_type"),
            nudges.at("/items/0/status"),
            nudges.at("/items/1")
        ),
        (&json!("meeting_reminder"), &json!("sent"), &Value::Null)
    );
    h.moves("client-a", &soon, "cancel", 200).await;
    // At eleven in the evening, for eight and for nine in the morning.
    h.clock.advance(TimeDelta::hours(10));
    h.confirmed("client-a", in_minutes(20 * 60)).await;
    h.confirmed("client-b", in_minutes(21 * 60)).await;
    assert_eq!(h.app.round("remind").await.unwrap(), 2);
    let held = h
        .database
        .query("select user_id, send_after, expires_at from social.nudges where status = 'held'")
        .await;
    assert_eq!(held.len(), 1, "who sleeps until it begins is not woken");
    let (who, send_after): (String, DateTime<Utc>) = (held[0].get("user_id"), held[0].get("send_after"));
    assert_eq!((who.as_str(), send_after), ("client-b", in_minutes(20 * 60)));
}

#[tokio::test]
async fn meetings_are_listed_by_client_by_counselor_by_status_and_by_time() {
    let h = Harness::with_meetings().await;
    let first = h.confirmed("client-a", in_minutes(60)).await;
    let second = h.proposed("counselor", "client-b", Some(in_minutes(120))).await;
    let third = h.proposed("counselor_other", "client-b", None).await;
    let number = |path: &str| path.rsplit('/').next().unwrap().parse::<i64>().unwrap();
    let list = async |name: &str, query: &str| {
        let page = h.call(name).get(&format!("/v1/meetings{query}")).await;
        assert_eq!(page.code(), 200, "{}", page.json);
        let items = page.at("/items").as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["meeting_id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    let (a, b, c) = (number(&first), number(&second), number(&third));
    assert_eq!(list("counselor", "").await, [b, a, c]);
    assert_eq!(list("counselor_other", "").await, [b, c]);
    assert_eq!(list("client-a", "").await, [a]);
    assert_eq!(list("counselor", "?user_id=client-b").await, [b, c]);
    assert_eq!(list("counselor", "?counselor_id=staff-counselor").await, [b, a]);
    assert_eq!(list("counselor", "?status=confirmed").await, [a]);
    assert_eq!(list("counselor", "?from=2026-06-15T13:30:00Z").await, [b]);
    assert_eq!(list("counselor", "?until=2026-06-15T14:00:00Z").await, [a]);
    let page = h.call("counselor").get("/v1/meetings?limit=2").await;
    let cursor = page.at("/next_cursor").as_str().unwrap();
    assert_eq!(list("counselor", &format!("?limit=2&cursor={cursor}")).await, [c]);
    let strangers = h
        .call("counselor_other")
        .get("/v1/meetings?user_id=client-a")
        .await;
    assert_eq!(strangers.code(), 404);
    assert_eq!(h.call("counselor_other").get(&first).await.code(), 404);
    for verb in ["confirm", "complete", "cancel"] {
        h.moves("counselor_other", &first, verb, 404).await;
    }
}

#[tokio::test]
async fn who_sees_a_client_for_a_crisis_alone_sees_no_meetings() {
    let mut h = Harness::with_meetings().await;
    let roles = "insert into core.staff_roles (user_id, role) values ('staff-oncall', 'counselor')";
    h.database.superuser().await.run(roles).await;
    let meeting = h.confirmed("client-a", in_minutes(60)).await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    let oncall = h.call("oncall");
    assert_eq!(oncall.get("/v1/users/client-a/risk-profile").await.code(), 200);
    assert_eq!(oncall.get(&meeting).await.code(), 404);
    assert_eq!(oncall.get("/v1/meetings").await.at("/items"), &json!([]));
    h.moves("oncall", &meeting, "cancel", 404).await;
}

#[tokio::test]
async fn every_fault_of_a_proposal_is_named() {
    let h = Harness::with_meetings().await;
    for (name, body, pointer) in [
        (
            "counselor",
            json!({"user_id": "client-a", "meeting_type": "party"}),
            "/meeting_type",
        ),
        (
            "counselor",
            json!({"user_id": "client-a", "meeting_type": "session", "duration_minutes": 30}),
            "/duration_minutes",
        ),
        (
            "counselor",
            json!({"user_id": "client-a", "meeting_type": "session", "scheduled_time": in_minutes(0)}),
            "/scheduled_time",
        ),
        (
            "counselor",
            json!({"user_id": "client-a", "meeting_type": "session", "scheduled_time": in_minutes(366 * 1440)}),
            "/scheduled_time",
        ),
        (
            "client-a",
            json!({"user_id": "client-a", "meeting_type": "session", "notes": "mine"}),
            "/notes",
        ),
        (
            "client-a",
            json!({"user_id": "client-a", "meeting_type": "session", "counselor_id": "staff-counselor_other"}),
            "/counselor_id",
        ),
        (
            "client-a",
            json!({"user_id": "client-a", "meeting_type": "session", "status": "confirmed"}),
            "/status",
        ),
    ] {
        let refused = h.call(name).post("/v1/meetings", &body).await;
        assert_eq!(
            (refused.code(), refused.at("/errors/0/pointer")),
            (422, &json!(pointer)),
            "{}",
            refused.json
        );
    }
    let stranger = h.proposes("client-a", "client-b", None).await;
    assert_eq!(stranger.code(), 404);
}

#[tokio::test]
async fn a_meeting_whose_counselor_has_left_is_taken_by_another() {
    let h = Harness::with_meetings().await;
    let meeting = h.confirmed("client-b", in_minutes(60)).await;
    let leave = "update social.meetings set counselor_id = null";
    h.database.superuser().await.run(leave).await;
    let taken = h.moves("counselor_other", &meeting, "confirm", 200).await;
    assert_eq!(taken.at("/counselor_id"), &json!("staff-counselor_other"));
    h.moves("counselor", &meeting, "confirm", 409).await;
}

#[tokio::test]
async fn a_meeting_that_is_entered_late_is_a_contact_of_its_own_time() {
    let h = Harness::with_meetings().await;
    let meeting = h.confirmed("client-a", in_minutes(60)).await;
    h.clock.advance(TimeDelta::days(7));
    h.moves("counselor", &meeting, "complete", 200).await;
    let then = "select count(*) from social.contacts c join social.meetings m on m.user_id = c.client_id
        where c.outcome = 'spoke' and c.at = m.ends_at and m.completed_at = m.ends_at";
    assert_eq!(h.database.count(then).await, 1);
}
