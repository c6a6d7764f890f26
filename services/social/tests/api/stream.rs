//! The stream: who is told what, from where it goes on, and when it ends.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use reqwest::Response;
use serde_json::{Value, json};
use service::{Service, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::harness::{Harness, scores};

/// A connection that stays open, and what it was told.
struct Watch {
    response: Response,
    text: String,
    /// How much of it was looked at.
    read: usize,
    /// The last `id` that was read.
    place: String,
}

/// Names and data of events, in their order.
type Events = Vec<(String, Value)>;

impl Watch {
    async fn of(h: &Harness, name: &str) -> Self {
        Self::from(h, name, None).await
    }

    /// Goes on from a place.
    async fn from(h: &Harness, name: &str, place: Option<&str>) -> Self {
        let response = ask(&h.app.base_url(), h.principals.token(name), place, name == "app").await;
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store");
        let mut watch = Self {
            response,
            text: String::new(),
            read: 0,
            place: String::new(),
        };
        let hello = watch.block().await.unwrap();
        assert!(hello.starts_with("retry: 2000\nid: "), "{hello}");
        watch
    }

    /// What stands before the next empty line; `None` once it has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text[self.read..].find("\n\n") {
                let block = self.text[self.read..self.read + end].to_owned();
                self.read += end + 2;
                let id = block.lines().find_map(|line| line.strip_prefix("id: "));
                if let Some(id) = id {
                    self.place = id.to_owned();
                }
                return Some(block);
            }
            let chunk = self.response.chunk().await.ok().flatten()?;
            self.text.drain(..std::mem::take(&mut self.read));
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything up to the next heartbeat, or to the end.
    async fn events(&mut self) -> Events {
        let mut events = Vec::new();
        while let Some(block) = self.block().await {
            if block.starts_with(':') {
                break;
            }
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            if let Some(name) = field("event: ") {
                events.push((name.to_owned(), field("data: ").unwrap().parse().unwrap()));
            }
        }
        events
    }

    async fn names(&mut self) -> Vec<String> {
        self.events().await.into_iter().map(|(name, _)| name).collect()
    }
}

async fn ask(base: &str, token: &str, place: Option<&str>, for_client_a: bool) -> Response {
    let mut request = reqwest::Client::new()
        .get(format!("{base}/v1/stream"))
        .bearer_auth(token);
    if let Some(place) = place {
        request = request.header("last-event-id", place);
    }
    if for_client_a {
        request = request.header("x-on-behalf-of", "client-a");
    }
    request.send().await.unwrap()
}

/// One round, and a heartbeat behind it.
async fn round(h: &Harness) -> u64 {
    h.clock.advance(TimeDelta::seconds(15));
    h.app.round("stream").await.unwrap()
}

/// Two counselors with a client each.
async fn two_caseloads() -> Harness {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor_other"]).await;
    h
}

async fn plant(h: &Harness, sql: &str) {
    h.database.superuser().await.run(sql).await;
}

/// Events about a client as they stand in the outbox, numbered.
async fn plant_events(h: &Harness, user_id: &str, numbers: std::ops::Range<i64>) {
    let sql = format!(
        "insert into social.outbox (event_id, event_type, subject, data)
         select gen_random_uuid(), 'social.nudge.sent', '{user_id}',
             jsonb_build_object('nudge_id', n, 'user_id', '{user_id}', 'status', 'sent')
         from generate_series({}, {}) n",
        numbers.start,
        numbers.end - 1
    );
    plant(h, &sql).await;
}

fn nudges(events: &Events) -> Vec<i64> {
    let sent = events.iter().filter(|(name, _)| name == "nudge.sent");
    sent.map(|(_, data)| data["nudge_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn counselors_are_told_of_their_own_clients_and_of_nobody_elses() {
    let mut h = two_caseloads().await;
    let mut own = Watch::of(&h, "counselor").await;
    let mut other = Watch::of(&h, "counselor_other").await;
    let mut supervisor = Watch::of(&h, "supervisor").await;
    let answer = h.writes("client-a", &scores(0.9, 0.1)).await;
    assert_eq!(round(&h).await, 1);
    let told = own.events().await;
    let named = |name: &str| {
        let mut found = told.iter().filter(|(known, _)| known == name);
        let mut data = found
            .next()
            .unwrap_or_else(|| panic!("{name}: {told:?}"))
            .1
            .clone();
        data.as_object_mut().unwrap().remove("event_id").unwrap();
        data
    };
    let escalation_id = answer.at("/escalation_id");
    let escalation = json!({"escalation_id": escalation_id, "user_id": "client-a",
        "escalation_type": "profile_risk", "urgency": "critical", "status": "notified"});
    assert_eq!(named("escalation.notified"), escalation);
    assert_eq!(
        named("page.sent"),
        json!({"escalation_id": escalation_id, "urgency": "critical"})
    );
    assert_eq!(
        named("profile.changed"),
        json!({"user_id": "client-a", "current_risk_label": "HIGH_RISK", "previous_risk_label": "UNKNOWN",
            "risk_trend": "stable"})
    );
    named("escalation.raised");
    named("nudge.created");
    assert_eq!(other.events().await, []);
    assert_eq!(supervisor.events().await, []);
    assert_eq!(round(&h).await, 0, "it is told once");
    assert_eq!(own.events().await, []);
}

#[tokio::test]
async fn on_call_the_client_and_the_app_are_told_as_much_as_they_may_read() {
    let mut h = two_caseloads().await;
    let mut oncall = Watch::of(&h, "oncall").await;
    let mut client = Watch::of(&h, "client-a").await;
    let mut other = Watch::of(&h, "client-b").await;
    let mut app = Watch::of(&h, "app").await;
    let answer = h.writes("client-a", &scores(0.9, 0.1)).await;
    h.app.round("release").await.unwrap();
    round(&h).await;
    let names = oncall.names().await;
    for name in [
        "escalation.raised",
        "escalation.notified",
        "page.sent",
        "profile.changed",
    ] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|name| name.starts_with("nudge")), "{names:?}");
    for own in [&mut client, &mut app] {
        let mut told = own.events().await;
        for (_, data) in &mut told {
            data.as_object_mut().unwrap().remove("event_id").unwrap();
        }
        let help = |status: &str| json!({"escalation_id": answer.at("/escalation_id"), "user_id": "client-a", "status": status});
        let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["escalation.raised", "escalation.notified", "nudge.sent"]);
        assert_eq!(told[1].1, help("notified"));
        let fields: Vec<&String> = told[2].1.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["nudge_id", "status", "user_id"]);
    }
    assert_eq!(other.events().await, []);
}

#[tokio::test]
async fn whose_assignment_has_ended_is_told_nothing_more() {
    let mut h = two_caseloads().await;
    let mut counselor = Watch::of(&h, "counselor").await;
    plant_events(&h, "client-a", 0..1).await;
    round(&h).await;
    assert_eq!(nudges(&counselor.events().await), [0]);
    plant(
        &h,
        "update core.caseload_assignments set ends_at = now() where client_id = 'client-a'",
    )
    .await;
    plant_events(&h, "client-a", 1..2).await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    assert_eq!(round(&h).await, 0);
    assert_eq!(counselor.events().await, []);
    plant(&h, "update core.caseload_assignments set ends_at = null").await;
    plant_events(&h, "client-a", 2..3).await;
    round(&h).await;
    assert_eq!(
        nudges(&counselor.events().await),
        [2],
        "what was not in sight is not told later"
    );
}

#[tokio::test]
async fn without_the_row_policy_a_stranger_would_be_told() {
    let h = two_caseloads().await;
    let mut other = Watch::of(&h, "counselor_other").await;
    plant(
        &h,
        "alter table social.user_risk_profiles disable row level security",
    )
    .await;
    plant_events(&h, "client-a", 0..1).await;
    round(&h).await;
    assert_eq!(nudges(&other.events().await), [0]);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_ended_after_a_restart_too() {
    let mut h = two_caseloads().await;
    let mut counselor = Watch::of(&h, "counselor").await;
    let before_anything = counselor.place.clone();
    plant_events(&h, "client-a", 0..3).await;
    round(&h).await;
    assert_eq!(nudges(&counselor.events().await), [0, 1, 2]);
    plant_events(&h, "client-a", 3..5).await;
    plant_events(&h, "client-b", 5..6).await;
    let settings = Settings::for_testing(
        "social",
        h.database.url("social"),
        "amqp://127.0.0.1:1/none".into(),
    );
    let metrics = telemetry::Metrics::isolated("social").unwrap();
    let started: Service = social_service::start(
        &settings,
        &social_service::Config::default(),
        h.clock.clone(),
        metrics,
    )
    .unwrap();
    let began = Instant::now();
    std::mem::replace(&mut h.app, started).stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "a stop waits for no stream"
    );
    assert_eq!(counselor.events().await, [], "it ended without more");
    let mut again = Watch::from(&h, "counselor", Some(&counselor.place)).await;
    round(&h).await;
    assert_eq!(nudges(&again.events().await), [3, 4]);
    let mut from_the_start = Watch::from(&h, "counselor", Some(&before_anything)).await;
    plant_events(&h, "client-a", 6..7).await;
    round(&h).await;
    assert_eq!(nudges(&from_the_start.events().await), [0, 1, 2, 3, 4, 6]);
    assert_eq!(nudges(&again.events().await), [6]);
}

#[tokio::test]
async fn what_commits_late_is_told_although_later_ids_were_told_before() {
    let h = two_caseloads().await;
    let mut counselor = Watch::of(&h, "counselor").await;
    let late = h.database.superuser().await;
    late.run("begin").await;
    late.run(
        "insert into social.outbox (event_id, event_type, subject, data) values
         (gen_random_uuid(), 'social.nudge.sent', 'client-a', '{\"nudge_id\": 1, \"user_id\": \"client-a\"}')",
    )
    .await;
    plant_events(&h, "client-a", 2..3).await;
    round(&h).await;
    assert_eq!(
        nudges(&counselor.events().await),
        [2],
        "nobody waits for a session that is open"
    );
    let place = counselor.place.clone();
    late.run("commit").await;
    round(&h).await;
    assert_eq!(nudges(&counselor.events().await), [1]);
    let mut resumed = Watch::from(&h, "counselor", Some(&place)).await;
    round(&h).await;
    assert_eq!(nudges(&resumed.events().await), [1]);
}

#[tokio::test]
async fn who_comes_later_is_not_told_what_others_wait_for() {
    let h = two_caseloads().await;
    let mut first = Watch::of(&h, "counselor").await;
    plant_events(&h, "client-a", 0..1).await;
    let mut second = Watch::of(&h, "counselor").await;
    plant_events(&h, "client-a", 1..2).await;
    assert_eq!(round(&h).await, 2);
    assert_eq!(nudges(&first.events().await), [0, 1]);
    assert_eq!(nudges(&second.events().await), [1]);
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_cut_off_and_goes_on_where_it_was() {
    let h = two_caseloads().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(65_536).unwrap();
    let mut slow = socket.connect(h.app.address()).await.unwrap();
    let head = format!(
        "GET /v1/stream HTTP/1.1\r\nHost: social\r\nAuthorization: Bearer {}\r\n\r\n",
        h.principals.token("counselor")
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 1];
    slow.read_exact(&mut first).await.unwrap();
    let mut quick = Watch::of(&h, "counselor").await;
    let mut planted = 0;
    loop {
        plant_events(&h, "client-a", planted..planted + 1_000).await;
        planted += 1_000;
        let told = round(&h).await;
        assert_eq!(quick.events().await.len(), 1_000, "it holds up nobody else");
        if told == 1 {
            break;
        }
        assert!(planted < 500_000, "it is never cut off");
    }
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n0\r\n\r\n") {
        assert_ne!(slow.read_buf(&mut all).await.unwrap(), 0);
    }
    let text = String::from_utf8_lossy(&all).into_owned();
    let place = text.rsplit("id: ").next().unwrap().lines().next().unwrap().trim();
    let last = text.matches("event: nudge.sent").count() as i64;
    assert_eq!(last, planted - 1_000, "what waited is sent before the end");
    let mut resumed = Watch::from(&h, "counselor", Some(place)).await;
    round(&h).await;
    assert_eq!(
        nudges(&resumed.events().await),
        (last..planted).collect::<Vec<_>>()
    );
}

/// Rounds until the stream has ended; at most for two seconds.
async fn ends(h: &Harness, watch: &mut Watch) {
    let began = Instant::now();
    let rounds = async {
        while began.elapsed() < Duration::from_secs(2) {
            h.app.round("stream").await.unwrap();
        }
        panic!("it goes on");
    };
    tokio::select! {
        () = rounds => {}
        () = async { while watch.block().await.is_some() {} } => {}
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_or_runs_out_and_a_role_that_changes_end_their_streams() {
    let h = two_caseloads().await;
    let mut bystander = Watch::of(&h, "client-b").await;
    for (name, change) in [
        (
            "counselor",
            "update core.access_tokens set revoked_at = now() where subject = 'staff-counselor'",
        ),
        (
            "oncall",
            "insert into core.staff_roles (user_id, role) values ('staff-oncall', 'counselor')",
        ),
        (
            "counselor_other",
            "update core.users set status = 'suspended' where user_id = 'staff-counselor_other'",
        ),
    ] {
        let mut watch = Watch::of(&h, name).await;
        h.app.round("stream").await.unwrap();
        plant(&h, change).await;
        ends(&h, &mut watch).await;
    }
    plant(
        &h,
        "update core.access_tokens set expires_at = clock_timestamp() + interval '1 second' where subject = 'client-a'",
    )
    .await;
    let mut short = Watch::of(&h, "client-a").await;
    ends(&h, &mut short).await;
    bystander.events().await;
    round(&h).await;
    assert_eq!(bystander.events().await, [], "the others go on");
    plant_events(&h, "client-b", 0..1).await;
    round(&h).await;
    let told: Events = bystander.events().await;
    assert_eq!(nudges(&told), [0]);
}

#[tokio::test]
async fn who_was_away_too_long_is_told_to_ask_for_the_lists() {
    let h = two_caseloads().await;
    let mut watch = Watch::of(&h, "counselor").await;
    let place = watch.place.clone();
    let (at, seen) = place.split_once('~').unwrap();
    let yesterday = at.parse::<i64>().unwrap() - 86_401;
    let xmax: u64 = seen.split(':').nth(1).unwrap().parse().unwrap();
    let elsewhere = format!("{at}~{0}:{0}:", xmax + 1_000_000);
    for gone in [format!("{yesterday}~{seen}"), elsewhere] {
        let mut resumed = Watch::from(&h, "counselor", Some(&gone)).await;
        plant_events(&h, "client-a", 0..1).await;
        round(&h).await;
        let names = resumed.names().await;
        assert_eq!(names, ["reset", "nudge.sent"], "{gone}");
        watch.events().await;
    }
    plant_events(&h, "client-a", 0..1_001).await;
    let place = watch.place.clone();
    round(&h).await;
    assert_eq!(watch.names().await, ["reset"], "also within one round");
    let mut resumed = Watch::from(&h, "counselor", Some(&place)).await;
    round(&h).await;
    assert_eq!(resumed.names().await, ["reset"]);
}

#[tokio::test]
async fn what_a_stream_tells_is_on_record() {
    let h = two_caseloads().await;
    let rows =
        "select count(*) from core.audit_events where action = 'GET /v1/stream' and decision = 'allow'";
    let mut watch = Watch::of(&h, "counselor").await;
    assert_eq!(h.database.count(rows).await, 1, "that it was opened");
    plant_events(&h, "client-a", 0..2).await;
    plant_events(&h, "client-b", 2..3).await;
    round(&h).await;
    assert_eq!(nudges(&watch.events().await), [0, 1]);
    assert_eq!(h.database.count(rows).await, 2);
    plant(
        &h,
        "revoke execute on function core.write_audit(jsonb) from recoverly_social",
    )
    .await;
    plant_events(&h, "client-a", 3..4).await;
    assert_eq!(round(&h).await, 0);
    assert_eq!(
        watch.events().await,
        [],
        "what cannot be recorded is not told: the stream ends"
    );
    assert!(watch.block().await.is_none());
}

#[tokio::test]
async fn who_may_not_watch_is_refused() {
    let h = two_caseloads().await;
    let base = h.app.base_url();
    let code = async |name: &str, place: Option<&str>, for_a: bool| {
        ask(&base, h.principals.token(name), place, for_a)
            .await
            .status()
            .as_u16()
    };
    for name in ["admin", "auditor", "pipeline", "service"] {
        assert_eq!(code(name, None, false).await, 403, "{name}");
    }
    assert_eq!(ask(&base, "rcv_nobody", None, false).await.status(), 401);
    assert_eq!(code("app", None, false).await, 400, "an app says for whom");
    let nobody = h.call("app").with_header("x-on-behalf-of", "nobody");
    assert_eq!(nobody.get("/v1/stream").await.code(), 404);
    for place in ["1", "1~2:1:", "x", "1~1:1:1", ""] {
        assert_eq!(code("counselor", Some(place), false).await, 400, "{place}");
    }
    assert_eq!(h.call("counselor").get("/v1/stream?x=1").await.code(), 422);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(Watch::of(&h, "counselor").await);
    }
    assert_eq!(code("counselor", None, false).await, 429);
    assert_eq!(
        code("counselor_other", None, false).await,
        200,
        "somebody else is not held up"
    );
}

#[tokio::test]
async fn who_can_see_to_an_operational_warning_is_told_of_it_in_the_stream_and_nobody_else() {
    let mut h = two_caseloads().await;
    let (mut supervisor, mut other) = (
        Watch::of(&h, "supervisor").await,
        Watch::of(&h, "counselor").await,
    );
    let before = supervisor.place.clone();
    h.message("client-a", TimeDelta::minutes(61)).await;
    assert_eq!(h.app.round("watch").await.unwrap(), 1);
    assert_eq!(round(&h).await, 1);
    let told = supervisor.events().await;
    let [(name, data)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (name.as_str(), &data["kind"]),
        ("warning.open", &json!("pipeline_silent"))
    );
    assert_eq!(other.events().await, []);
    // Also who was away, unless they may read warnings no more.
    let mut again = Watch::from(&h, "supervisor", Some(&before)).await;
    round(&h).await;
    assert_eq!(again.events().await, told);
    plant(
        &h,
        "update core.staff_roles set role = 'counselor' where user_id = 'staff-supervisor'",
    )
    .await;
    let mut demoted = Watch::from(&h, "supervisor", Some(&before)).await;
    round(&h).await;
    assert_eq!(demoted.events().await, []);
}
