//! Sharing with family: nothing leaves without a consent that holds when it is written and when it is shared.

use serde_json::{Value, json};
use testkit::{Answer, Client, event_of};
use uuid::Uuid;

use crate::harness::{Harness, noon, scores};

const CONSENTS: &str = "/v1/users/client-a/family-consents";
const CARDS: &str = "/v1/users/client-a/family-cards";
const ENTERED: &str = "select count(*) from core.disclosures";

fn detail(consent_id: i64) -> Value {
    json!({"consent_id": consent_id, "contact_label": "my sister", "consent_scope": "summary_card"})
}

pub(crate) fn card(consent_id: i64) -> Value {
    json!({
        "consent_id": consent_id, "role": "companion", "thread_id": "main", "title": "A good week",
        "body": "Five days, and I slept.", "metadata": {"mood": "calm"},
    })
}

fn revoked(user_id: &str, consent_id: i64, purpose: &str) -> common::Event {
    let data =
        json!({"consent_id": consent_id, "user_id": user_id, "purpose": purpose, "changed_at": noon()});
    event_of("core.consent.revoked", data)
}

impl Harness {
    /// A consent as core stores it, with these values beside the client, each an SQL expression.
    async fn consent(&self, user_id: &str, columns: &str, values: &str) -> i64 {
        let sql = format!(
            "insert into core.consents (user_id, {columns}) values ('{user_id}', {values}) returning consent_id"
        );
        self.database.query(&sql).await[0].get("consent_id")
    }

    /// A consent to share with a contact, of which no scope is named.
    pub(crate) async fn consented(&self, user_id: &str, contact: &str) -> i64 {
        let values = format!("'family_share', '{contact}'");
        self.consent(user_id, "purpose, recipient", &values).await
    }

    /// Takes a consent back, and nobody is told yet.
    pub(crate) async fn revoke(&self, consent_id: i64) {
        revoke(&self.database.pools("core"), consent_id).await;
    }

    /// The app for a client.
    pub(crate) fn app_for(&self, user_id: &str) -> Client {
        self.call("app").with_header("x-on-behalf-of", user_id)
    }

    /// A client of the counselor who consented to a share with contact-1, with its detail; the consent's id.
    pub(crate) async fn sharing() -> (Self, i64) {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        let consent_id = h.consented("client-a", "contact-1").await;
        let stored = h.call("client-a").post(CONSENTS, &detail(consent_id)).await;
        assert_eq!(stored.code(), 201, "{}", stored.json);
        (h, consent_id)
    }

    /// A card of client-a that waits; its id.
    pub(crate) async fn waiting(&self, consent_id: i64) -> i64 {
        let written = self.call("client-a").post(CARDS, &card(consent_id)).await;
        assert_eq!(written.code(), 201, "{}", written.json);
        written.at("/card_id").as_i64().unwrap()
    }

    pub(crate) async fn share(&self, card_id: i64) -> Answer {
        self.app_for("client-a").post(&place(card_id), &json!({})).await
    }

    /// The status of every card of client-a, newest first, as the counselor reads it.
    async fn statuses(&self) -> Vec<Value> {
        let cards = self.call("counselor").get(CARDS).await;
        let cards = cards.items();
        cards.iter().map(|card| card["share_status"].clone()).collect()
    }
}

/// Takes a consent back, by a connection of core's, and nobody is told yet.
pub(crate) async fn revoke(core: &db::Db, consent_id: i64) {
    let sql = "update core.consents set revoked_at = clock_timestamp(), revoked_by_request_id = 'request-9'
        where consent_id = $1 returning consent_id";
    let revoked = core.worker_query(sql, &[&consent_id]).await.unwrap();
    assert_eq!(revoked.len(), 1);
}

pub(crate) fn place(card_id: i64) -> String {
    format!("/v1/family-cards/{card_id}/share")
}

/// Where the faults are.
fn pointers(refused: &Answer) -> Vec<&str> {
    let faults = refused.at("/errors").as_array().unwrap();
    let mut found: Vec<&str> = faults
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    found.sort_unstable();
    found
}

fn needs_consent(refused: &Answer) {
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (403, &json!("/problems/consent-required")),
        "{}",
        refused.json
    );
}

#[tokio::test]
async fn a_card_is_shared_with_the_notice_and_stands_in_the_ledger_without_its_words() {
    let (h, consent_id) = Harness::sharing().await;
    let card_id = h.waiting(consent_id).await;
    let shared = h.share(card_id).await;
    assert_eq!(shared.code(), 200, "{}", shared.json);
    for (field, value) in [
        ("/share_status", json!("shared")),
        ("/shared_with", json!("contact-1")),
        ("/consent_id", json!(consent_id)),
        ("/title", json!("A good week")),
        ("/body", json!("Five days, and I slept.")),
        ("/thread_id", json!("main")),
        ("/metadata", json!({"mood": "calm"})),
        (
            "/notice",
            json!("42 CFR part 2 prohibits unauthorized use or disclosure of these records."),
        ),
    ] {
        assert_eq!(shared.at(field), &value, "{field}");
    }
    let ledger =
        "select d.disclosure_id, d.user_id, d.consent_id, d.recipient, d.what, d.disclosed_by, d.notice,
            to_jsonb(d.at) = to_jsonb(c.shared_at) as at_that_time
        from core.disclosures d join social.family_share_cards c using (disclosure_id)";
    let ledger = h.database.query(ledger).await;
    assert_eq!(ledger.len(), 1);
    let text = |name: &str| ledger[0].get::<_, Option<String>>(name);
    assert_eq!(
        json!(ledger[0].get::<_, i64>("disclosure_id")),
        *shared.at("/disclosure_id")
    );
    assert_eq!(text("user_id").as_deref(), Some("client-a"));
    assert_eq!(ledger[0].get::<_, i64>("consent_id"), consent_id);
    assert_eq!(text("recipient").as_deref(), Some("contact-1"));
    let what = format!("family card {card_id}, summary_card");
    assert_eq!(text("what"), Some(what), "a description, not the thing itself");
    assert_eq!(text("disclosed_by"), None, "the client's own app");
    assert_eq!(json!(text("notice")), *shared.at("/notice"));
    assert!(ledger[0].get::<_, bool>("at_that_time"));
    let told = h.events("social.familycard.shared").await;
    let expected = json!({
        "card_id": card_id, "user_id": "client-a", "consent_id": consent_id, "share_status": "shared",
    });
    assert_eq!(told, [expected], "neither what it says nor to whom");
}

#[tokio::test]
async fn sharing_again_changes_nothing_and_after_the_revocation_nothing_is_answered_for_it() {
    let (h, consent_id) = Harness::sharing().await;
    let card_id = h.waiting(consent_id).await;
    let keyed = h
        .app_for("client-a")
        .with_header("idempotency-key", &Uuid::now_v7().to_string());
    let first = keyed.post(&place(card_id), &json!({})).await;
    let again = keyed.post(&place(card_id), &json!({})).await;
    assert_eq!((again.code(), &again.json), (200, &first.json));
    h.revoke(consent_id).await;
    needs_consent(&keyed.post(&place(card_id), &json!({})).await);
    assert_eq!(h.database.count(ENTERED).await, 1);
    assert_eq!(h.events("social.familycard.shared").await.len(), 1);
    let kept = "select count(*) from social.idempotency_keys where key <> ''";
    assert_eq!(h.database.count(kept).await, 0, "no copy of the text stays");
}

#[tokio::test]
async fn parallel_shares_of_a_card_are_one_disclosure() {
    let (h, consent_id) = Harness::sharing().await;
    let card_id = h.waiting(consent_id).await;
    let answers = futures::future::join_all((0..10).map(|_| h.share(card_id))).await;
    assert!(answers.iter().all(|answer| answer.json == answers[0].json));
    assert_eq!(h.database.count(ENTERED).await, 1);
}

#[tokio::test]
async fn what_no_consent_covers_is_not_even_written() {
    let (mut h, _) = Harness::sharing().await;
    h.client("client-b", &["counselor"]).await;
    let revoked = h.consented("client-a", "contact-2").await;
    h.revoke(revoked).await;
    let run_out = h
        .consent(
            "client-a",
            "purpose, recipient, granted_at, expires_at",
            "'family_share', 'contact-3', now() - interval '2 days', now() - interval '1 day'",
        )
        .await;
    let memory = h.consent("client-a", "purpose", "'memory'").await;
    let others = h.consented("client-b", "contact-1").await;
    let client = h.call("client-a");
    let mut details = Vec::new();
    for consent_id in [4711, revoked, run_out, memory, others] {
        for (path, body) in [(CONSENTS, detail(consent_id)), (CARDS, card(consent_id))] {
            let refused = client.post(path, &body).await;
            needs_consent(&refused);
            details.push(refused.at("/detail").clone());
        }
    }
    details.dedup();
    assert_eq!(details.len(), 1, "the reasons are not told apart");
    let stored = "select count(*) from social.family_share_cards";
    assert_eq!(h.database.count(stored).await, 0);
    assert_eq!(client.get(CONSENTS).await.items().len(), 1);
}

#[tokio::test]
async fn a_queued_card_is_not_shared_once_its_consent_was_taken_back_and_staff_see_that_it_failed() {
    let (h, consent_id) = Harness::sharing().await;
    let (first, second) = (h.waiting(consent_id).await, h.waiting(consent_id).await);
    assert_eq!(h.share(first).await.code(), 200);
    h.revoke(consent_id).await;
    needs_consent(&h.share(second).await);
    needs_consent(&h.call("client-a").post(CARDS, &card(consent_id)).await);
    assert_eq!(h.statuses().await, ["pending", "shared"], "nobody was told yet");
    let listed = h.call("client-a").get(CONSENTS).await;
    assert_eq!(listed.at("/items/0/is_active"), &json!(false), "core decides");
    let told = [revoked("client-a", consent_id, "family_share")];
    assert_eq!(h.app.consumer().apply_events(&told).await.unwrap(), 1);
    assert_eq!(h.statuses().await, ["failed", "shared"]);
    let failed = h.call("counselor").get(&format!("{CARDS}?status=failed")).await;
    assert_eq!(failed.at("/items/0/card_id"), &json!(second));
    assert_eq!(failed.items().len(), 1);
    let events = h.events("social.familycard.failed").await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["card_id"], &events[0]["share_status"]),
        (&json!(second), &json!("failed"))
    );
    needs_consent(&h.share(second).await);
    let ended = "select count(*) from social.family_share_consents
        where not is_active and revoked_by_request_id = 'request-9'";
    assert_eq!(h.database.count(ended).await, 1);
    // A consent given anew is another one: what failed stays so.
    h.consented("client-a", "contact-1").await;
    needs_consent(&h.share(second).await);
    assert_eq!(h.database.count(ENTERED).await, 1);
}

/// A consent may run out between being held and being entered.
#[tokio::test]
async fn what_the_ledger_refuses_is_not_shared() {
    let (h, consent_id) = Harness::sharing().await;
    let card_id = h.waiting(consent_id).await;
    h.database
        .superuser()
        .await
        .run(
            "create or replace function core.check_disclosure() returns trigger language plpgsql as $$
             begin
                raise exception 'over' using errcode = 'check_violation', constraint = 'ck_disclosures_consent';
             end $$",
        )
        .await;
    needs_consent(&h.share(card_id).await);
    assert_eq!(h.statuses().await, ["pending"]);
    assert!(h.events("social.familycard.shared").await.is_empty());
}

#[tokio::test]
async fn a_refused_share_is_on_record() {
    let (h, consent_id) = Harness::sharing().await;
    let card_id = h.waiting(consent_id).await;
    h.revoke(consent_id).await;
    needs_consent(&h.share(card_id).await);
    let denied = "select count(*) from core.audit_events
        where decision = 'deny' and reason = 'consent-required' and object_type = 'family-cards'";
    assert_eq!(h.database.count(denied).await, 1);
}

#[tokio::test]
async fn what_hears_of_revocations_ends_what_core_says_is_over_and_nothing_else() {
    let (h, consent_id) = Harness::sharing().await;
    h.waiting(consent_id).await;
    let memory = h.consent("client-a", "purpose", "'memory'").await;
    let told = [
        revoked("client-a", consent_id, "family_share"),
        revoked("client-a", memory, "memory"),
        revoked("nobody", 4711, "family_share"),
    ];
    assert_eq!(h.app.consumer().apply_events(&told).await.unwrap(), 3);
    assert_eq!(h.statuses().await, ["pending"], "the consent holds");
    h.revoke(consent_id).await;
    for expected in [1, 0] {
        let told = [revoked("client-a", consent_id, "family_share")];
        assert_eq!(h.app.consumer().apply_events(&told).await.unwrap(), 1);
        assert_eq!(h.statuses().await, ["failed"]);
        let events = h.events("social.familycard.failed").await.len();
        assert_eq!(events, 1, "told once, also at the {expected}. time");
    }
}

#[tokio::test]
async fn cards_fail_when_their_consent_has_run_out_though_nobody_tells() {
    let (h, _) = Harness::sharing().await;
    let run_out = h
        .consent(
            "client-a",
            "purpose, recipient, granted_at, expires_at",
            "'family_share', 'contact-2', now() - interval '2 days', now() - interval '1 minute'",
        )
        .await;
    h.database
        .superuser()
        .await
        .run(&format!(
            "insert into social.family_share_consents (consent_id, user_id, contact_label, consent_scope)
             values ({run_out}, 'client-a', 'a friend', 'summary_card');
             insert into social.family_share_cards (consent_id, user_id, title, body)
             select c, 'client-a', 'title', 'body' from unnest(array[{run_out}, (
                select min(consent_id) from social.family_share_consents)]) c"
        ))
        .await;
    assert_eq!(h.app.round("lapse").await.unwrap(), 1);
    let failed = "select count(*) from social.family_share_cards where share_status = 'failed'";
    assert_eq!(h.database.count(failed).await, 1, "the other consent holds");
    assert_eq!(h.events("social.familycard.failed").await.len(), 1);
    assert_eq!(h.app.round("lapse").await.unwrap(), 0, "again does nothing");
}

#[tokio::test]
async fn no_more_is_shared_than_the_client_consented_to() {
    let (h, _) = Harness::sharing().await;
    let values = "'family_share', 'contact-2', 'summary_card'";
    let narrow = h.consent("client-a", "purpose, recipient, scope", values).await;
    let mut wider = detail(narrow);
    wider["consent_scope"] = json!("periodic_updates");
    let refused = h.call("client-a").post(CONSENTS, &wider).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/consent_scope"])
    );
    assert_eq!(
        h.call("client-a").post(CONSENTS, &detail(narrow)).await.code(),
        201
    );
}

#[tokio::test]
async fn the_same_detail_stands_and_another_one_of_the_same_consent_is_refused() {
    let (h, consent_id) = Harness::sharing().await;
    let client = h.call("client-a");
    let again = h.app_for("client-a").post(CONSENTS, &detail(consent_id)).await;
    assert_eq!(
        (again.code(), again.at("/contact_label")),
        (200, &json!("my sister"))
    );
    for (field, value) in [
        ("contact_label", "my brother"),
        ("consent_scope", "periodic_updates"),
    ] {
        let mut other = detail(consent_id);
        other[field] = json!(value);
        let refused = client.post(CONSENTS, &other).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (409, &json!("/problems/differs"))
        );
    }
    let listed = client.get(CONSENTS).await;
    assert_eq!(listed.items().len(), 1);
    assert_eq!(listed.at("/items/0/is_active"), &json!(true));
}

#[tokio::test]
async fn a_card_needs_the_detail_of_its_consent_and_its_text_is_not_sent_back() {
    let (h, consent_id) = Harness::sharing().await;
    let bare = h.consented("client-a", "contact-2").await;
    let refused = h.call("client-a").post(CARDS, &card(bare)).await;
    assert_eq!((refused.code(), pointers(&refused)), (422, vec!["/consent_id"]));
    let written = h.call("client-a").post(CARDS, &card(consent_id)).await;
    assert_eq!(
        (written.code(), written.at("/share_status")),
        (201, &json!("pending"))
    );
    assert!(!String::from_utf8_lossy(&written.bytes).contains("slept"));
}

#[tokio::test]
async fn every_fault_of_a_detail_and_of_a_card_is_named_at_once() {
    let (h, _) = Harness::sharing().await;
    let client = h.call("client-a");
    let bad = json!({"consent_id": 0, "contact_label": "", "consent_scope": "everything", "is_active": true});
    let refused = client.post(CONSENTS, &bad).await;
    assert_eq!(refused.code(), 422);
    assert_eq!(
        pointers(&refused),
        ["/consent_id", "/consent_scope", "/contact_label", "/is_active"]
    );
    let bad = json!({
        "consent_id": "1", "role": "a b", "thread_id": "", "title": "", "body": "a\u{0}b", "metadata": [],
        "share_status": "shared",
    });
    let refused = client.post(CARDS, &bad).await;
    assert_eq!(refused.code(), 422);
    assert_eq!(
        pointers(&refused),
        [
            "/body",
            "/consent_id",
            "/metadata",
            "/role",
            "/share_status",
            "/thread_id",
            "/title"
        ]
    );
    let long = json!({"consent_id": 1, "title": "t", "body": "x".repeat(16 * 1024 + 1)});
    let refused = client.post(CARDS, &long).await;
    assert_eq!((refused.code(), pointers(&refused)), (413, vec!["/body"]));
    let refused = client.get(&format!("{CARDS}?status=sent")).await;
    assert_eq!((refused.code(), pointers(&refused)), (422, vec!["?status"]));
}

#[tokio::test]
async fn a_client_and_their_app_share_and_those_who_care_read() {
    let (mut h, consent_id) = Harness::sharing().await;
    h.client("client-b", &["counselor_other"]).await;
    let card_id = h.waiting(consent_id).await;
    let share = place(card_id);
    for stranger in [
        h.call("client-b"),
        h.app_for("client-b"),
        h.call("counselor_other"),
    ] {
        for path in [CONSENTS, CARDS] {
            assert_eq!(stranger.get(path).await.code(), 404, "{path}");
        }
    }
    for stranger in [h.call("client-b"), h.app_for("client-b")] {
        assert_eq!(stranger.post(CONSENTS, &detail(consent_id)).await.code(), 404);
        assert_eq!(stranger.post(CARDS, &card(consent_id)).await.code(), 404);
        assert_eq!(stranger.post(&share, &json!({})).await.code(), 404);
    }
    let others = [
        "oncall",
        "supervisor",
        "admin",
        "auditor",
        "pipeline",
        "service",
        "counselor",
    ];
    for name in others {
        assert_eq!(
            h.call(name).post(CONSENTS, &detail(consent_id)).await.code(),
            403,
            "{name}"
        );
        assert_eq!(
            h.call(name).post(CARDS, &card(consent_id)).await.code(),
            403,
            "{name}"
        );
        assert_eq!(h.call(name).post(&share, &json!({})).await.code(), 403, "{name}");
    }
    assert_eq!(
        h.call("app").post(&share, &json!({})).await.code(),
        400,
        "an app names the client"
    );
    assert_eq!(
        h.call("app").get("/v1/users/nobody/family-cards").await.code(),
        404
    );
    assert_eq!(h.call("counselor").get(CARDS).await.items().len(), 1);
    assert_eq!(h.database.count(ENTERED).await, 0);
}

#[tokio::test]
async fn a_crisis_opens_no_cards() {
    let (h, consent_id) = Harness::sharing().await;
    h.waiting(consent_id).await;
    h.database
        .superuser()
        .await
        .run(
            "insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall');
             insert into core.temporary_access (staff_id, client_id, cause, reference, until)
             values ('staff-counselor_other', 'client-a', 'escalation', 1, 'infinity')",
        )
        .await;
    let helper = h.call("counselor_other");
    assert_eq!(helper.get("/v1/users/client-a/risk-profile").await.code(), 200);
    for path in [CONSENTS, CARDS] {
        assert_eq!(helper.get(path).await.code(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_row_policies_hold_below_the_routes_and_a_person_changes_no_words_of_a_card() {
    let (h, consent_id) = Harness::sharing().await;
    h.waiting(consent_id).await;
    for table in ["family_share_consents", "family_share_cards"] {
        let sql = format!("select consent_id from social.{table}");
        for (staff, seen) in [("staff-counselor", 1), ("staff-counselor_other", 0)] {
            let actor = db::Actor::Staff(staff.to_owned());
            assert_eq!(
                h.database.seen_by("social", &actor, &sql).await.len(),
                seen,
                "{table} for {staff}"
            );
        }
    }
    let social = h.database.pools("social");
    for sql in [
        "update social.family_share_cards set body = 'other'",
        "delete from social.family_share_cards",
        "update social.family_share_consents set is_active = true",
    ] {
        let tx = social
            .begin(&db::Actor::Client("client-a".to_owned()))
            .await
            .unwrap();
        let refused = tx.execute(sql, &[]).await.expect_err(sql);
        assert!(
            matches!(&refused, db::Error::Refused { sqlstate, .. } if sqlstate == "42501"),
            "{refused}"
        );
    }
}

const NOTICES: &str = "select c.body || ' ' || c.title from social.family_share_cards c";

impl Harness {
    /// What the rules decided of telling family, each time: what was chosen, or why nothing.
    async fn family_told(&self) -> Vec<Value> {
        let sql = "select jsonb_build_array(action_data ->> 'chosen', withheld_reason,
                jsonb_array_length(action_data -> 'card_ids')) as told
            from social.actions where action_type = 'family_notice' order by action_id";
        let rows = self.database.query(sql).await;
        rows.iter().map(|row| row.get("told")).collect()
    }

    /// Another detail of what a consent is about.
    async fn about(&self, consent_id: i64, scope: &str) {
        let body = json!({"consent_id": consent_id, "contact_label": "a friend", "consent_scope": scope});
        let stored = self.call("client-a").post(CONSENTS, &body).await;
        assert_eq!(stored.code(), 201, "{}", stored.json);
    }
}

#[tokio::test]
async fn in_a_crisis_family_is_asked_to_be_in_touch_under_a_consent_for_periodic_updates_and_told_nothing_else()
 {
    let (mut h, _) = Harness::sharing().await;
    let periodic = h.consented("client-a", "contact-2").await;
    h.about(periodic, "periodic_updates").await;
    h.writes("client-a", &scores(0.95, 0.1)).await;
    assert_eq!(h.family_told().await, [json!(["family_card", null, 1])]);
    // Once for an episode.
    h.writes("client-a", &scores(0.99, 0.1)).await;
    assert_eq!(h.family_told().await.len(), 1);
    let said: String = h.database.query(NOTICES).await[0].get(0);
    assert_eq!(said, "Please be in touch when you can. A short note");
    let cards = h.call("client-a").get(CARDS).await.items();
    let [card] = &cards[..] else { panic!("{cards:?}") };
    assert_eq!(
        (&card["share_status"], &card["consent_id"], &card["metadata"]),
        (&json!("pending"), &json!(periodic), &Value::Null)
    );
    let shared = h.share(card["card_id"].as_i64().unwrap()).await;
    assert_eq!(
        (shared.code(), shared.at("/shared_with")),
        (200, &json!("contact-2"))
    );
}

#[tokio::test]
async fn a_second_crisis_makes_no_second_notice_while_the_first_waits_to_be_shared() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let periodic = h.consented("client-a", "contact-1").await;
    h.about(periodic, "periodic_updates").await;
    let cards = "select count(*) from social.family_share_cards";
    for crisis in 1..=2 {
        let written = h.writes("client-a", &scores(0.95, 0.1)).await;
        assert_eq!(h.family_told().await.len(), crisis);
        assert_eq!(
            h.family_told().await.last(),
            Some(&json!(["family_card", null, 1]))
        );
        assert_eq!(h.database.count(cards).await, 1);
        let path = format!("/v1/escalations/{}/resolve", written.at("/escalation_id"));
        let resolved = h
            .call("counselor")
            .post(&path, &json!({"outcome": "spoke"}))
            .await;
        assert_eq!(resolved.code(), 200, "{}", resolved.json);
    }
}

#[tokio::test]
async fn a_notice_of_the_rules_that_waits_is_not_shared_once_its_consent_was_taken_back() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let periodic = h.consented("client-a", "contact-1").await;
    h.about(periodic, "periodic_updates").await;
    h.writes("client-a", &scores(0.95, 0.1)).await;
    let card_id = h
        .database
        .count("select card_id from social.family_share_cards")
        .await;
    h.revoke(periodic).await;
    needs_consent(&h.share(card_id).await);
    assert_eq!(h.database.count(ENTERED).await, 0);
}

#[tokio::test]
async fn why_family_is_not_told_in_a_crisis_is_said_as_it_is() {
    let (mut h, _) = Harness::sharing().await;
    h.writes("client-a", &scores(0.95, 0.1)).await;
    assert_eq!(
        h.family_told().await,
        [json!(["none", "no_periodic_consent", null])]
    );
    for (user_id, reason) in [("client-b", "no_active_consent"), ("client-c", "no_template")] {
        h.client(user_id, &["counselor"]).await;
        if reason == "no_template" {
            let consent = h.consented(user_id, "contact-1").await;
            let sql = format!(
                "insert into social.family_share_consents (consent_id, user_id, contact_label, consent_scope)
                 values ({consent}, '{user_id}', 'a friend', 'periodic_updates');
                 update social.nudge_templates set active = false where nudge_type = 'family_notice'"
            );
            h.database.superuser().await.run(&sql).await;
        }
        h.writes(user_id, &scores(0.95, 0.1)).await;
        assert_eq!(h.family_told().await.last(), Some(&json!(["none", reason, null])));
    }
    assert_eq!(
        h.database
            .count("select count(*) from social.family_share_cards")
            .await,
        0
    );
}
