//! The service watches itself: one warning for each thing that is not as it should be, for as long as it is not.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};
use social_service::{Config, PagingConfig, WatchConfig};

use crate::harness::{Harness, calm};

const NOWHERE: &str = "amqp://127.0.0.1:1/none";

async fn harness(config: Config) -> Harness {
    Harness::with_config(SecretString::from(NOWHERE), &config).await
}

impl Harness {
    /// What is open, as an admin sees it: kind and measure.
    pub(crate) async fn warnings(&self) -> Vec<(String, i64)> {
        let page = self.call("admin").get("/v1/operational-warnings?open=true").await;
        assert_eq!(page.code(), 200, "{}", page.json);
        let items = page.at("/items").as_array().unwrap();
        items
            .iter()
            .map(|item| {
                let kind = item["kind"].as_str().unwrap().to_owned();
                (kind, item["measure"].as_i64().unwrap())
            })
            .collect()
    }

    pub(crate) async fn watches(&self, expected: u64) {
        assert_eq!(self.app.round("watch").await.unwrap(), expected);
    }

    pub(crate) async fn shows(&self, line: &str) -> bool {
        self.value(line).await.is_some()
    }

    /// The value of an instrument of warnings, in whose line this stands.
    pub(crate) async fn value(&self, line: &str) -> Option<String> {
        let answer = self.call("admin").get("/metrics").await;
        String::from_utf8_lossy(&answer.bytes)
            .lines()
            .find(|found| found.starts_with("recoverly_operational_warnings") && found.contains(line))
            .and_then(|found| Some(found.rsplit_once(' ')?.1.to_owned()))
    }
}

fn one(kind: &str, measure: i64) -> Vec<(String, i64)> {
    vec![(kind.to_owned(), measure)]
}

#[tokio::test]
async fn a_pipeline_that_is_silent_while_messages_wait_is_one_warning_until_it_speaks() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.watches(0).await;
    let message = h.message("client-a", TimeDelta::minutes(61)).await;
    h.watches(1).await;
    assert_eq!(h.warnings().await, one("pipeline_silent", 61));
    h.clock.advance(TimeDelta::minutes(5));
    h.watches(0).await;
    assert_eq!(h.warnings().await, one("pipeline_silent", 66));
    assert!(h.shows("kind=\"pipeline_silent\"").await);
    assert_eq!(h.predict(message, &calm()).await.code(), 201);
    h.watches(1).await;
    assert_eq!(h.warnings().await, []);
    let all = h.call("supervisor").get("/v1/operational-warnings").await;
    assert_eq!(all.at("/items/0/closed_at"), &json!("2026-06-15T12:05:00Z"));
    // Nobody has written since: nobody owes a prediction.
    h.clock.advance(TimeDelta::hours(3));
    h.watches(0).await;
    h.message_of("client-a", TimeDelta::minutes(90), "assistant", "assistant")
        .await;
    h.watches(0).await;
}

#[tokio::test]
async fn staff_on_duty_who_cannot_be_reached_outside_the_app_are_counted_and_not_named() {
    let dashboard = "https://desk.example".parse().unwrap();
    let config = Config {
        paging: Some(PagingConfig::for_testing(dashboard, None, false)),
        ..Config::default()
    };
    let h = harness(config).await;
    h.watches(1).await;
    assert_eq!(h.warnings().await, one("staff_unreachable", 1));
    let named = "insert into social.contact_methods (staff_id, method, position, address)
        values ('staff-oncall', 'email', 1, 'somebody@mail.example')";
    h.database.superuser().await.run(named).await;
    h.watches(0).await;
    assert_eq!(
        h.warnings().await,
        one("staff_unreachable", 1),
        "it is not verified"
    );
    let verified = "update social.contact_methods set verified_at = now()";
    h.database.superuser().await.run(verified).await;
    h.watches(1).await;
    assert_eq!(h.warnings().await, []);
}

#[tokio::test]
async fn where_nothing_is_sent_outside_the_app_nobody_is_missed_there() {
    let h = Harness::new().await;
    h.watches(0).await;
}

#[tokio::test]
async fn events_and_pages_that_wait_too_long_are_a_warning_each() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let body = json!({"user_id": "client-a", "urgency": "high", "reason": "text"});
    assert_eq!(
        h.call("counselor").post("/v1/escalations", &body).await.code(),
        201
    );
    h.watches(0).await;
    let wait = "update social.outbox set created_at = '2026-06-15T11:54:00Z' where id = (select min(id) from social.outbox);
        update social.notification_deliveries set status = 'pending', next_attempt_at = '2026-06-15T11:55:00Z'
        where staff_id = 'staff-oncall'";
    h.database.superuser().await.run(wait).await;
    h.watches(2).await;
    let expected = [("delivery_lag".to_owned(), 5), ("outbox_lag".to_owned(), 6)];
    let mut found = h.warnings().await;
    found.sort();
    assert_eq!(found, expected);
    let done = "update social.outbox set published_at = now();
        update social.notification_deliveries set status = 'sent'";
    h.database.superuser().await.run(done).await;
    h.watches(2).await;
    assert_eq!(h.warnings().await, []);
}

#[tokio::test]
async fn only_those_who_can_see_to_it_read_warnings() {
    let h = Harness::new().await;
    for (name, code) in [
        ("admin", 200),
        ("supervisor", 200),
        ("counselor", 403),
        ("auditor", 403),
    ] {
        let answer = h.call(name).get("/v1/operational-warnings").await;
        assert_eq!(answer.code(), code, "{name}");
    }
}

/// With an account for rehearsals, which are due at once.
async fn rehearsing(paging: Option<PagingConfig>) -> Harness {
    let watch = WatchConfig {
        drill_client: Some("drill-1".to_owned()),
        drill_hour: 12,
        ..WatchConfig::default()
    };
    let config = Config {
        paging,
        watch,
        ..Config::default()
    };
    let mut h = harness(config).await;
    h.client("drill-1", &["counselor"]).await;
    h.client("client-a", &["counselor"]).await;
    h
}

impl Harness {
    async fn rehearses(&self, expected: u64) {
        assert_eq!(self.app.round("drill").await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_rehearsal_goes_the_way_of_real_escalations_once_a_night_and_ends_by_itself() {
    let h = rehearsing(None).await;
    h.rehearses(1).await;
    h.rehearses(0).await;
    let told =
        "select string_agg(staff_id, ' ' order by staff_id) as told from social.notification_deliveries";
    let told: String = h.database.query(told).await[0].get("told");
    assert_eq!(told, "staff-counselor staff-oncall");
    let queue = h.call("oncall").get("/v1/escalations").await;
    assert_eq!(
        (queue.at("/items/0/escalation_type"), queue.at("/items/0/status")),
        (&json!("drill"), &json!("notified"))
    );
    let taken = format!(
        "/v1/escalations/{}/acknowledge",
        queue.at("/items/0/escalation_id")
    );
    assert_eq!(h.call("oncall").post(&taken, &json!({})).await.code(), 200);
    h.clock.advance(TimeDelta::minutes(10));
    h.rehearses(1).await;
    h.rehearses(0).await;
    let seen = h.call("counselor").get("/v1/escalations").await;
    assert_eq!(
        (seen.at("/items/0/status"), seen.at("/items/0/resolution_notes")),
        (
            &json!("cancelled"),
            &json!("The rehearsal is over: 2 told, 0 of them not reached.")
        )
    );
    assert_eq!(h.warnings().await, []);
    for event in ["raised", "notified", "acknowledged", "cancelled"] {
        assert_eq!(
            h.events(&format!("social.escalation.{event}")).await.len(),
            1,
            "{event}"
        );
    }
    h.clock.advance(TimeDelta::hours(24) - TimeDelta::minutes(10));
    h.rehearses(1).await;
    let open = "select count(*) from social.escalations where status = 'notified'";
    assert_eq!(h.database.count(open).await, 1);
}

#[tokio::test]
async fn a_rehearsal_is_on_no_caseload_list_and_in_no_count() {
    let h = rehearsing(None).await;
    h.rehearses(1).await;
    let counselor = h.call("counselor");
    let list = counselor.get("/v1/risk-profiles").await;
    let listed: Vec<&Value> = list
        .at("/items")
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["user_id"])
        .collect();
    assert_eq!(listed, [&json!("client-a")]);
    let summary = counselor.get("/v1/caseload/summary").await;
    assert_eq!(
        (summary.at("/labels/UNKNOWN"), summary.at("/open_escalations")),
        (&json!(1), &json!(0))
    );
    let due = "select count(*) from social.user_risk_profiles where user_id = 'drill-1' and next_recompute_at is not null";
    assert_eq!(
        h.database.count(due).await,
        0,
        "nor do the rules decide anything for it"
    );
}

#[tokio::test]
async fn a_rehearsal_that_does_not_reach_somebody_is_a_warning_until_one_does() {
    let dashboard = "https://desk.example".parse().unwrap();
    let h = rehearsing(Some(PagingConfig::for_testing(dashboard, None, false))).await;
    let method = "insert into social.contact_methods (staff_id, method, position, address, verified_at)
        values ('staff-oncall', 'email', 1, 'somebody@mail.example', now())";
    h.database.superuser().await.run(method).await;
    h.rehearses(1).await;
    h.clock.advance(TimeDelta::minutes(10));
    h.rehearses(1).await;
    assert_eq!(h.warnings().await, one("drill_failed", 1));
    // Only a rehearsal closes it; that the page waits is another warning.
    h.watches(1).await;
    let found = h.warnings().await;
    assert!(found.contains(&("drill_failed".to_owned(), 1)), "{found:?}");
    h.clock.advance(TimeDelta::hours(24));
    h.rehearses(1).await;
    let sent = "update social.notification_deliveries set status = 'sent' where method = 'email'";
    h.database.superuser().await.run(sent).await;
    h.clock.advance(TimeDelta::minutes(10));
    h.rehearses(1).await;
    h.watches(1).await;
    assert_eq!(h.warnings().await, []);
}

#[tokio::test]
async fn nobody_who_has_ever_written_is_taken_for_a_rehearsal() {
    let mut h = rehearsing(None).await;
    h.message("drill-1", TimeDelta::hours(1)).await;
    h.rehearses(0).await;
    assert_eq!(h.warnings().await, one("drill_failed", 0));
    let set_apart = "select count(*) from social.user_risk_profiles where is_drill";
    assert_eq!(h.database.count(set_apart).await, 0);
    let tx = h.database.pools("social").begin_worker().await.unwrap();
    let by_hand = "update social.user_risk_profiles set is_drill = true where user_id = 'client-a'";
    let refused = tx.execute(by_hand, &[]).await.unwrap_err();
    assert_eq!(refused.constraint(), Some("ck_user_risk_profiles_drill"));
}

#[tokio::test]
async fn without_an_account_for_it_nothing_is_rehearsed() {
    let mut h = Harness::new().await;
    h.client("drill-1", &["counselor"]).await;
    h.rehearses(0).await;
    assert_eq!(
        h.database.count("select count(*) from social.escalations").await,
        0
    );
}
