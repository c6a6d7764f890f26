//! Consents: given, taken back, and true as of every time.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, column, pointers};

const OF_A: &str = "/v1/users/client-a/consents";

/// A consent that a card is shown to somebody of the family.
pub(crate) fn share(recipient: &str) -> Value {
    json!({"purpose": "family_share", "recipient": recipient, "scope": "summary_card"})
}

impl Harness {
    /// A client in the caseload of a counselor.
    pub(crate) async fn with_client(user_id: &str) -> Self {
        let mut h = Self::new().await;
        h.client(user_id, &["counselor"]).await;
        h
    }

    /// Plants a consent to memory with these times, each an SQL expression; returns its id.
    async fn memory(&self, granted_at: &str, expires_at: &str, revoked_at: &str) -> i64 {
        let sql = format!(
            "insert into core.consents (user_id, purpose, granted_at, expires_at, revoked_at)
             values ('client-a', 'memory', {granted_at}, {expires_at}, {revoked_at}) returning consent_id"
        );
        self.database.query(&sql).await[0].get("consent_id")
    }

    /// Whether the database refuses the statement to its owner, by this constraint.
    pub(crate) async fn owner_is_refused(&self, sql: &str, constraint: &str) -> bool {
        let asked = format!(
            "set role recoverly_owner;
             create temp table refused (constraint_name text);
             do $$
             declare by_constraint text;
             begin
                {sql};
             exception when integrity_constraint_violation or check_violation or exclusion_violation then
                get stacked diagnostics by_constraint = constraint_name;
                insert into refused values (by_constraint);
             end $$"
        );
        let session = self.database.superuser().await;
        session.run(&asked).await;
        let refused = session.query("select constraint_name from refused").await;
        refused
            .first()
            .is_some_and(|row| row.get::<_, &str>("constraint_name") == constraint)
    }
}

#[tokio::test]
async fn a_consent_is_given_once_and_the_others_are_told() {
    let h = Harness::with_client("client-a").await;
    let given = h.call("client-a").post(OF_A, &share("contact-1")).await;
    assert_eq!((given.code(), given.at("/active")), (201, &json!(true)));
    assert_eq!(given.at("/scope"), "summary_card");
    for caller in [h.call("client-a"), h.call("app"), h.app_for("client-a")] {
        let again = caller.post(OF_A, &share("contact-1")).await;
        assert_eq!((again.code(), &again.bytes), (200, &given.bytes));
    }
    let told = h.events("core.consent.granted").await;
    assert_eq!(
        told,
        [json!({
            "consent_id": given.at("/consent_id"), "user_id": "client-a", "purpose": "family_share",
            "changed_at": given.at("/granted_at"),
        })],
        "neither whom it was given to nor what shows it"
    );
    assert_eq!(
        h.call("client-a").post(OF_A, &share("contact-2")).await.code(),
        201
    );
}

#[tokio::test]
async fn parallel_grants_are_one_consent() {
    let h = Harness::with_client("client-a").await;
    let caller = h.call("app");
    let answers = join_all((0..20).map(|_| {
        let caller = caller.clone();
        async move { caller.post(OF_A, &share("contact-1")).await.code() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|code| **code == 201).count(), 1);
    assert_eq!(answers.iter().filter(|code| **code == 200).count(), 19);
    assert_eq!(h.database.count("select count(*) from core.consents").await, 1);
}

#[tokio::test]
async fn other_terms_of_a_consent_that_stands_are_refused_until_it_is_revoked() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let given = client.post(OF_A, &share("contact-1")).await;
    for (field, value) in [
        ("scope", json!("periodic_updates")),
        ("scope", json!(null)),
        ("expires_at", json!("2099-01-01T00:00:00Z")),
        ("evidence", json!({"form": 8})),
    ] {
        let mut other = share("contact-1");
        other[field] = value;
        let refused = client.post(OF_A, &other).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (409, &json!("/problems/differs")),
            "{field}"
        );
    }
    let path = format!("/v1/consents/{}", given.at("/consent_id"));
    assert_eq!(client.delete(&path).await.code(), 204);
    let mut wider = share("contact-1");
    wider["scope"] = json!("periodic_updates");
    assert_eq!(client.post(OF_A, &wider).await.code(), 201);
}

#[tokio::test]
async fn a_revocation_acts_once_and_the_history_stays() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let given = client.post(OF_A, &share("contact-1")).await;
    let path = format!("/v1/consents/{}", given.at("/consent_id"));
    assert_eq!(client.delete(&path).await.code(), 204);
    let revoked = client.get(OF_A).await;
    for caller in [h.call("client-a"), h.app_for("client-a"), h.call("counselor")] {
        assert_eq!(caller.delete(&path).await.code(), 204, "again changes nothing");
    }
    assert_eq!(client.get(OF_A).await.bytes, revoked.bytes);
    assert_eq!(revoked.at("/items/0/active"), &json!(false));
    let told = h.events("core.consent.revoked").await;
    assert_eq!(told.len(), 1);
    assert_eq!(&told[0]["changed_at"], revoked.at("/items/0/revoked_at"));
    assert_eq!(client.post(OF_A, &share("contact-1")).await.code(), 201);
    assert_eq!(column(&client.get(OF_A).await, "active"), [true, false]);
    assert_eq!(
        column(&client.get(&format!("{OF_A}?active=true")).await, "active"),
        [true]
    );
}

#[tokio::test]
async fn a_consent_runs_out_by_itself_and_another_takes_its_place() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let ended = h
        .memory("now() - interval '2 days'", "now() - interval '1 day'", "null")
        .await;
    assert_eq!(column(&client.get(OF_A).await, "active"), [false]);
    let path = format!("/v1/consents/{ended}");
    assert_eq!(client.delete(&path).await.code(), 204);
    assert_eq!(
        client.get(OF_A).await.at("/items/0/revoked_at"),
        &Value::Null,
        "what is over is not revoked"
    );
    assert_eq!(h.events("core.consent.revoked").await.len(), 0);
    assert_eq!(client.post(OF_A, &json!({"purpose": "memory"})).await.code(), 201);
    assert_eq!(column(&client.get(OF_A).await, "active"), [true, false]);
}

#[tokio::test]
async fn consent_is_told_as_of_every_time() {
    let h = Harness::with_client("client-a").await;
    let day = |days: i64| format!("now() - interval '{days} days'");
    let first = h.memory(&day(50), &day(40), "null").await;
    let second = h.memory(&day(30), &day(5), &day(20)).await;
    let third = h.memory(&day(10), "null", "null").await;
    let now = Utc::now();
    for (days, holds, given) in [
        (55, None, vec![]),
        (45, Some(first), vec![first]),
        (35, None, vec![first]),
        (25, Some(second), vec![second, first]),
        (15, None, vec![second, first]),
        (0, Some(third), vec![third, second, first]),
    ] {
        let as_of = (now - TimeDelta::days(days)).format("%FT%TZ").to_string();
        let path = format!("{OF_A}?purpose=memory&as_of={as_of}");
        let client = h.call("client-a");
        let active = client.get(&format!("{path}&active=true")).await;
        let holds: Vec<i64> = holds.into_iter().collect();
        assert_eq!(column(&active, "consent_id"), holds, "{days} days ago");
        assert_eq!(column(&client.get(&path).await, "consent_id"), given);
        let asked = format!("select core.has_consent('client-a', 'memory', 'programme', '{as_of}') as given");
        assert_eq!(
            h.database.query(&asked).await[0].get::<_, bool>("given"),
            !holds.is_empty()
        );
    }
    for (query, pointer) in [
        ("as_of=2099-01-01T00:00:00Z", "?as_of"),
        ("as_of=2026-01-01T00:00:00", "?as_of"),
        ("purpose=advertising", "?purpose"),
        ("active=maybe", "?active"),
        ("state=active", "?state"),
    ] {
        let refused = h.call("client-a").get(&format!("{OF_A}?{query}")).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()])
        );
    }
}

#[tokio::test]
async fn counselors_show_that_the_person_consented() {
    let h = Harness::with_client("client-a").await;
    let counselor = h.call("counselor");
    for evidence in [json!(null), json!({})] {
        let mut unshown = share("contact-1");
        unshown["evidence"] = evidence;
        let refused = counselor.post(OF_A, &unshown).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/evidence".to_owned()])
        );
    }
    assert_eq!(h.database.count("select count(*) from core.consents").await, 0);
    let mut shown = share("contact-1");
    shown["evidence"] = json!({"form": "F-12", "signed_at": "2026-11-02"});
    let given = counselor.post(OF_A, &shown).await;
    assert_eq!((given.code(), given.at("/evidence/form")), (201, &json!("F-12")));
    let path = format!("/v1/consents/{}", given.at("/consent_id"));
    assert_eq!(
        counselor.delete(&path).await.code(),
        204,
        "no paper delays a revocation"
    );
}

#[tokio::test]
async fn every_fault_of_a_consent_is_named_at_once() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let bad = json!({
        "purpose": "advertising", "recipient": "", "scope": "x".repeat(101), "expires_at": "2026-01-01T00:00:00Z",
        "evidence": [], "granted_at": "2026-01-01T00:00:00Z", "active": true,
    });
    let refused = client.post(OF_A, &bad).await;
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(refused.code(), 422);
    assert_eq!(
        named,
        [
            "/active",
            "/evidence",
            "/expires_at",
            "/granted_at",
            "/purpose",
            "/recipient",
            "/scope"
        ]
    );
    for (body, pointer, code) in [
        (json!({}), "/purpose", 422),
        (
            json!({"purpose": "memory", "recipient": "clinic-1"}),
            "/recipient",
            422,
        ),
        (json!({"purpose": "family_share"}), "/recipient", 422),
        (
            json!({"purpose": "escalation_contact", "recipient": "programme"}),
            "/recipient",
            422,
        ),
        (json!({"purpose": "memory", "scope": "a\u{0}b"}), "/scope", 422),
        (
            json!({"purpose": "memory", "expires_at": "2026-01-01T00:00:00"}),
            "/expires_at",
            422,
        ),
        (
            json!({"purpose": "memory", "evidence": {"k": "x".repeat(17_000)}}),
            "/evidence",
            413,
        ),
    ] {
        let refused = client.post(OF_A, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (code, vec![pointer.to_owned()])
        );
    }
    assert_eq!(h.database.count("select count(*) from core.consents").await, 0);
}

#[tokio::test]
async fn nobody_consents_for_or_reads_of_somebody_else_s_client() {
    let mut h = Harness::with_client("client-a").await;
    h.client("client-b", &["counselor_other", "supervisor"]).await;
    let mut given = share("contact-1");
    given["evidence"] = json!({"form": 7});
    let of_b = "/v1/users/client-b/consents";
    let stored = h.call("client-b").post(of_b, &given).await;
    let path = format!("/v1/consents/{}", stored.at("/consent_id"));
    let strangers = [h.call("client-a"), h.app_for("client-a"), h.call("counselor")];
    for caller in &strangers {
        for answer in [
            caller.post(of_b, &given).await,
            caller.get(of_b).await,
            caller.delete(&path).await,
            caller.delete("/v1/consents/4711").await,
        ] {
            assert_eq!(
                (answer.code(), answer.at("/type")),
                (404, &json!("/problems/not-found"))
            );
        }
    }
    assert_eq!(h.call("supervisor").get(of_b).await.items().len(), 1);
    assert_eq!(h.call("supervisor").post(of_b, &given).await.code(), 403);
    assert_eq!(h.call("supervisor").delete(&path).await.code(), 403);
    for caller in ["oncall", "admin", "auditor", "pipeline", "service"] {
        for answer in [
            h.call(caller).post(of_b, &given).await,
            h.call(caller).get(of_b).await,
            h.call(caller).delete(&path).await,
        ] {
            assert_eq!(answer.code(), 403, "{caller}");
        }
    }
    assert_eq!(
        h.call("app").delete(&path).await.code(),
        400,
        "an app names the client"
    );
    assert_eq!(h.anonymous().get(of_b).await.code(), 401);
    let absent = h.call("app").post("/v1/users/nobody/consents", &given).await;
    assert_eq!(absent.code(), 404);
    assert_eq!(
        h.call("app").get("/v1/users/staff-admin/consents").await.code(),
        404
    );
    assert_eq!(
        h.database
            .count("select count(*) from core.consents where revoked_at is null")
            .await,
        1
    );
}

#[tokio::test]
async fn a_crisis_opens_no_consents() {
    let mut h = Harness::with_client("client-a").await;
    let given = h.call("client-a").post(OF_A, &share("contact-1")).await;
    h.client("client-b", &[]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    let helper = h.call("counselor_other");
    let mut more = share("contact-2");
    more["evidence"] = json!({"form": 7});
    assert_eq!(helper.get(OF_A).await.code(), 404);
    assert_eq!(helper.post(OF_A, &more).await.code(), 404);
    let path = format!("/v1/consents/{}", given.at("/consent_id"));
    assert_eq!(helper.delete(&path).await.code(), 404);
}

#[tokio::test]
async fn it_is_the_row_policy_that_keeps_another_counselor_from_revoking() {
    let h = Harness::with_client("client-a").await;
    let given = h.call("client-a").post(OF_A, &share("contact-1")).await;
    let path = format!("/v1/consents/{}", given.at("/consent_id"));
    assert_eq!(h.call("counselor_other").delete(&path).await.code(), 404);
    h.run("alter table core.consents disable row level security")
        .await;
    assert_eq!(h.call("counselor_other").delete(&path).await.code(), 204);
}

#[tokio::test]
async fn consents_come_page_by_page() {
    let h = Harness::with_client("client-a").await;
    for n in 1..=5 {
        h.call("client-a")
            .post(OF_A, &share(&format!("contact-{n}")))
            .await;
    }
    h.call("client-a").post(OF_A, &json!({"purpose": "memory"})).await;
    let client = h.call("client-a");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client
            .get(&format!("{OF_A}?purpose=family_share&limit=2{cursor}"))
            .await;
        seen.extend(column(&page, "recipient"));
        let Some(next) = page.at("/next_cursor").as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(
        seen,
        ["contact-5", "contact-4", "contact-3", "contact-2", "contact-1"]
    );
    for query in [
        "limit=0".to_owned(),
        "cursor=AAAA".to_owned(),
        format!("limit=2{cursor}"),
    ] {
        let refused = client.get(&format!("{OF_A}?{query}")).await;
        assert_eq!(refused.code(), 422, "a cursor is of one list and its filters");
    }
}

#[tokio::test]
async fn the_database_keeps_the_history_from_its_owner_too() {
    let h = Harness::with_client("client-a").await;
    let standing = h.memory("now() - interval '1 day'", "null", "null").await;
    for change in [
        "scope = 'all'",
        "expires_at = now() + interval '1 year'",
        "evidence = '{}'",
        "revoked_at = now(), recipient = 'clinic-1'",
        "revoked_by_request_id = 'r'",
    ] {
        let sql = format!("update core.consents set {change} where consent_id = {standing}");
        assert!(h.owner_is_refused(&sql, "ck_consents_history").await, "{change}");
    }
    let second = "insert into core.consents (user_id, purpose) values ('client-a', 'memory')";
    assert!(h.owner_is_refused(second, "ex_consents_active").await);
    h.run(&format!(
        "update core.consents set revoked_at = now() where consent_id = {standing}"
    ))
    .await;
    for change in ["revoked_at = null", "revoked_at = now() + interval '1 day'"] {
        let sql = format!("update core.consents set {change} where consent_id = {standing}");
        assert!(h.owner_is_refused(&sql, "ck_consents_history").await, "{change}");
    }
    let core = h.database.pools("core");
    for sql in [
        "delete from core.consents",
        "update core.consents set granted_at = now()",
    ] {
        let refused = core.worker_query(sql, &[]).await.expect_err(sql);
        assert!(
            matches!(&refused, db::Error::Refused { sqlstate, .. } if sqlstate == "42501"),
            "{refused}"
        );
    }
    h.run("delete from core.users where user_id = 'client-a'").await;
    assert_eq!(h.database.count("select count(*) from core.consents").await, 0);
}

#[tokio::test]
async fn every_service_asks_the_same_question_and_none_reads_the_evidence() {
    let h = Harness::with_client("client-a").await;
    h.memory("now() - interval '1 day'", "null", "null").await;
    let asked = "select core.has_consent('client-a', 'memory', 'programme') as given,
        core.has_consent('client-a', 'biometrics', 'programme') as other,
        core.has_consent('client-a', 'memory', 'clinic-1') as elsewhere";
    for service in ["core", "social", "risk", "reco", "causal"] {
        let pools = h.database.pools(service);
        let row = &pools.worker_query(asked, &[]).await.unwrap()[0];
        let answers = ["given", "other", "elsewhere"].map(|name| row.get::<_, bool>(name));
        assert_eq!(answers, [true, false, false], "{service}");
        for (staff_id, seen) in [("staff-counselor", true), ("staff-counselor_other", false)] {
            let actor = db::Actor::Staff(staff_id.to_owned());
            let row = &pools.read(&actor, asked, &[]).await.unwrap()[0];
            assert_eq!(row.get::<_, bool>("given"), seen, "{service} for {staff_id}");
        }
        if service != "core" {
            testkit::serving::may_read_none_of(
                &pools,
                &[
                    "select evidence from core.consents",
                    "update core.consents set revoked_at = now()",
                ],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_transaction_that_began_before_the_revocation_finds_no_consent_after_it() {
    let h = Harness::with_client("client-a").await;
    let standing = h.memory("now() - interval '1 day'", "null", "null").await;
    let core = h.database.pools("core");
    let tx = core.begin_worker().await.unwrap();
    let asked = "select core.has_consent('client-a', 'memory', 'programme') as given,
        core.has_consent('client-a', 'memory', 'programme', now()) as given_at_its_beginning";
    assert!(tx.query_one(asked, &[]).await.unwrap().get::<_, bool>("given"));
    let began: DateTime<Utc> = tx.query_one("select now()", &[]).await.unwrap().get("now");
    h.call("client-a")
        .delete(&format!("/v1/consents/{standing}"))
        .await;
    let row = tx.query_one(asked, &[]).await.unwrap();
    assert!(!row.get::<_, bool>("given"));
    assert!(row.get::<_, bool>("given_at_its_beginning"), "at {began}");
}

#[tokio::test]
async fn no_service_says_when_a_consent_or_a_disclosure_was() {
    let h = Harness::with_client("client-a").await;
    for role in ["recoverly_core", "recoverly_core_worker"] {
        for (table, columns) in [
            (
                "consents",
                "user_id, purpose, granted_at) values ('client-a', 'memory', now()",
            ),
            (
                "consents",
                "user_id, purpose, revoked_at) values ('client-a', 'memory', now()",
            ),
            (
                "disclosures",
                "user_id, recipient, what, notice, at) values ('client-a', 'x', 'x', 'x', now()",
            ),
        ] {
            h.run(&format!(
                "set role {role};
                 do $$ begin insert into core.{table} ({columns}); raise exception 'it was taken';
                 exception when insufficient_privilege then null; end $$"
            ))
            .await;
        }
    }
    let consent = h.memory("now() - interval '2 days'", "null", "null").await;
    h.run(&format!(
        "update core.consents set revoked_at = now() - interval '1 day' where consent_id = {consent}"
    ))
    .await;
    let now = "select count(*) from core.consents where revoked_at > now() - interval '1 minute'";
    assert_eq!(
        h.database.count(now).await,
        1,
        "a consent is not taken back in the past"
    );
}
