//! Schedules: rotations written ahead, shifts by hand, and who stands in for whom.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, noon, scores};

impl Harness {
    /// Makes a schedule in a time zone; returns its path.
    pub(crate) async fn schedule(&self, zone: &str) -> String {
        let body = json!({"name": format!("in {zone}"), "timezone": zone});
        let made = self.call("supervisor").post("/v1/oncall-schedules", &body).await;
        assert_eq!(made.code(), 201, "{}", made.json);
        format!("/v1/oncall-schedules/{}", made.at("/schedule_id"))
    }

    /// Lets these staff, by name, be on call as well.
    pub(crate) async fn on_call_too(&self, names: &[&str]) {
        let values: Vec<String> = names
            .iter()
            .map(|name| format!("('staff-{name}', 'oncall')"))
            .collect();
        let sql = format!(
            "insert into core.staff_roles (user_id, role) values {}",
            values.join(", ")
        );
        self.database.superuser().await.run(&sql).await;
    }

    /// Puts somebody on duty, from so many hours from now to so many.
    pub(crate) async fn shift(&self, schedule: &str, name: &str, from: i64, until: i64) -> Answer {
        let body = json!({"staff_id": format!("staff-{name}"), "starts_at": self.in_hours(from), "ends_at": self.in_hours(until)});
        let made = self
            .call("supervisor")
            .post(&format!("{schedule}/shifts"), &body)
            .await;
        assert_eq!(made.code(), 201, "{}", made.json);
        made
    }

    pub(crate) fn in_hours(&self, hours: i64) -> DateTime<Utc> {
        self.clock.fixed().unwrap() + TimeDelta::hours(hours)
    }

    /// Who is on duty now, by name, as staff read it; the same as Postgres says.
    pub(crate) async fn on_duty(&self, schedule: &str) -> Vec<String> {
        let seen = self.call("oncall").get(&format!("{schedule}/now")).await;
        assert_eq!(seen.code(), 200, "{}", seen.json);
        assert_eq!(seen.at("/at"), &json!(self.in_hours(0)));
        let said = seen.at("/on_duty").as_array().unwrap();
        let said: Vec<String> = said.iter().map(|one| text(&one["staff_id"])).collect();
        let id = schedule.rsplit('/').next().unwrap();
        let sql = format!(
            "select o as staff_id from social.oncall_at({id}, '{}') o",
            self.in_hours(0)
        );
        let rows = self.database.query(&sql).await;
        let found: Vec<String> = rows.iter().map(|row| row.get("staff_id")).collect();
        assert_eq!(said, found);
        said.iter()
            .map(|id| id.trim_start_matches("staff-").to_owned())
            .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn weekly(members: &[&str]) -> Value {
    json!({
        "name": "weekly", "kind": "weekly", "handover_time": "09:00", "starts_on": "2026-06-08", "members": members,
    })
}

async fn moved_to(caller: &Client, schedule: &str, body: &Value) -> Answer {
    let body = body.to_string().into_bytes();
    caller.send(Method::PATCH, schedule, Some(body)).await
}

const MONDAYS: [&str; 2] = ["staff-oncall", "staff-supervisor"];

#[tokio::test]
async fn a_rotation_is_written_ninety_days_ahead_and_hands_over_at_the_local_time() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor"]).await;
    let schedule = h.schedule("Europe/Vienna").await;
    let made = h
        .call("supervisor")
        .post(&format!("{schedule}/rotations"), &weekly(&MONDAYS))
        .await;
    assert_eq!(
        (made.code(), made.at("/rotations/0/members")),
        (201, &json!(MONDAYS))
    );
    // Noon on the Monday on which the second has taken over.
    assert_eq!(h.on_duty(&schedule).await, ["supervisor"]);
    let before = h
        .call("oncall")
        .get(&format!("{schedule}/now?at=2026-06-15T06:59:59Z"))
        .await;
    assert_eq!(
        before.at("/on_duty"),
        &json!([]),
        "nobody was, before it was made"
    );
    let shifts = h
        .call("counselor")
        .get(&format!("{schedule}/shifts?limit=200"))
        .await;
    let shifts = shifts.items();
    assert_eq!(shifts.len(), 13);
    assert_eq!(shifts[0]["starts_at"], json!(noon()), "it begins with its making");
    for (one, next) in shifts.iter().zip(&shifts[1..]) {
        assert_eq!(one["ends_at"], next["starts_at"]);
        assert!(
            text(&one["ends_at"]).ends_with("T07:00:00Z"),
            "nine in the morning in Vienna"
        );
    }
    assert!(text(&shifts[12]["ends_at"]) >= h.in_hours(90 * 24).to_rfc3339());
}

#[tokio::test]
async fn shifts_are_written_further_as_time_goes_by() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor"]).await;
    let schedule = h.schedule("UTC").await;
    h.call("admin")
        .post(&format!("{schedule}/rotations"), &weekly(&MONDAYS))
        .await;
    assert_eq!(h.app.round("rotations").await.unwrap(), 0);
    for expected in ["oncall", "supervisor", "oncall"] {
        h.clock.advance(TimeDelta::days(7));
        assert_eq!(h.app.round("rotations").await.unwrap(), 1);
        assert_eq!(h.app.round("rotations").await.unwrap(), 0);
        assert_eq!(h.on_duty(&schedule).await, [expected]);
    }
    let gaps = "select count(*) from (select starts_at, lag(ends_at) over (order by starts_at) as before
        from social.oncall_shifts) s where starts_at <> before";
    assert_eq!(h.database.count(gaps).await, 0);
    h.clock.advance(TimeDelta::days(400));
    assert_eq!(
        h.app.round("rotations").await.unwrap(),
        1,
        "after a year without the job"
    );
    assert_eq!(h.on_duty(&schedule).await.len(), 1);
}

#[tokio::test]
async fn a_changed_rotation_leaves_what_was_and_the_shift_of_who_stays_on_duty() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor", "counselor"]).await;
    let schedule = h.schedule("UTC").await;
    let supervisor = h.call("supervisor");
    let made = supervisor
        .post(&format!("{schedule}/rotations"), &weekly(&MONDAYS))
        .await;
    let rotation = format!("{schedule}/rotations/{}", made.at("/rotations/0/rotation_id"));
    h.clock.advance(TimeDelta::days(2));
    let same = supervisor
        .put(&rotation, &weekly(&["staff-counselor", "staff-supervisor"]))
        .await;
    assert_eq!(same.code(), 200, "{}", same.json);
    let shifts = h.call("oncall").get(&format!("{schedule}/shifts")).await.items();
    assert_eq!(
        (&shifts[0]["staff_id"], &shifts[0]["starts_at"]),
        (&json!("staff-supervisor"), &json!(noon()))
    );
    assert_eq!(shifts[1]["staff_id"], "staff-counselor");
    supervisor.put(&rotation, &weekly(&["staff-counselor"])).await;
    assert_eq!(h.on_duty(&schedule).await, ["counselor"]);
    let was = h
        .call("oncall")
        .get(&format!("{schedule}/shifts?from=2026-06-01T00:00:00Z"))
        .await;
    assert_eq!(was.at("/items/0/staff_id"), &json!("staff-supervisor"));
    assert_eq!(
        was.at("/items/0/ends_at"),
        &json!(h.in_hours(0)),
        "until it was changed"
    );
    assert_eq!(supervisor.delete(&rotation).await.code(), 204);
    assert_eq!(h.on_duty(&schedule).await, Vec::<String>::new());
    assert_eq!(
        h.database
            .count("select count(*) from social.oncall_shifts where starts_at < ends_at")
            .await,
        1
    );
}

#[tokio::test]
async fn a_schedule_in_another_zone_hands_over_at_that_zones_time() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor"]).await;
    let schedule = h.schedule("UTC").await;
    let supervisor = h.call("supervisor");
    supervisor
        .post(&format!("{schedule}/rotations"), &weekly(&MONDAYS))
        .await;
    let moved = moved_to(&supervisor, &schedule, &json!({"timezone": "America/New_York"})).await;
    assert_eq!(
        (moved.code(), moved.at("/timezone")),
        (200, &json!("America/New_York"))
    );
    // Eight in the morning there: the first of the two is still on duty.
    assert_eq!(h.on_duty(&schedule).await, ["oncall"]);
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.on_duty(&schedule).await, ["supervisor"]);
}

#[tokio::test]
async fn who_stands_in_is_on_duty_and_the_later_word_holds() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor", "counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", -1, 12).await;
    let supervisor = h.call("supervisor");
    let overrides = format!("{schedule}/overrides");
    let stand_in = |staff: &str, replaces: Value, everybody: bool, until: i64| {
        json!({"staff_id": staff, "replaces_staff_id": replaces, "replaces_everybody": everybody,
            "starts_at": h.in_hours(0), "ends_at": h.in_hours(until)})
    };
    let idle = stand_in("staff-counselor_other", json!("staff-counselor"), false, 8);
    assert_eq!(supervisor.post(&overrides, &idle).await.code(), 201);
    assert_eq!(
        h.on_duty(&schedule).await,
        ["oncall"],
        "nobody stands in for who is not on duty"
    );
    let own = stand_in("staff-counselor", Value::Null, false, 8);
    let made = h.call("oncall").post(&overrides, &own).await;
    assert_eq!(
        (made.code(), made.at("/replaces_staff_id")),
        (201, &json!("staff-oncall"))
    );
    assert_eq!(h.on_duty(&schedule).await, ["counselor"]);
    let everybody = stand_in("staff-counselor_other", Value::Null, true, 4);
    let all = supervisor.post(&overrides, &everybody).await;
    assert_eq!(all.at("/replaces_staff_id"), &Value::Null);
    assert_eq!(h.on_duty(&schedule).await, ["counselor_other"]);
    let path = format!("{overrides}/{}", all.at("/override_id"));
    assert_eq!(supervisor.delete(&path).await.code(), 204);
    assert_eq!(supervisor.delete(&path).await.code(), 404);
    assert_eq!(h.on_duty(&schedule).await, ["counselor"]);
    let listed = h.call("admin").get(&overrides).await;
    assert_eq!(listed.items().len(), 2);
    h.clock.advance(TimeDelta::hours(8));
    assert_eq!(h.on_duty(&schedule).await, ["oncall"]);
}

#[tokio::test]
async fn who_was_suspended_or_is_on_call_no_more_is_not_on_duty_and_stands_in_for_nobody() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor", "counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", -1, 12).await;
    h.shift(&schedule, "counselor", -1, 12).await;
    let body = json!({"staff_id": "staff-counselor_other", "replaces_staff_id": "staff-oncall",
        "starts_at": h.in_hours(0), "ends_at": h.in_hours(8)});
    h.call("supervisor")
        .post(&format!("{schedule}/overrides"), &body)
        .await;
    assert_eq!(h.on_duty(&schedule).await, ["counselor", "counselor_other"]);
    let admin = h.database.superuser().await;
    admin
        .run("delete from core.staff_roles where user_id = 'staff-counselor_other' and role = 'oncall'")
        .await;
    assert_eq!(h.on_duty(&schedule).await, ["counselor", "oncall"]);
    admin
        .run("update core.users set status = 'suspended' where user_id = 'staff-counselor'")
        .await;
    assert_eq!(h.on_duty(&schedule).await, ["oncall"]);
}

#[tokio::test]
async fn the_turns_of_who_was_erased_go_to_those_who_stay() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor"]).await;
    let schedule = h.schedule("UTC").await;
    h.call("admin")
        .post(
            &format!("{schedule}/rotations"),
            &weekly(&["staff-supervisor", "staff-oncall"]),
        )
        .await;
    assert_eq!(h.on_duty(&schedule).await, ["oncall"]);
    h.database
        .superuser()
        .await
        .run("select social.erase_user('staff-supervisor'); select core.erase_user('staff-supervisor')")
        .await;
    assert_eq!(h.app.round("rotations").await.unwrap(), 1);
    let others = "select count(*) from social.oncall_shifts where staff_id <> 'staff-oncall'";
    assert_eq!(h.database.count(others).await, 0);
    h.clock.advance(TimeDelta::days(7));
    assert_eq!(h.on_duty(&schedule).await, ["oncall"]);
}

#[tokio::test]
async fn staff_hand_over_their_own_duty_and_nobody_elses() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 12).await;
    let span = |mut body: Value| {
        body["starts_at"] = json!(h.in_hours(0));
        body["ends_at"] = json!(h.in_hours(4));
        body
    };
    let overrides = format!("{schedule}/overrides");
    let counselor = h.call("counselor");
    for body in [
        json!({"staff_id": "staff-counselor", "replaces_staff_id": "staff-oncall"}),
        json!({"staff_id": "staff-counselor", "replaces_everybody": true}),
    ] {
        assert_eq!(counselor.post(&overrides, &span(body)).await.code(), 403);
    }
    let own = span(json!({"staff_id": "staff-counselor"}));
    let made = h.call("oncall").post(&overrides, &own).await;
    assert_eq!(made.code(), 201);
    let path = format!("{overrides}/{}", made.at("/override_id"));
    assert_eq!(counselor.delete(&path).await.code(), 403);
    assert_eq!(h.call("oncall").delete(&path).await.code(), 204);
    let shift = span(json!({"staff_id": "staff-counselor"}));
    for (name, code) in [
        ("counselor", 403),
        ("oncall", 403),
        ("admin", 403),
        ("supervisor", 201),
    ] {
        assert_eq!(
            h.call(name)
                .post(&format!("{schedule}/shifts"), &shift)
                .await
                .code(),
            code,
            "{name}"
        );
    }
}

#[tokio::test]
async fn who_is_never_on_duty_has_no_duty_to_hand_over() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 12).await;
    let body = json!({"staff_id": "staff-oncall", "starts_at": h.in_hours(0), "ends_at": h.in_hours(4)});
    for name in ["counselor", "supervisor"] {
        let refused = h.call(name).post(&format!("{schedule}/overrides"), &body).await;
        assert_eq!(refused.code(), 422, "{name}: {}", refused.json);
        assert_eq!(
            refused.at("/errors/0/pointer"),
            &json!("/replaces_staff_id"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_database_lets_nobody_write_a_schedule_who_may_not() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 12).await;
    let pools = h.database.pools("social");
    for (staff, seen, changed) in [("counselor", 1, 0), ("auditor", 0, 0), ("supervisor", 1, 1)] {
        let tx = pools
            .begin(&db::Actor::Staff(format!("staff-{staff}")))
            .await
            .unwrap();
        let rows = tx
            .query("select shift_id from social.oncall_shifts", &[])
            .await
            .unwrap();
        let touched = tx
            .execute("update social.oncall_shifts set ends_at = ends_at", &[])
            .await
            .unwrap();
        assert_eq!((rows.len(), touched), (seen, changed), "{staff}");
        let added = tx
            .execute(
                "insert into social.oncall_overrides (schedule_id, staff_id, replaces_staff_id, starts_at, ends_at)
                 select schedule_id, 'staff-counselor', 'staff-oncall', now(), now() + interval '1 hour' from social.oncall_schedules",
                &[],
            )
            .await;
        let refused =
            matches!(added, Err(db::Error::NotVisible)) || added.as_ref().is_ok_and(|rows| *rows == 0);
        assert_eq!(refused, changed == 0, "{staff}: {added:?}");
    }
}

#[tokio::test]
async fn only_a_shift_written_by_hand_that_is_not_over_is_taken_back() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor"]).await;
    let schedule = h.schedule("UTC").await;
    let supervisor = h.call("supervisor");
    let path = |made: &Answer| format!("{schedule}/shifts/{}", made.at("/shift_id"));
    let running = path(&h.shift(&schedule, "oncall", -1, 2).await);
    let ahead = path(&h.shift(&schedule, "oncall", 5, 6).await);
    for shift in [&running, &ahead] {
        assert_eq!(supervisor.delete(shift).await.code(), 204);
    }
    assert_eq!(supervisor.delete(&running).await.code(), 409);
    assert_eq!(supervisor.delete(&ahead).await.code(), 404);
    assert_eq!(h.on_duty(&schedule).await, Vec::<String>::new());
    supervisor
        .post(&format!("{schedule}/rotations"), &weekly(&MONDAYS))
        .await;
    let shifts = supervisor.get(&format!("{schedule}/shifts")).await;
    let written = format!("{schedule}/shifts/{}", shifts.at("/items/0/shift_id"));
    assert_eq!(supervisor.delete(&written).await.code(), 409);
}

#[tokio::test]
async fn who_is_on_duty_is_found_by_an_index_among_years_of_shifts() {
    let h = Harness::new().await;
    h.database
        .superuser()
        .await
        .run(
            "insert into social.oncall_schedules (name, timezone) select 'schedule ' || n, 'UTC' from generate_series(1, 20) n;
             insert into social.oncall_shifts (schedule_id, staff_id, starts_at, ends_at, source)
             select s.schedule_id, 'staff-oncall', d, d + interval '1 day', 'manual'
             from social.oncall_schedules s,
                generate_series('2024-01-01'::timestamptz, '2026-12-31'::timestamptz, interval '1 day') d;
             analyze social.oncall_shifts",
        )
        .await;
    let tx = h.database.pools("social").begin_worker().await.unwrap();
    let found = tx
        .query("select o from social.oncall_at(7, $1) o", &[&noon()])
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    let read = tx
        .query_one(
            "select s.seq_scan, s.idx_tup_fetch from pg_stat_xact_user_tables s where s.relname = 'oncall_shifts'",
            &[],
        )
        .await
        .unwrap();
    let (scans, rows): (i64, i64) = (read.get("seq_scan"), read.get("idx_tup_fetch"));
    // A beginning is looked for as far back as the longest shift.
    assert!(scans == 0 && rows <= 31, "{scans} scans, {rows} rows");
}

/// Where the faults of a refused body are.
fn pointers(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.code(), 422, "{}", answer.json);
    let errors = answer.at("/errors").as_array().unwrap();
    errors.iter().map(|error| text(&error["pointer"])).collect()
}

#[tokio::test]
async fn every_fault_of_a_rotation_is_named() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    let supervisor = h.call("supervisor");
    let zone = moved_to(&supervisor, &schedule, &json!({"timezone": "Mars/Olympus"})).await;
    assert_eq!(
        (zone.code(), zone.at("/errors/0/pointer")),
        (422, &json!("/timezone"))
    );
    let rotations = format!("{schedule}/rotations");
    for (field, value, pointer) in [
        ("kind", json!("yearly"), "/kind"),
        ("kind", json!("custom"), "/shift_days"),
        ("shift_days", json!(3), "/shift_days"),
        ("shift_days", json!(29), "/shift_days"),
        ("handover_time", json!("9:00"), "/handover_time"),
        ("handover_time", json!("24:00"), "/handover_time"),
        ("starts_on", json!("2026-02-30"), "/starts_on"),
        ("starts_on", json!("1999-12-31"), "/starts_on"),
        ("ends_on", json!("2026-06-08"), "/ends_on"),
        ("weekdays", json!([]), "/weekdays"),
        ("weekdays", json!([0]), "/weekdays"),
        ("hours_from", json!("22:00"), "/hours_until"),
        ("members", json!([]), "/members"),
        (
            "members",
            json!(["staff-oncall", "staff-counselor"]),
            "/members/1",
        ),
        ("members", json!(["nobody"]), "/members/0"),
    ] {
        let mut body = weekly(&["staff-oncall"]);
        body[field] = value;
        assert_eq!(
            pointers(&supervisor.post(&rotations, &body).await),
            [pointer],
            "{body}"
        );
    }
    assert_eq!(
        supervisor
            .post(&rotations, &weekly(&["staff-oncall"]))
            .await
            .code(),
        201
    );
    assert_eq!(
        supervisor
            .post(&rotations, &weekly(&["staff-oncall"]))
            .await
            .code(),
        409,
        "the name"
    );
}

#[tokio::test]
async fn every_fault_of_a_shift_and_an_override_is_named() {
    let h = Harness::new().await;
    h.on_call_too(&["supervisor"]).await;
    let schedule = h.schedule("UTC").await;
    let supervisor = h.call("supervisor");
    for (starts, ends, staff, pointer) in [
        (0, 0, "staff-oncall", "/ends_at"),
        (0, 28 * 24 + 1, "staff-oncall", "/ends_at"),
        (-2, -1, "staff-oncall", "/ends_at"),
        (0, 1, "staff-counselor", "/staff_id"),
        (0, 1, "client-a", "/staff_id"),
    ] {
        let body = json!({"staff_id": staff, "starts_at": h.in_hours(starts), "ends_at": h.in_hours(ends)});
        for list in ["shifts", "overrides"] {
            let refused = supervisor.post(&format!("{schedule}/{list}"), &body).await;
            assert_eq!(pointers(&refused), [pointer], "{list} {body}");
        }
    }
    for path in ["", "/now", "/shifts", "/overrides"] {
        let absent = supervisor.get(&format!("/v1/oncall-schedules/999{path}")).await;
        assert_eq!(absent.code(), 404, "{path}");
    }
}

#[tokio::test]
async fn many_who_change_one_schedule_leave_room_for_who_answers_a_crisis() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    let message = h.writes("client-a", &scores(0.9, 0.1)).await;
    let escalation = message.at("/escalation_id").as_i64().unwrap();
    let holder = h.database.superuser().await;
    holder
        .run("begin; select from social.oncall_schedules for no key update")
        .await;
    // More of them than there are connections for people.
    let changes = (1..=8).map(|number| {
        let body = json!({"name": format!("night {number}")});
        let (caller, path) = (h.call("supervisor"), schedule.clone());
        async move {
            caller
                .send(Method::PATCH, &path, Some(body.to_string().into_bytes()))
                .await
                .code()
        }
    });
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let answer = async {
        while h.database.count(waiting).await == 0 {
            tokio::task::yield_now().await;
        }
        let counselor = h.call("counselor");
        // While these are answered, all the changes have come.
        for _ in 0..20 {
            assert_eq!(
                counselor
                    .get(&format!("/v1/escalations/{escalation}"))
                    .await
                    .code(),
                200
            );
        }
        let path = format!("/v1/escalations/{escalation}/acknowledge");
        assert_eq!(counselor.post(&path, &json!({})).await.code(), 200);
        assert_eq!(h.database.count(waiting).await, 1);
        holder.run("commit").await;
    };
    let (changed, ()) = tokio::join!(join_all(changes), answer);
    assert_eq!(changed, [200; 8]);
}
