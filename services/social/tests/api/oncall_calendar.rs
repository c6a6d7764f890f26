//! The calendar of a schedule: behind a secret link, and read by an ordinary calendar program.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Client, workspace_root};

use crate::harness::Harness;

impl Harness {
    /// A new link to the calendar of a schedule.
    async fn link(&self, schedule: &str) -> String {
        let made = self
            .call("admin")
            .post(&format!("{schedule}/calendar-link"), &json!({}))
            .await;
        assert_eq!(made.code(), 200, "{}", made.json);
        made.at("/path").as_str().unwrap().to_owned()
    }

    pub(crate) fn stranger(&self) -> Client {
        Client::new(&self.app.base_url())
    }
}

/// What Python's `icalendar` reads behind a link, line by line.
pub(crate) async fn read(h: &Harness, link: &str) -> Vec<String> {
    let root = workspace_root();
    let mut program = Command::new(root.join(".dev/venv/bin/python"));
    program
        .arg(root.join("services/social/tests/python/calendar_reader.py"))
        .env("RECOVERLY_CALENDAR_URL", format!("{}{link}", h.app.base_url()));
    let ran = tokio::task::spawn_blocking(move || program.output())
        .await
        .unwrap();
    let ran = ran.expect("the Python environment: run examples/setup.sh first");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn an_ordinary_calendar_program_reads_who_is_on_duty_and_who_stands_in() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor"]).await;
    // A name that has to be escaped and folded.
    let long = format!("{} ; the, \\ first", "ü".repeat(60));
    h.database
        .superuser()
        .await
        .run(&format!(
            "update core.users set display_name = '{long}' where user_id = 'staff-counselor'"
        ))
        .await;
    let schedule = h.schedule("Europe/Vienna").await;
    h.shift(&schedule, "oncall", 0, 8).await;
    let body = json!({"staff_id": "staff-counselor", "replaces_staff_id": "staff-oncall",
        "starts_at": h.in_hours(2), "ends_at": h.in_hours(4)});
    h.call("supervisor")
        .post(&format!("{schedule}/overrides"), &body)
        .await;
    let link = h.link(&schedule).await;
    let expected = [
        "in Europe/Vienna".to_owned(),
        "2026-06-15T12:00:00Z | 2026-06-15T14:00:00Z | oncall".to_owned(),
        format!("2026-06-15T14:00:00Z | 2026-06-15T16:00:00Z | {long}"),
        "2026-06-15T16:00:00Z | 2026-06-15T20:00:00Z | oncall".to_owned(),
    ];
    assert_eq!(read(&h, &link).await, expected);
    h.database
        .superuser()
        .await
        .run("update core.users set status = 'suspended' where user_id = 'staff-oncall'")
        .await;
    assert_eq!(
        read(&h, &link).await.len(),
        2,
        "who was suspended is on no calendar"
    );
}

#[tokio::test]
async fn an_empty_schedule_is_an_empty_calendar() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    let link = h.link(&schedule).await;
    assert_eq!(read(&h, &link).await, ["in UTC"]);
}

#[tokio::test]
async fn a_link_that_is_none_any_more_or_never_was_shows_nothing() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    let other = h.schedule("Europe/Vienna").await;
    let stranger = h.stranger();
    let seen = h.call("supervisor").get(&schedule).await;
    assert_eq!(seen.at("/has_calendar"), &json!(false));
    let first = h.link(&schedule).await;
    assert_eq!(stranger.get(&first).await.code(), 200);
    let second = h.link(&schedule).await;
    let elsewhere = second.replace(&schedule, &other);
    for link in [
        &first,
        &elsewhere,
        &format!("{schedule}/calendar.ics?secret=guess"),
    ] {
        let answer = stranger.get(link).await;
        assert_eq!(
            (answer.code(), answer.at("/type")),
            (404, &json!("/problems/not-found")),
            "{link}"
        );
        assert!(
            !String::from_utf8_lossy(&answer.bytes).contains("secret"),
            "{}",
            answer.json
        );
    }
    assert_eq!(stranger.get(&second).await.code(), 200);
    assert_eq!(
        h.call("supervisor")
            .delete(&format!("{schedule}/calendar-link"))
            .await
            .code(),
        204
    );
    assert_eq!(stranger.get(&second).await.code(), 404);
}

#[tokio::test]
async fn the_secret_of_a_link_is_stored_nowhere_and_stands_in_no_audit() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 8).await;
    let link = h.link(&schedule).await;
    let secret = link.rsplit('=').next().unwrap();
    assert!(secret.len() >= 43, "256 bits");
    assert_eq!(h.stranger().get(&link).await.code(), 200);
    for table in [
        "social.oncall_schedules",
        "social.idempotency_keys",
        "core.audit_events",
        "core.audit_pending",
    ] {
        let sql = format!("select count(*) from {table} t where t::text like '%{secret}%'");
        assert_eq!(h.database.count(&sql).await, 0, "{table}");
    }
    let read = "select count(*) from core.audit_events where action = 'GET /v1/oncall-schedules/{schedule_id}/calendar.ics'
        and actor = 'calendar' and cardinality(subject_refs) = 1";
    assert_eq!(h.database.count(read).await, 1);
}

#[tokio::test]
async fn who_guesses_links_is_asked_to_wait() {
    let h = Harness::new().await;
    let schedule = h.schedule("UTC").await;
    let stranger = h.stranger();
    let mut codes = Vec::new();
    for guess in 0..12 {
        codes.push(
            stranger
                .get(&format!("{schedule}/calendar.ics?secret=guess-{guess}"))
                .await
                .code(),
        );
    }
    assert_eq!(codes[..10], [404; 10]);
    assert_eq!(codes[10..], [429; 2]);
}

#[tokio::test]
async fn a_calendar_says_nothing_of_a_client() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let schedule = h.schedule("UTC").await;
    h.shift(&schedule, "oncall", 0, 8).await;
    h.writes("client-a", &crate::harness::scores(0.9, 0.5)).await;
    let link = h.link(&schedule).await;
    let feed = h.stranger().get(&link).await;
    let feed = String::from_utf8_lossy(&feed.bytes).into_owned();
    assert!(
        feed.contains("SUMMARY:oncall") && !feed.contains("client-a"),
        "{feed}"
    );
    assert!(!feed.contains("staff-"), "names, and no accounts: {feed}");
    let seen: Value = h.call("auditor").get(&schedule).await.json;
    assert_eq!(seen["status"], 403);
}

/// Shifts and overrides of three people, of different lengths, that cross each other in many ways.
const CROSSING: &str = "
    insert into social.oncall_shifts (schedule_id, staff_id, starts_at, ends_at, source)
    select 1, staff[1 + n % 3], at, at + make_interval(hours => 3 + n % 7), 'manual' from numbered;
    insert into social.oncall_overrides (schedule_id, staff_id, replaces_staff_id, starts_at, ends_at)
    select 1, staff[1 + n * 7 % 3], nullif(staff[1 + (n * 7 + n % 4) % 3], staff[1 + n * 7 % 3]),
        at + make_interval(mins => 40), at + make_interval(hours => 1 + n % 5) from numbered;";

#[tokio::test]
async fn the_calendar_says_of_every_half_hour_what_postgres_says() {
    let h = Harness::new().await;
    h.on_call_too(&["counselor", "counselor_other"]).await;
    let schedule = h.schedule("UTC").await;
    h.database
        .superuser()
        .await
        .run(&format!(
            "create temp table numbered as
             select n, '{}'::timestamptz + make_interval(hours => 2 * n) as at,
                array['staff-oncall', 'staff-counselor', 'staff-counselor_other'] as staff
             from generate_series(0, 40) n; {CROSSING}",
            h.in_hours(0).to_rfc3339()
        ))
        .await;
    let link = h.link(&schedule).await;
    let lines = read(&h, &link).await;
    let events: Vec<Vec<&str>> = lines[1..]
        .iter()
        .map(|line| line.split(" | ").collect())
        .collect();
    let sql = format!(
        "select to_char(m at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as at,
            array(select replace(o, 'staff-', '') from social.oncall_at(1, m) o order by 1) as on_duty
         from generate_series('{}'::timestamptz, '{}'::timestamptz, interval '30 minutes') m",
        h.in_hours(0).to_rfc3339(),
        h.in_hours(90).to_rfc3339()
    );
    for row in h.database.query(&sql).await {
        let (at, expected): (String, Vec<String>) = (row.get("at"), row.get("on_duty"));
        let holds = |event: &&Vec<&str>| event[0] <= &*at && &*at < event[1];
        let mut found: Vec<&str> = events.iter().filter(holds).map(|event| event[2]).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{at}");
    }
}
