//! Pages leave for staff by the ways they have verified, and go on to the next where nobody takes them.

use chrono::TimeDelta;
use serde_json::{Value, json};
use service::{Service, Settings};
use telemetry::Metrics;
use testkit::{SmtpSink, WebhookSink};
use uuid::Uuid;

use crate::contact_methods::paging;
use crate::escalations::crisis;
use crate::harness::Harness;
use crate::receiver::verified;

/// More than any pause between attempts.
const A_MINUTE: TimeDelta = TimeDelta::minutes(1);

impl Harness {
    /// The page about an escalation that raising it left.
    async fn page(&self, escalation_id: i64, who: &str, method: &str) -> Uuid {
        let sql = format!(
            "select delivery_id from social.notification_deliveries
             where escalation_id = {escalation_id} and staff_id = 'staff-{who}' and method = '{method}'"
        );
        self.database.query(&sql).await.first().expect("a page").get(0)
    }

    /// A page by a method that its person has taken up since.
    async fn further_page(&self, escalation_id: i64, who: &str, method: &str) -> Uuid {
        let id = Uuid::now_v7();
        let now = self.clock.fixed().unwrap().to_rfc3339();
        let sql = format!(
            "insert into social.notification_deliveries
                 (delivery_id, escalation_id, staff_id, relation, tier, method, status, next_attempt_at)
             values ('{id}', {escalation_id}, 'staff-{who}', 'counselor', 1, '{method}', 'pending', '{now}')"
        );
        self.database.superuser().await.run(&sql).await;
        id
    }

    /// Status and attempts of the page of somebody by a method, and why it failed.
    async fn page_of(&self, who: &str, method: &str) -> (String, i32, Option<String>) {
        let sql = format!(
            "select status, attempt, error from social.notification_deliveries
             where staff_id = 'staff-{who}' and method = '{method}'"
        );
        let rows = self.database.query(&sql).await;
        let row = rows.first().expect("a page");
        (row.get("status"), row.get("attempt"), row.get("error"))
    }

    /// Another tier would be told in an hour.
    async fn has_another_tier(&self, escalation_id: i64) {
        let then = (self.clock.fixed().unwrap() + TimeDelta::hours(1)).to_rfc3339();
        let sql = format!(
            "update social.escalations set next_tier_at = '{then}' where escalation_id = {escalation_id}"
        );
        self.database.superuser().await.run(&sql).await;
    }

    async fn next_tier_is_due(&self, escalation_id: i64) -> bool {
        let now = self.clock.fixed().unwrap().to_rfc3339();
        let sql = format!(
            "select count(*) from social.escalations
             where escalation_id = {escalation_id} and next_tier_at <= '{now}'"
        );
        self.database.count(&sql).await == 1
    }

    /// Moves a verified webhook to where none could be saved, or to another receiver.
    async fn move_webhook(&self, who: &str, address: &str) {
        let sql = format!(
            "update social.contact_methods set address = '{address}'
             where staff_id = 'staff-{who}' and method = 'webhook'"
        );
        self.database.superuser().await.run(&sql).await;
    }

    /// Another process of the same service.
    fn another(&self, smtp_url: Option<&str>, insecure_callbacks: bool) -> Service {
        let nowhere = "amqp://127.0.0.1:1/none".into();
        let settings = Settings::for_testing("social", self.database.url("social"), nowhere);
        let metrics = Metrics::isolated("social").unwrap();
        let config = paging(smtp_url, insecure_callbacks);
        social_service::start(&settings, &config, self.clock.clone(), metrics).unwrap()
    }
}

#[tokio::test]
async fn a_mailed_page_says_how_urgent_it_is_and_where_to_look_and_never_who_or_why() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::paging(Some(&sink.url()), false).await;
    h.has_mailbox(&mut sink, "counselor").await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    let id = h.page(escalation, "counselor", "email").await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 1);
    assert_eq!(h.app.round("deliver").await.unwrap(), 0);
    let mail = sink.mail().await;
    assert_eq!(mail.to, "counselor@mail.example");
    assert!(
        mail.data.contains("Subject: A page waits for you (critical)"),
        "{}",
        mail.data
    );
    assert!(
        mail.data
            .contains(&format!("https://desk.example/queue#delivery={id}")),
        "{}",
        mail.data
    );
    let said = mail.data.to_lowercase();
    for word in ["client-a", "recover", "relapse", "risk", "escalation", "staff-"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    assert_eq!(
        h.page_of("counselor", "email").await,
        ("sent".to_owned(), 1, None)
    );
}

#[tokio::test]
async fn a_page_by_webhook_is_found_good_by_the_official_library_and_no_other() {
    let mut receiver = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    let secret = h.has_webhook(&mut receiver, "oncall").await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    let id = h.page(escalation, "oncall", "webhook").await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 1);
    let page = receiver.request().await;
    assert_eq!(page.id(), id.to_string());
    let mut bent = page.clone();
    bent.body = bent.body.replace("critical", "low");
    let mut other = page.clone();
    other.headers["webhook-id"] = json!(Uuid::now_v7().to_string());
    assert_eq!(
        verified(&secret, &[&page, &bent, &other]).await,
        [true, false, false]
    );
    let mut said = page.json();
    said["timestamp"] = Value::Null;
    assert_eq!(
        said,
        json!({"type": "page", "timestamp": null, "data": {
            "delivery_id": id, "urgency": "critical", "link": format!("https://desk.example/queue#delivery={id}"),
        }})
    );
    assert_eq!(
        h.page_of("oncall", "webhook").await,
        ("delivered".to_owned(), 1, None)
    );
}

#[tokio::test]
async fn a_page_whose_sender_dies_is_sent_again_under_the_same_id() {
    let mut silent = WebhookSink::that_answers("").await;
    let mut taking = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut taking, "oncall").await;
    h.move_webhook("oncall", &silent.url()).await;
    h.client("client-a", &["counselor"]).await;
    crisis(&mut h, "client-a").await;
    let first = tokio::select! {
        _ = h.app.round("deliver") => panic!("nothing was answered"),
        first = silent.request() => first,
    };
    h.move_webhook("oncall", &taking.url()).await;
    let other = h.another(None, true);
    // For as long as it was taken for, nobody else sends it.
    assert_eq!(other.round("deliver").await.unwrap(), 0);
    h.clock.advance(A_MINUTE);
    assert_eq!(other.round("deliver").await.unwrap(), 1);
    assert_eq!(taking.request().await.id(), first.id());
    assert_eq!(
        h.page_of("oncall", "webhook").await,
        ("delivered".to_owned(), 2, None)
    );
    assert_eq!(taking.waiting(), 0);
}

#[tokio::test]
async fn two_workers_send_a_page_once() {
    let mut receiver = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut receiver, "oncall").await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    let other = h.another(None, true);
    for race in 0..20 {
        let (one, another) = tokio::join!(h.app.round("deliver"), other.round("deliver"));
        assert_eq!(one.unwrap() + another.unwrap(), 1, "race {race}");
        receiver.request().await;
        assert_eq!(receiver.waiting(), 0, "race {race}");
        h.database
            .superuser()
            .await
            .run("delete from social.notification_deliveries where method = 'webhook'")
            .await;
        h.further_page(escalation, "oncall", "webhook").await;
    }
}

#[tokio::test]
async fn a_page_that_is_not_taken_goes_on_by_the_next_method_and_then_to_the_next_tier() {
    let mut refusing = WebhookSink::that_answers("503 Service Unavailable").await;
    let mut taking = WebhookSink::new().await;
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::paging(Some(&sink.url()), true).await;
    h.has_mailbox(&mut sink, "counselor").await;
    h.has_webhook(&mut taking, "counselor").await;
    h.move_webhook("counselor", &refusing.url()).await;
    let mail_last = "update social.contact_methods set position = 9 where method = 'email'";
    h.database.superuser().await.run(mail_last).await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    h.has_another_tier(escalation).await;
    let mut ids = Vec::new();
    for attempt in 1..=4 {
        assert_eq!(h.app.round("deliver").await.unwrap(), 1, "attempt {attempt}");
        ids.push(refusing.request().await.id().to_owned());
        // Not before its pause is over.
        assert_eq!(h.app.round("deliver").await.unwrap(), 0);
        let error = Some("the receiver answered 503".to_owned());
        assert_eq!(
            h.page_of("counselor", "webhook").await,
            ("pending".to_owned(), attempt, error)
        );
        h.clock.advance(A_MINUTE);
    }
    // With the last attempt by one method goes the first by the next.
    let without_mail = h.another(Some("smtp://127.0.0.1:1"), true);
    assert_eq!(without_mail.round("deliver").await.unwrap(), 2);
    ids.push(refusing.request().await.id().to_owned());
    ids.dedup();
    assert_eq!(ids.len(), 1, "the same page each time");
    assert_eq!(h.page_of("counselor", "webhook").await.0, "failed");
    for _ in 2..=5 {
        // The mailbox may still take it.
        assert!(!h.next_tier_is_due(escalation).await);
        h.clock.advance(A_MINUTE);
        assert_eq!(without_mail.round("deliver").await.unwrap(), 1);
    }
    let error = Some("the mail server cannot be reached".to_owned());
    assert_eq!(
        h.page_of("counselor", "email").await,
        ("failed".to_owned(), 5, error)
    );
    assert!(h.next_tier_is_due(escalation).await);
    assert_eq!(h.app.round("deliver").await.unwrap(), 0);
}

#[tokio::test]
async fn while_one_of_a_tier_was_reached_the_next_tier_waits_for_its_time() {
    let mut gone = WebhookSink::that_answers("410 Gone").await;
    let mut taking = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut taking, "oncall").await;
    h.has_webhook(&mut taking, "counselor").await;
    h.move_webhook("counselor", &gone.url()).await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    h.has_another_tier(escalation).await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 2);
    gone.request().await;
    taking.request().await;
    // Nobody listens there any more: it is not tried again.
    assert_eq!(h.page_of("counselor", "webhook").await.0, "failed");
    assert!(!h.next_tier_is_due(escalation).await);
}

#[tokio::test]
async fn behind_the_last_tier_nothing_begins_again_because_nobody_was_reached() {
    let mut gone = WebhookSink::that_answers("410 Gone").await;
    let mut taking = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut taking, "oncall").await;
    h.move_webhook("oncall", &gone.url()).await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    let admin = h.database.superuser().await;
    admin
        .run("update social.escalations set next_tier_at = null")
        .await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 1);
    gone.request().await;
    assert_eq!(h.page_of("oncall", "webhook").await.0, "failed");
    assert!(!h.next_tier_is_due(escalation).await);
}

#[tokio::test]
async fn of_two_last_pages_that_fail_at_once_one_sees_that_nobody_was_reached() {
    let gone = WebhookSink::that_answers("410 Gone").await;
    let mut taking = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut taking, "oncall").await;
    h.move_webhook("oncall", &gone.url()).await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    h.has_another_tier(escalation).await;
    let others = h.further_page(escalation, "counselor", "webhook").await;
    // The worker of the other page is about to commit that it failed.
    let other = h.database.pools("social").begin_worker().await.unwrap();
    for sql in [
        format!("select from social.escalations where escalation_id = {escalation} for update"),
        format!("update social.notification_deliveries set status = 'failed' where delivery_id = '{others}'"),
    ] {
        other.execute(&sql, &[]).await.unwrap();
    }
    let mut round = std::pin::pin!(h.app.round("deliver"));
    let is_over = tokio::select! {
        ended = &mut round => {
            ended.unwrap();
            true
        }
        () = somebody_waits(&h) => false,
    };
    other.commit().await.unwrap();
    if !is_over {
        assert_eq!(round.await.unwrap(), 1);
    }
    assert!(h.next_tier_is_due(escalation).await);
}

/// Until a transaction waits for a lock of another one.
async fn somebody_waits(h: &Harness) {
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    while h.database.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_leads_inside_when_a_page_leaves_is_not_connected_to() {
    let mut taking = WebhookSink::new().await;
    let inside = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut taking, "counselor").await;
    h.has_webhook(&mut taking, "oncall").await;
    h.client("client-a", &["counselor"]).await;
    let strict = h.another(None, false);
    let mut expected = Vec::new();
    for (who, address, error) in [
        (
            "counselor",
            format!("https://127.0.0.1:{}/hook", inside.port),
            "the URL is not one that webhooks go to",
        ),
        (
            "oncall",
            format!("https://localhost:{}/hook", inside.port),
            "the receiver's name leads to a private, local or reserved address",
        ),
    ] {
        h.move_webhook(who, &address).await;
        expected.push((who, error));
    }
    crisis(&mut h, "client-a").await;
    assert_eq!(strict.round("deliver").await.unwrap(), 2);
    for (who, error) in expected {
        let page = h.page_of(who, "webhook").await;
        assert_eq!(page, ("failed".to_owned(), 1, Some(error.to_owned())));
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_another_and_is_not_followed() {
    let inside = WebhookSink::new().await;
    let answer: &'static str = Box::leak(format!("302 Found\r\nlocation: {}", inside.url()).into_boxed_str());
    let mut redirecting = WebhookSink::that_answers(answer).await;
    let mut taking = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut taking, "oncall").await;
    h.move_webhook("oncall", &redirecting.url()).await;
    h.client("client-a", &["counselor"]).await;
    crisis(&mut h, "client-a").await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 1);
    redirecting.request().await;
    assert_eq!(inside.connections(), 0);
    let error = Some("the receiver answered 302".to_owned());
    assert_eq!(
        h.page_of("oncall", "webhook").await,
        ("pending".to_owned(), 1, error)
    );
}

#[tokio::test]
async fn a_page_about_an_episode_that_has_ended_is_withdrawn() {
    let mut receiver = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut receiver, "oncall").await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    let path = format!("/v1/escalations/{escalation}/resolve");
    h.call("counselor")
        .post(&path, &json!({"outcome": "spoke"}))
        .await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 1);
    assert_eq!(receiver.waiting(), 0);
    assert_eq!(h.page_of("oncall", "webhook").await.0, "withdrawn");
}

#[tokio::test]
async fn who_was_suspended_or_has_taken_the_method_away_is_paged_no_more() {
    let mut receiver = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    h.has_webhook(&mut receiver, "oncall").await;
    h.has_webhook(&mut receiver, "counselor").await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    h.has_another_tier(escalation).await;
    let admin = h.database.superuser().await;
    admin
        .run("update core.users set status = 'suspended' where user_id = 'staff-oncall'")
        .await;
    admin
        .run("delete from social.contact_methods where staff_id = 'staff-counselor'")
        .await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 2);
    let error = Some("the contact method is gone, or the account suspended".to_owned());
    for who in ["oncall", "counselor"] {
        assert_eq!(
            h.page_of(who, "webhook").await,
            ("failed".to_owned(), 1, error.clone()),
            "{who}"
        );
    }
    assert_eq!(receiver.waiting(), 0);
    assert!(h.next_tier_is_due(escalation).await);
}

#[tokio::test]
async fn admins_see_how_pages_went_and_supervisors_those_of_their_teams_and_neither_sees_about_whom() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let escalation = crisis(&mut h, "client-a").await;
    h.further_page(escalation, "counselor", "email").await;
    assert_eq!(h.app.round("deliver").await.unwrap(), 1);
    let all = h.call("admin").get("/v1/deliveries").await;
    assert_eq!(all.items().len(), 3, "{}", all.json);
    assert!(!all.json.to_string().contains("client-a"));
    let failed = h.call("admin").get("/v1/deliveries?status=failed").await;
    assert_eq!(
        (failed.items().len(), failed.at("/items/0/error")),
        (1, &json!("pages outside the app are not configured"))
    );
    let first = h.call("admin").get("/v1/deliveries?limit=2").await;
    let cursor = first.at("/next_cursor").as_str().unwrap().to_owned();
    let rest = h
        .call("admin")
        .get(&format!("/v1/deliveries?limit=2&cursor={cursor}"))
        .await;
    assert_eq!((first.items().len(), rest.items().len()), (2, 1));
    assert!(
        h.call("supervisor")
            .get("/v1/deliveries")
            .await
            .items()
            .is_empty()
    );
    let team = "insert into core.teams (name) values ('one');
        insert into core.team_members (team_id, staff_id, part) select t.team_id, m.id, m.part from core.teams t,
        (values ('staff-supervisor', 'supervisor'), ('staff-counselor', 'member')) m (id, part) where t.name = 'one'";
    h.database.superuser().await.run(team).await;
    assert_eq!(h.call("supervisor").get("/v1/deliveries").await.items().len(), 3);
    assert_eq!(h.call("counselor").get("/v1/deliveries").await.code(), 403);
}

#[tokio::test]
async fn a_receiver_that_answers_nothing_holds_up_nobody_elses_pages() {
    const CRISES: usize = 40;
    let silent = WebhookSink::that_answers("").await;
    let mut taking = WebhookSink::new().await;
    let mut h = Harness::paging(None, true).await;
    for who in ["oncall", "counselor"] {
        h.has_webhook(&mut taking, who).await;
    }
    // Whose pages are taken first.
    h.move_webhook("counselor", &silent.url()).await;
    for n in 0..CRISES {
        h.client(&format!("client-{n}"), &["counselor"]).await;
        crisis(&mut h, &format!("client-{n}")).await;
    }
    let mut round = std::pin::pin!(h.app.round("deliver"));
    for _ in 0..CRISES {
        tokio::select! {
            _ = &mut round => panic!("pages to a silent receiver ended"),
            _ = taking.request() => {}
        }
    }
}
