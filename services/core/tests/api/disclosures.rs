//! Disclosures: none without a consent, each in the ledger, and none after the consent was taken back.

use std::cell::Cell;

use futures::StreamExt;
use futures::future::join;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Client;

use crate::consents::share;
use crate::harness::{Harness, column, pointers};

const OF_A: &str = "/v1/users/client-a/disclosures";
/// Disclosures that were entered when their consent had been taken back.
const BREACHES: &str = "select count(*) from core.disclosures d
    join core.consents c on c.consent_id = d.consent_id where d.at >= c.revoked_at";
const ENTERED: &str = "select count(*) from core.disclosures";

fn disclosure(consent_id: &Value, recipient: &str) -> Value {
    json!({"consent_id": consent_id, "recipient": recipient, "what": "attendance in October"})
}

impl Harness {
    /// A client in the caseload of a counselor who consented to a share with contact-1; and the consent's id.
    async fn sharing() -> (Self, Value) {
        let h = Self::with_client("client-a").await;
        let given = h
            .call("client-a")
            .post("/v1/users/client-a/consents", &share("contact-1"))
            .await;
        let consent_id = given.at("/consent_id").clone();
        (h, consent_id)
    }

    /// Whether a revocation waits for another service that holds the consent.
    async fn revocation_waits(&self, consent_id: &Value) -> bool {
        let holder = self.database.pools("social").begin_worker().await.unwrap();
        let hold = "select core.hold_consent('client-a', 'family_share', 'contact-1') as held";
        let held: Option<i64> = holder.query_one(hold, &[]).await.unwrap().get("held");
        assert_eq!(json!(held), *consent_id);
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        let is_answered = Cell::new(false);
        let revoke = async {
            let answer = self
                .call("client-a")
                .delete(&format!("/v1/consents/{consent_id}"))
                .await;
            is_answered.set(true);
            answer.code()
        };
        let watch = async {
            let mut waits = false;
            while !waits && !is_answered.get() {
                waits = self.database.count(waiting).await > 0;
            }
            holder.commit().await.unwrap();
            waits
        };
        let (code, waits) = join(revoke, watch).await;
        assert_eq!(code, 204);
        waits
    }

    /// Makes `core.hold_consent` another function.
    async fn hold_otherwise(&self, condition: &str, lock: &str) {
        self.run(&format!(
            "create or replace function core.hold_consent(of_user varchar, for_purpose varchar, to_recipient varchar)
             returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
             declare held bigint;
             begin
                select c.consent_id into held from core.consents c
                where c.user_id = of_user and c.purpose = for_purpose and c.recipient = to_recipient and {condition}
                {lock};
                return held;
             end $$"
        ))
        .await;
    }

    /// Whether a transaction that began before a revocation enters a disclosure after it.
    async fn discloses_after_the_revocation(&self, consent_id: &Value) -> bool {
        let early = self.database.pools("core").begin_worker().await.unwrap();
        early.query_one("select now()", &[]).await.unwrap();
        let path = format!("/v1/consents/{consent_id}");
        assert_eq!(self.call("client-a").delete(&path).await.code(), 204);
        let enter =
            "insert into core.disclosures (user_id, consent_id, recipient, what, disclosed_by, notice)
            values ('client-a', $1, 'contact-1', 'attendance', 'staff-counselor', 'notice')";
        match early.execute(enter, &[&consent_id.as_i64()]).await {
            Ok(_) => {
                early.commit().await.unwrap();
                true
            }
            Err(error) => {
                assert_eq!(error.constraint(), Some("ck_disclosures_consent"));
                false
            }
        }
    }
}

#[tokio::test]
async fn a_disclosure_carries_the_notice_and_its_consent() {
    let (h, consent_id) = Harness::sharing().await;
    let made = h
        .call("counselor")
        .post(OF_A, &disclosure(&consent_id, "contact-1"))
        .await;
    assert_eq!(made.code(), 201);
    assert_eq!(
        made.at("/notice"),
        "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
    );
    for (field, value) in [
        ("/consent_id", consent_id),
        ("/purpose", json!("family_share")),
        ("/scope", json!("summary_card")),
        ("/recipient", json!("contact-1")),
        ("/what", json!("attendance in October")),
        ("/disclosed_by", json!("staff-counselor")),
        ("/user_id", json!("client-a")),
    ] {
        assert_eq!(made.at(field), &value, "{field}");
    }
    for (caller, path) in [("auditor", "/v1/disclosures"), ("client-a", OF_A), ("app", OF_A)] {
        let ledger = h.call(caller).get(path).await;
        assert_eq!(ledger.at("/items"), &json!([made.json]), "{caller}");
    }
}

#[tokio::test]
async fn what_no_consent_covers_is_refused_and_not_entered() {
    let (mut h, consent_id) = Harness::sharing().await;
    h.client("client-b", &["counselor"]).await;
    let of_b = "/v1/users/client-b/consents";
    let other = h.call("client-b").post(of_b, &share("contact-1")).await;
    let revoked = h
        .call("client-a")
        .post("/v1/users/client-a/consents", &share("contact-2"))
        .await;
    let path = format!("/v1/consents/{}", revoked.at("/consent_id"));
    h.call("client-a").delete(&path).await;
    let ended: i64 = h
        .database
        .query(
            "insert into core.consents (user_id, purpose, recipient, granted_at, expires_at)
             values ('client-a', 'family_share', 'contact-3', now() - interval '2 days', now() - interval '1 day')
             returning consent_id",
        )
        .await[0]
        .get("consent_id");
    let counselor = h.call("counselor");
    let mut details = Vec::new();
    for (id, recipient) in [
        (&json!(4711), "contact-1"),
        (other.at("/consent_id"), "contact-1"),
        (&consent_id, "contact-2"),
        (revoked.at("/consent_id"), "contact-2"),
        (&json!(ended), "contact-3"),
    ] {
        let refused = counselor.post(OF_A, &disclosure(id, recipient)).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (403, &json!("/problems/consent-required")),
            "{id} to {recipient}"
        );
        details.push(refused.at("/detail").clone());
    }
    details.dedup();
    assert_eq!(details.len(), 1, "the reasons are not told apart");
    assert_eq!(h.database.count(ENTERED).await, 0);
}

#[tokio::test]
async fn every_fault_of_a_disclosure_is_named_at_once() {
    let (h, consent_id) = Harness::sharing().await;
    let bad = json!({"consent_id": 0, "recipient": "programme", "what": "", "notice": "none", "disclosed_by": "staff-admin"});
    let refused = h.call("counselor").post(OF_A, &bad).await;
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(refused.code(), 422);
    assert_eq!(
        named,
        ["/consent_id", "/disclosed_by", "/notice", "/recipient", "/what"]
    );
    let mut long = disclosure(&consent_id, "contact-1");
    long["what"] = json!("x".repeat(2_001));
    assert_eq!(pointers(&h.call("counselor").post(OF_A, &long).await), ["/what"]);
    let empty = h.call("counselor").post(OF_A, &json!({})).await;
    assert_eq!(pointers(&empty), ["/consent_id", "/recipient", "/what"]);
    assert_eq!(h.database.count(ENTERED).await, 0);
}

#[tokio::test]
async fn only_the_client_s_counselors_disclose() {
    let (mut h, consent_id) = Harness::sharing().await;
    h.client("client-b", &["supervisor"]).await;
    let body = disclosure(&consent_id, "contact-1");
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    let stranger = h.call("counselor_other");
    assert_eq!(stranger.post(OF_A, &body).await.code(), 404);
    h.crisis("client-a", "counselor_other").await;
    assert_eq!(
        stranger.post(OF_A, &body).await.code(),
        404,
        "a crisis opens it not"
    );
    let absent = h
        .call("counselor")
        .post("/v1/users/nobody/disclosures", &body)
        .await;
    assert_eq!(absent.code(), 404);
    for caller in [
        "client-a",
        "app",
        "supervisor",
        "oncall",
        "admin",
        "auditor",
        "pipeline",
        "service",
    ] {
        assert_eq!(h.call(caller).post(OF_A, &body).await.code(), 403, "{caller}");
    }
    assert_eq!(h.database.count(ENTERED).await, 0);
}

#[tokio::test]
async fn a_repeated_key_is_one_disclosure() {
    let (h, consent_id) = Harness::sharing().await;
    let caller = h.call("counselor").with_header("idempotency-key", "october");
    let body = disclosure(&consent_id, "contact-1");
    let first = caller.post(OF_A, &body).await;
    let again = caller.post(OF_A, &body).await;
    assert_eq!((again.code(), &again.bytes), (201, &first.bytes));
    assert_eq!(h.database.count(ENTERED).await, 1);
}

#[tokio::test]
async fn auditors_read_the_ledger_by_time_and_page_by_page() {
    let (h, consent_id) = Harness::sharing().await;
    h.run(&format!(
        "insert into core.disclosures (user_id, consent_id, recipient, what, at, disclosed_by, notice)
         select 'client-a', {consent_id}, 'contact-1', 'no ' || n, timestamptz '2026-10-01' + n * interval '1 day',
            'staff-counselor', 'notice'
         from generate_series(1, 5) as n"
    ))
    .await;
    let auditor = h.call("auditor");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = auditor.get(&format!("/v1/disclosures?limit=2{cursor}")).await;
        seen.extend(column(&page, "what"));
        let Some(next) = page.at("/next_cursor").as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["no 5", "no 4", "no 3", "no 2", "no 1"]);
    let path = "/v1/disclosures?from=2026-10-03T00:00:00Z&until=2026-10-05T00:00:00Z";
    assert_eq!(column(&auditor.get(path).await, "what"), ["no 3", "no 2"]);
    let own = h.call("client-a").get(&format!("{OF_A}?limit=1")).await;
    let next = own.at("/next_cursor").as_str().expect("more").to_owned();
    let second = h
        .call("client-a")
        .get(&format!("{OF_A}?limit=1&cursor={next}"))
        .await;
    assert_eq!(column(&second, "what"), ["no 4"]);
    for query in [
        "from=yesterday".to_owned(),
        "until=1999-01-01T00:00:00Z".to_owned(),
        "limit=1000000000".to_owned(),
        "user_id=client-a".to_owned(),
        format!("cursor={next}"),
    ] {
        let refused = auditor.get(&format!("/v1/disclosures?{query}")).await;
        assert_eq!(refused.code(), 422, "{query}");
    }
}

#[tokio::test]
async fn the_ledger_is_the_auditors_and_each_person_s_own() {
    let (mut h, consent_id) = Harness::sharing().await;
    h.client("client-b", &["counselor"]).await;
    let counselor = h.call("counselor");
    counselor.post(OF_A, &disclosure(&consent_id, "contact-1")).await;
    for caller in [
        "client-a",
        "app",
        "counselor",
        "supervisor",
        "oncall",
        "admin",
        "pipeline",
        "service",
    ] {
        let refused = h.call(caller).get("/v1/disclosures").await;
        assert_eq!(refused.code(), 403, "{caller}");
    }
    for caller in [
        "counselor",
        "supervisor",
        "oncall",
        "admin",
        "auditor",
        "pipeline",
        "service",
    ] {
        assert_eq!(h.call(caller).get(OF_A).await.code(), 403, "{caller}");
    }
    assert_eq!(h.call("client-b").get(OF_A).await.code(), 404);
    assert_eq!(h.app_for("client-b").get(OF_A).await.code(), 404);
    let own = h.call("client-b").get("/v1/users/client-b/disclosures").await;
    assert_eq!((own.code(), own.items()), (200, Vec::new()));
    let other = db::Actor::Staff("staff-counselor_other".to_owned());
    let seen = h
        .database
        .seen_by("core", &other, "select d.disclosure_id from core.disclosures d")
        .await;
    assert_eq!(seen.len(), 0, "the row policy holds below the routes");
}

#[tokio::test]
async fn a_revocation_waits_for_what_holds_the_consent() {
    let (h, consent_id) = Harness::sharing().await;
    assert!(h.revocation_waits(&consent_id).await);
}

#[tokio::test]
async fn without_the_lock_a_consent_is_revoked_under_a_disclosure() {
    let (h, consent_id) = Harness::sharing().await;
    h.hold_otherwise("c.revoked_at is null", "").await;
    assert!(!h.revocation_waits(&consent_id).await);
}

#[tokio::test]
async fn a_transaction_that_began_before_the_revocation_discloses_nothing_after_it() {
    let (h, consent_id) = Harness::sharing().await;
    assert!(!h.discloses_after_the_revocation(&consent_id).await);
    assert_eq!(h.database.count(BREACHES).await, 0);
}

#[tokio::test]
async fn by_the_clock_of_its_transaction_a_disclosure_would_follow_the_revocation() {
    let (h, consent_id) = Harness::sharing().await;
    h.hold_otherwise("coalesce(c.revoked_at > now(), true)", "for share")
        .await;
    assert!(h.discloses_after_the_revocation(&consent_id).await);
    assert_eq!(h.database.count(BREACHES).await, 1);
}

/// Plants 500 clients who consented, 50 for each of ten counselors whose tokens are `rcv_test_racer-<n>`.
const RACERS: &str = "
    insert into core.users (user_id, kind) select 'racer-' || n, 'staff' from generate_series(0, 9) as n;
    insert into core.staff_roles (user_id, role) select 'racer-' || n, 'counselor' from generate_series(0, 9) as n;
    insert into core.access_tokens (token_hash, subject, expires_at)
    select sha256(convert_to('rcv_test_racer-' || n, 'UTF8')), 'racer-' || n, now() + interval '1 hour'
    from generate_series(0, 9) as n;
    insert into core.users (user_id, kind) select 'raced-' || n, 'client' from generate_series(1, 500) as n;
    insert into core.caseload_assignments (client_id, staff_id)
    select 'raced-' || n, 'racer-' || n % 10 from generate_series(1, 500) as n;
    insert into core.consents (user_id, purpose, recipient)
    select 'raced-' || n, 'family_share', 'contact-1' from generate_series(1, 500) as n";

/// Revokes a consent while a counselor discloses under it, until a disclosure was asked for after the revocation was
/// answered. Returns how many were made.
async fn race(app: Client, counselor: Client, user_id: String, consent_id: i64) -> usize {
    let is_revoked = Cell::new(false);
    let revoke = async {
        let caller = app.with_header("x-on-behalf-of", &user_id);
        let answer = caller.delete(&format!("/v1/consents/{consent_id}")).await;
        assert_eq!(answer.code(), 204);
        is_revoked.set(true);
    };
    let disclose = async {
        let (path, mut made) = (format!("/v1/users/{user_id}/disclosures"), 0);
        loop {
            let is_after = is_revoked.get();
            let body = disclosure(&json!(consent_id), "contact-1").to_string();
            let answer = counselor.send(Method::POST, &path, Some(body.into_bytes())).await;
            match answer.code() {
                201 if !is_after => made += 1,
                403 if is_after => return made,
                403 => assert_eq!(answer.at("/type"), "/problems/consent-required"),
                code => panic!("{code} for a disclosure, after the revocation: {is_after}"),
            }
        }
    };
    join(revoke, disclose).await.1
}

#[tokio::test]
async fn of_500_races_none_discloses_after_the_revocation() {
    let h = Harness::new().await;
    h.run(RACERS).await;
    let consents = h
        .database
        .query("select consent_id, user_id from core.consents")
        .await;
    assert_eq!(consents.len(), 500);
    let (app, anonymous) = (h.call("app"), h.anonymous());
    let races = consents.iter().map(|row| {
        let (user_id, consent_id): (String, i64) = (row.get("user_id"), row.get("consent_id"));
        let racer = user_id.chars().last().expect("a digit");
        let counselor = anonymous.with_token(&format!("rcv_test_racer-{racer}"));
        race(app.clone(), counselor, user_id, consent_id)
    });
    let made: usize = futures::stream::iter(races)
        .buffer_unordered(16)
        .fold(0, async |sum, made| sum + made)
        .await;
    assert_eq!(h.database.count(BREACHES).await, 0);
    let entered = h.database.count(ENTERED).await;
    assert_eq!(
        usize::try_from(entered).ok(),
        Some(made),
        "none is entered that was not answered"
    );
}

#[tokio::test]
async fn a_disclosure_stays_as_it_was_entered_until_its_term_is_over() {
    let (h, consent_id) = Harness::sharing().await;
    h.run(&format!(
        "insert into core.disclosures (user_id, consent_id, recipient, what, at, disclosed_by, notice)
         select 'client-a', {consent_id}, 'contact-1', 'term', now() - n * interval '1 day', 'staff-counselor', 'notice'
         from unnest(array[1, 1094, 1097]) as n"
    ))
    .await;
    for change in [
        "what = 'less'",
        "recipient = 'contact-2'",
        "at = now()",
        "notice = ''",
        "consent_id = null",
        "disclosed_by = null",
        "user_id = 'staff-admin'",
        "user_id = null, notice = ''",
    ] {
        let sql = format!("update core.disclosures set {change}");
        assert!(
            h.owner_is_refused(&sql, "ck_disclosures_ledger").await,
            "{change}"
        );
    }
    let recent = "delete from core.disclosures where at > now() - interval '3 years'";
    assert!(h.owner_is_refused(recent, "ck_disclosures_ledger").await);
    let core = h.database.pools("core");
    let over =
        "delete from core.disclosures d where d.at < now() - interval '3 years' returning d.disclosure_id";
    assert_eq!(core.worker_query(over, &[]).await.unwrap().len(), 1);
    let refused = core
        .worker_query("update core.disclosures set what = 'less'", &[])
        .await
        .expect_err("no service changes the ledger");
    assert!(
        matches!(&refused, db::Error::Refused { sqlstate, .. } if sqlstate == "42501"),
        "{refused}"
    );
    assert_eq!(h.database.count(ENTERED).await, 2);
}

#[tokio::test]
async fn after_an_erasure_the_ledger_has_the_disclosure_and_names_nobody() {
    let (h, consent_id) = Harness::sharing().await;
    let counselor = h.call("counselor");
    counselor.post(OF_A, &disclosure(&consent_id, "contact-1")).await;
    h.run("delete from core.users where user_id in ('client-a', 'staff-counselor')")
        .await;
    let ledger = h.call("auditor").get("/v1/disclosures").await;
    let left = &ledger.items()[0];
    for field in [
        "user_id",
        "consent_id",
        "purpose",
        "scope",
        "recipient",
        "what",
        "disclosed_by",
    ] {
        assert_eq!(left[field], Value::Null, "{field}");
    }
    assert!(left["at"].is_string() && left["notice"].is_string());
}
