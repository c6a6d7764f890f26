//! Operational warnings reach those who can see to them, by the ways that pages go.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::{SmtpSink, WebhookSink};

use crate::harness::Harness;

const PAGES: &str = "from social.notification_deliveries where warning_id is not null";

impl Harness {
    /// Messages wait for a prediction, and none has come.
    async fn pipeline_is_silent(&mut self) -> i64 {
        self.client("client-a", &["counselor"]).await;
        self.message("client-a", TimeDelta::minutes(61)).await
    }

    /// What was made of pages about warnings: who, by which method, which telling, and how it stands.
    async fn warned(&self) -> Vec<String> {
        let sql = format!(
            "select concat_ws(' ', staff_id, method, round, status) as page {PAGES} order by round, staff_id, method"
        );
        let rows = self.database.query(&sql).await;
        rows.iter().map(|row| row.get("page")).collect()
    }

    async fn delivers(&self, expected: u64) {
        assert_eq!(self.app.round("deliver").await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_warning_is_paged_by_its_kind_alone_to_who_can_see_to_it_and_again_while_it_is_open() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::paging(Some(&sink.url()), false).await;
    h.has_mailbox(&mut sink, "oncall").await;
    h.has_mailbox(&mut sink, "admin").await;
    let message = h.pipeline_is_silent().await;
    h.watches(1).await;
    h.watches(0).await;
    let first = [
        "staff-admin email 1 pending",
        "staff-admin in_app 1 sent",
        "staff-supervisor in_app 1 sent",
    ];
    assert_eq!(h.warned().await, first);
    h.delivers(1).await;
    let mail = sink.mail().await;
    assert_eq!(mail.to, "admin@mail.example");
    for words in [
        "Subject: An operational warning is open",
        "An operational warning is open, pipeline_silent:",
        "https://desk.example/queue#delivery=",
    ] {
        assert!(mail.data.contains(words), "{}", mail.data);
    }
    let said = mail.data.to_lowercase();
    for word in ["client-a", "recover", "risk", "urgency", "staff-"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    // Not again before the hours are over, and then by another page.
    h.clock.advance(TimeDelta::hours(12) - TimeDelta::minutes(1));
    h.watches(0).await;
    h.delivers(0).await;
    h.clock.advance(TimeDelta::minutes(1));
    h.watches(0).await;
    h.delivers(1).await;
    let again = sink.mail().await;
    assert_ne!(mail.data, again.data);
    assert_eq!(h.warned().await.len(), 6);
    assert_eq!(h.predict(message, &crate::harness::calm()).await.code(), 201);
    h.watches(1).await;
    h.clock.advance(TimeDelta::hours(13));
    h.watches(0).await;
    h.delivers(0).await;
}

#[tokio::test]
async fn a_page_of_a_warning_is_tried_again_under_its_id_and_then_by_the_next_method() {
    let mut refusing = WebhookSink::that_answers("503 Service Unavailable").await;
    let mut taking = WebhookSink::new().await;
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::paging(Some(&sink.url()), true).await;
    h.has_mailbox(&mut sink, "oncall").await;
    h.has_webhook(&mut taking, "supervisor").await;
    h.has_mailbox(&mut sink, "supervisor").await;
    let moved = format!(
        "update social.contact_methods set address = '{}', position = 1 where method = 'webhook';
         update social.contact_methods set position = 2 where method = 'email'",
        refusing.url()
    );
    h.database.superuser().await.run(&moved).await;
    h.pipeline_is_silent().await;
    h.watches(1).await;
    let mut ids = Vec::new();
    for _ in 1..=5 {
        h.delivers(if ids.len() == 4 { 2 } else { 1 }).await;
        let page = refusing.request().await;
        let said = page.json();
        assert_eq!(
            (&said["type"], &said["data"]["kind"], &said["data"]["urgency"]),
            (
                &json!("operational_warning"),
                &json!("pipeline_silent"),
                &Value::Null
            )
        );
        ids.push(page.id().to_owned());
        h.clock.advance(TimeDelta::minutes(1));
        // Nor does the watch make another while this one waits, or has gone on to the next method.
        h.watches(0).await;
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "the same page each time");
    assert_eq!(sink.mail().await.to, "supervisor@mail.example");
    let pages = [
        "staff-admin in_app 1 sent",
        "staff-supervisor email 1 sent",
        "staff-supervisor in_app 1 sent",
        "staff-supervisor webhook 1 failed",
    ];
    assert_eq!(h.warned().await, pages);
}

#[tokio::test]
async fn while_nothing_sends_pages_those_of_warnings_do_not_pile_up_nor_keep_the_warning_open() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::paging(Some(&sink.url()), false).await;
    for who in ["admin", "oncall"] {
        h.has_mailbox(&mut sink, who).await;
    }
    h.client("client-a", &["counselor"]).await;
    let body = json!({"user_id": "client-a", "urgency": "high", "reason": "text"});
    assert_eq!(
        h.call("counselor").post("/v1/escalations", &body).await.code(),
        201
    );
    h.clock.advance(TimeDelta::minutes(6));
    let published = "update social.outbox set published_at = now()";
    h.database.superuser().await.run(published).await;
    h.watches(1).await;
    assert_eq!(h.warnings().await, [("delivery_lag".to_owned(), 6)]);
    for _ in 0..5 {
        h.clock.advance(TimeDelta::hours(12));
        h.watches(0).await;
    }
    let waiting = format!("select count(*) {PAGES} and status = 'pending'");
    assert_eq!(h.database.count(&waiting).await, 1);
    assert!(h.shows("warnings_untold{kind=\"delivery_lag\"").await);
    // Only the page of the warning waits now.
    let sent = "update social.notification_deliveries set status = 'sent' where escalation_id is not null";
    h.database.superuser().await.run(sent).await;
    h.watches(1).await;
    assert_eq!(h.warnings().await, []);
    h.delivers(1).await;
    assert_eq!(sink.waiting(), 0, "what is over is told to nobody");
    let withdrawn = format!("select count(*) {PAGES} and status = 'withdrawn'");
    assert_eq!(h.database.count(&withdrawn).await, 1);
}

#[tokio::test]
async fn that_nobody_can_be_told_of_a_warning_is_a_number_to_watch_until_somebody_can() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::paging(Some(&sink.url()), false).await;
    h.has_mailbox(&mut sink, "oncall").await;
    h.pipeline_is_silent().await;
    h.watches(1).await;
    let untold = "warnings_untold{kind=\"pipeline_silent\"";
    assert_eq!(h.value(untold).await.as_deref(), Some("1"));
    h.has_mailbox(&mut sink, "supervisor").await;
    h.watches(0).await;
    h.delivers(1).await;
    assert_eq!(sink.mail().await.to, "supervisor@mail.example");
    h.watches(0).await;
    assert_eq!(h.value(untold).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn the_list_of_pages_shows_an_admin_those_of_warnings() {
    let mut h = Harness::new().await;
    h.pipeline_is_silent().await;
    h.watches(1).await;
    let list = h.call("admin").get("/v1/deliveries").await;
    assert_eq!(list.code(), 200, "{}", list.json);
    let one = list.at("/items/0");
    assert_eq!(
        (&one["escalation_id"], &one["relation"]),
        (&Value::Null, &json!("operations"))
    );
    assert!(one["warning_id"].is_i64(), "{one}");
}
