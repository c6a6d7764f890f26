//! Leaving: what goes, what stays, and who is told.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Client, TestBus};
use uuid::Uuid;

use crate::harness::{Harness, message};
use crate::memories::{fact, path_of};

/// Who is gone.
const GONE: (u16, &str) = (410, "/problems/gone");

fn told(answer: &Answer) -> (u16, &str) {
    (answer.code(), answer.at("/type").as_str().unwrap_or_default())
}

fn opt_out(user_id: &str) -> String {
    format!("/v1/users/{user_id}/opt-out")
}

/// The same caller with a key of its own.
fn keyed(caller: &Client) -> Client {
    caller.with_header("idempotency-key", &Uuid::now_v7().to_string())
}

impl Harness {
    /// Plants what a client leaves behind in every schema.
    async fn life(&self, user_id: &str) {
        self.messages(user_id, 3).await;
        self.run(&format!(
            "insert into social.nudges (user_id, nudge_type, nudge_message, risk_level, expires_at, status)
             values ('{user_id}', 'check_in', 'text', 'LOW_RISK', now() + interval '1 day', 'sent');
             insert into social.escalations (user_id, escalation_type, urgency, risk_level, risk_score, trigger_reason,
                trigger_data, resolution_notes, status, acknowledged_by, acknowledged_at, ack_expires_at)
             values ('{user_id}', 'manual', 'high', 'HIGH_RISK', 0.9, 'why', '{{\"why\": 1}}', 'notes', 'acknowledged',
                'staff-counselor', now(), now());
             insert into social.contacts (client_id, staff_id, method, outcome, notes)
             values ('{user_id}', 'staff-counselor', 'call', 'spoke', 'notes');
             insert into social.outbox (event_id, event_type, subject, data)
             values (gen_random_uuid(), 'social.nudge.created', '{user_id}', '{{\"user_id\": \"{user_id}\"}}');
             insert into risk.daily_engagement (user_id, day, messages, last_message_at)
             values ('{user_id}', '2026-01-01', 1, now());
             insert into reco.client_state (user_id, current_risk_label, risk_trend, computed_at)
             values ('{user_id}', 'LOW_RISK', 'stable', now());
             insert into causal.daily_risk (user_id, day, predictions, risk_score_sum_millionths)
             values ('{user_id}', '2026-01-01', 1, 1)"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_client_who_leaves_is_gone_from_every_schema_and_their_token_with_them() {
    let mut h = Harness::new().await;
    h.client("client-leaving", &["counselor"]).await;
    h.client("client-staying", &["counselor"]).await;
    h.life("client-leaving").await;
    h.life("client-staying").await;
    let staying = h.traces("client-staying").await;
    let left = h.call("client-leaving").delete(&opt_out("client-leaving")).await;
    assert_eq!(left.code(), 200, "{}", left.json);
    for (table, rows) in [
        ("core.users", 1),
        ("core.messages", 3),
        ("core.access_tokens", 1),
        ("core.caseload_assignments", 1),
        ("social.nudges", 1),
        ("social.contacts", 1),
        ("social.outbox", 1),
        ("social.user_risk_profiles", 1),
        ("risk.daily_engagement", 1),
        ("reco.client_state", 1),
        ("causal.daily_risk", 1),
    ] {
        assert_eq!(left.at("/counts/removed")[table], json!(rows), "{table}");
    }
    assert_eq!(left.at("/counts/kept"), &json!({"social.escalations": 1}));
    assert_eq!(h.traces_in_short("client-leaving").await, ["core.outbox 1"]);
    assert_eq!(h.events("core.user.erased").await[0]["user_id"], "client-leaving");
    assert_eq!(h.traces("client-staying").await, staying);
    let again = h.call("client-leaving").delete(&opt_out("client-leaving")).await;
    assert_eq!(again.code(), 401);
}

#[tokio::test]
async fn an_escalation_stays_for_its_term_without_user_reason_data_and_notes() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.life("client-a").await;
    assert_eq!(h.call("admin").delete(&opt_out("client-a")).await.code(), 200);
    let rows = h
        .database
        .query(
            "select status, urgency, resolved_at is not null as closed,
                num_nonnulls(user_id, risk_score, trigger_reason, trigger_data, resolution_notes) as told
             from social.escalations",
        )
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (
            rows[0].get::<_, &str>("status"),
            rows[0].get::<_, &str>("urgency")
        ),
        ("cancelled", "high")
    );
    assert_eq!(
        (rows[0].get::<_, bool>("closed"), rows[0].get::<_, i32>("told")),
        (true, 0)
    );
}

#[tokio::test]
async fn an_erasure_is_recorded_by_its_keyed_hash_and_never_taken_back() {
    let mut h = Harness::new().await;
    for id in ["client-a", "client-b", "client-c"] {
        h.client(id, &[]).await;
    }
    for (caller, id) in [
        ("client-a", "client-a"),
        ("app", "client-b"),
        ("admin", "client-c"),
    ] {
        assert_eq!(h.call(caller).delete(&opt_out(id)).await.code(), 200, "{caller}");
    }
    let rows = h
        .database
        .query(
            "select requested_by, staff_id, client_id, octet_length(user_id_hmac) as bytes, completed_at >= requested_at as done,
                user_id_hmac = sha256('client-a') as bare, (counts -> 'removed' ->> 'core.users')::int4 as users
             from core.erasures order by erasure_id",
        )
        .await;
    let by: Vec<(&str, Option<&str>, Option<&str>)> = rows
        .iter()
        .map(|row| (row.get("requested_by"), row.get("staff_id"), row.get("client_id")))
        .collect();
    assert_eq!(
        by,
        [
            ("self", None, None),
            ("app", None, Some("program-app")),
            ("admin", Some("staff-admin"), None)
        ]
    );
    for row in &rows {
        assert_eq!(
            (row.get::<_, i32>("bytes"), row.get::<_, bool>("bare")),
            (32, false)
        );
        assert_eq!(
            (row.get::<_, bool>("done"), row.get::<_, i32>("users")),
            (true, 1)
        );
    }
    let pools = h.database.pools("core");
    for change in [
        "delete from core.erasures",
        "update core.erasures set user_id_hmac = sha256('x')",
    ] {
        let refused = pools.worker_query(change, &[]).await.unwrap_err();
        assert!(
            matches!(&refused, db::Error::Refused { sqlstate, .. } if sqlstate == "42501"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn leaving_is_for_the_person_their_app_and_admins() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &[]).await;
    for caller in [
        "counselor",
        "oncall",
        "supervisor",
        "auditor",
        "pipeline",
        "service",
    ] {
        assert_eq!(
            h.call(caller).delete(&opt_out("client-a")).await.code(),
            403,
            "{caller}"
        );
    }
    assert_eq!(h.anonymous().delete(&opt_out("client-a")).await.code(), 401);
    for (caller, id) in [
        (h.call("client-b"), "client-a"),
        (h.call("client-b"), "nobody"),
        (h.app_for("client-b"), "client-a"),
        (h.call("app"), "nobody"),
        (h.call("app"), "staff-counselor"),
        (h.call("admin"), "nobody"),
    ] {
        assert_eq!(caller.delete(&opt_out(id)).await.code(), 404, "{id}");
    }
    let own = h.call("admin").delete(&opt_out("staff-admin")).await;
    assert_eq!(told(&own), (409, "/problems/wrong-state"));
    let body = h
        .call("admin")
        .send(
            Method::DELETE,
            &opt_out("client-a"),
            Some(b"{\"why\": 1}".to_vec()),
        )
        .await;
    assert_eq!(body.code(), 422);
    assert_eq!(h.database.count("select count(*) from core.users").await, 8);
    assert_eq!(h.database.count("select count(*) from core.erasures").await, 0);
}

#[tokio::test]
async fn who_was_erased_is_gone_for_apps_and_admins_and_was_never_there_for_others() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    assert_eq!(
        h.app_for("client-a").delete(&opt_out("client-a")).await.code(),
        200
    );
    for caller in [h.call("app"), h.app_for("client-a"), h.call("admin")] {
        assert_eq!(told(&caller.delete(&opt_out("client-a")).await), GONE);
        assert_eq!(told(&caller.get("/v1/users/client-a").await), GONE);
        assert_eq!(told(&caller.get("/v1/users/client-a/export").await), GONE);
    }
    let assigned = h
        .call("admin")
        .put("/v1/caseload/staff-counselor/client-a", &json!({}))
        .await;
    assert_eq!(told(&assigned), GONE);
    assert_eq!(
        told(&h.app_for("client-a").get("/v1/messages/1").await),
        GONE,
        "named in the header"
    );
    assert_eq!(
        told(
            &h.call("app")
                .post("/v1/messages", &message("client-a", "text"))
                .await
        ),
        GONE,
        "named in the body"
    );
    for caller in ["app", "admin"] {
        assert_eq!(
            h.call(caller).get("/v1/users/nobody").await.code(),
            404,
            "{caller}: nobody of this name was erased"
        );
    }
    let caller = h.call("counselor");
    let (erased, absent) = (
        caller.get("/v1/users/client-a").await,
        caller.get("/v1/users/nobody").await,
    );
    assert_eq!((erased.code(), absent.code()), (404, 404));
    assert_eq!(erased.at("/detail"), absent.at("/detail"));
}

#[tokio::test]
async fn somebody_who_comes_back_under_the_same_id_is_there_again() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    assert_eq!(h.call("app").delete(&opt_out("client-a")).await.code(), 200);
    let account = json!({"user_id": "client-a", "kind": "client"});
    assert_eq!(h.call("app").post("/v1/users", &account).await.code(), 201);
    assert_eq!(h.call("app").get("/v1/users/client-a").await.code(), 200);
    assert_eq!(h.call("app").delete(&opt_out("client-a")).await.code(), 200);
    assert_eq!(h.database.count("select count(*) from core.erasures").await, 2);
}

#[tokio::test]
async fn kept_answers_about_somebody_go_with_them_whoever_asked() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &["counselor"]).await;
    for id in ["client-a", "client-b"] {
        for caller in [h.call("counselor"), h.call(id), h.call("app"), h.app_for(id)] {
            let stored = keyed(&caller).post("/v1/messages", &message(id, "text")).await;
            assert_eq!(stored.code(), 201);
        }
        let assigned = keyed(&h.call("admin"))
            .put(&format!("/v1/caseload/staff-counselor_other/{id}"), &json!({}))
            .await;
        assert_eq!(assigned.code(), 201);
    }
    let of_both = json!({"items": [message("client-a", "text"), message("client-b", "text")]});
    assert_eq!(
        keyed(&h.call("app"))
            .post("/v1/messages:batch", &of_both)
            .await
            .code(),
        200
    );
    let kept = "select count(*) from core.idempotency_keys";
    assert_eq!(h.database.count(kept).await, 11);
    let left = keyed(&h.call("app")).delete(&opt_out("client-a")).await;
    assert_eq!(left.at("/counts/removed")["core.idempotency_keys"], json!(6));
    assert_eq!(h.database.count(kept).await, 5, "those about the other alone");
    assert_eq!(h.traces_in_short("client-a").await, ["core.outbox 1"]);
}

#[tokio::test]
async fn dead_letters_go_also_those_that_nobody_could_read_and_none_comes_after() {
    let mut h = Harness::new().await;
    h.client("client-1", &[]).await;
    h.client("client-10", &[]).await;
    let letter = |subject: &str, body: &str| {
        format!(
            "insert into social.dead_letters (consumer, event_id, subject, body, body_hash, reason, attempts)
             values ('social', gen_random_uuid(), {subject}, '{body}', sha256('{body}'), 'broken', 5);"
        )
    };
    let letters = [
        letter("'client-1'", "{}"),
        letter("'client-10'", "{}"),
        letter("null", "{\"user_id\": \"client-1\", "),
        letter("null", "{\"user_id\": \"client-10\", "),
        letter("null", "client-1"),
    ];
    h.run(&letters.concat()).await;
    let left = h.call("admin").delete(&opt_out("client-1")).await;
    assert_eq!(left.at("/counts/removed")["social.dead_letters"], json!(3));
    h.run(&letters[0]).await;
    let kept = "select count(*) from social.dead_letters";
    assert_eq!(
        h.database.count(kept).await,
        2,
        "the neighbour's are kept, the late one is not"
    );
}

#[tokio::test]
async fn the_farewell_stays_until_it_is_delivered_and_no_longer() {
    let bus = TestBus::new().await;
    let mut h = Harness::with_broker(bus.url()).await;
    h.client("client-a", &[]).await;
    h.call("client-a")
        .post("/v1/messages", &message("client-a", "text"))
        .await;
    assert_eq!(h.call("client-a").delete(&opt_out("client-a")).await.code(), 200);
    assert_eq!(h.traces_in_short("client-a").await, ["core.outbox 1"]);
    let published = h.app.relay().drain().await.unwrap();
    assert_eq!(published.published, 1, "the message's own event went unsent");
    assert_eq!(h.traces_in_short("client-a").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_member_of_staff_who_is_erased_leaves_clients_and_open_episodes_behind() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.life("client-a").await;
    h.run("update social.escalations set acknowledged_by = 'staff-oncall', escalated_to = 'staff-oncall'")
        .await;
    h.run(
        "insert into core.messages (user_id, message_text, conversation_type, recipient_id)
           values ('client-a', 'to staff', 'counselor', 'staff-oncall')",
    )
    .await;
    let left = h.call("admin").delete(&opt_out("staff-oncall")).await;
    assert_eq!(left.code(), 200);
    assert_eq!(left.at("/counts/kept")["core.messages"], json!(1));
    assert_eq!(h.traces_in_short("staff-oncall").await, ["core.outbox 1"]);
    let rows = h
        .database
        .query("select user_id, status, acknowledged_by from social.escalations")
        .await;
    assert_eq!(rows[0].get::<_, Option<&str>>("user_id"), Some("client-a"));
    assert_eq!(
        rows[0].get::<_, &str>("status"),
        "notified",
        "it wants an answer again"
    );
    assert_eq!(
        h.database
            .count("select count(*) from core.messages where user_id = 'client-a'")
            .await,
        4
    );
}

#[tokio::test]
async fn a_write_that_meets_an_erasure_finds_nobody_and_breaks_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    // What a handler sees when the account goes between its look and its write.
    let pools = h.database.pools("core");
    let insert =
        "insert into core.caseload_assignments (client_id, staff_id) values ('nobody', 'staff-counselor')";
    let error = pools.worker_query(insert, &[]).await.unwrap_err();
    assert_eq!(web::Problem::from(error).code(), web::Code::NotFound);
}

#[tokio::test]
async fn an_erasure_waits_for_whoever_works_on_the_client_and_holds_nothing_that_they_need() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let working = h.database.superuser().await;
    working
        .run(
            "begin; set local lock_timeout = '500ms';
             select from social.user_risk_profiles where user_id = 'client-a' for update",
        )
        .await;
    let erasing = h.call("admin");
    let work = async {
        h.so_many_wait(1).await;
        working
            .run(
                "insert into social.nudges (user_id, nudge_type, nudge_message, risk_level, expires_at)
                 values ('client-a', 'check_in', 'text', 'LOW_RISK', now());
                 insert into social.outbox (event_id, event_type, subject, data)
                 values (gen_random_uuid(), 'social.nudge.created', 'client-a', '{}');
                 commit",
            )
            .await;
    };
    let path = opt_out("client-a");
    let (left, ()) = tokio::join!(erasing.delete(&path), work);
    assert_eq!(left.code(), 200, "{}", left.json);
    assert_eq!(left.at("/counts/removed")["social.nudges"], json!(1));
    assert_eq!(h.traces_in_short("client-a").await, ["core.outbox 1"]);
}

#[tokio::test]
async fn what_somebody_was_writing_when_the_erasure_began_is_found_by_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.life("client-a").await;
    let viewing = h.database.superuser().await;
    viewing
        .run(
            "begin;
             update social.nudges set status = 'viewed' where user_id = 'client-a';
             insert into social.outbox (event_id, event_type, subject, data)
             values (gen_random_uuid(), 'social.nudge.viewed', 'client-a', '{}');
             insert into social.idempotency_keys (principal, key, request_hash, people)
             values ('app:x/client:client-a', 'k', '', array['client-a'])",
        )
        .await;
    let erasing = h.call("app");
    let view = async {
        h.so_many_wait(1).await;
        viewing.run("commit").await;
    };
    let path = opt_out("client-a");
    let (left, ()) = tokio::join!(erasing.delete(&path), view);
    assert_eq!(left.code(), 200, "{}", left.json);
    assert_eq!(h.traces_in_short("client-a").await, ["core.outbox 1"]);
}

/// What a companion keeps of a client: a memory, a collection, and a reply.
struct Companion {
    memory: String,
    collection: String,
    reply: i64,
}

impl Companion {
    async fn of(h: &Harness, id: &str) -> Self {
        h.run(&format!(
            "insert into core.consents (user_id, purpose) values ('{id}', 'memory'), ('{id}', 'biometrics');
             insert into core.messages (user_id, message_text, conversation_type, sender_role)
             values ('{id}', 'reply', 'assistant', 'assistant')"
        ))
        .await;
        let memory = h.remember(id, &fact("one")).await;
        let goal = json!({"collection_type": "goal", "name": "a flat"});
        let collections = format!("/v1/users/{id}/collections");
        let made = h.app_for(id).post(&collections, &goal).await;
        let reply = format!(
            "select message_id from core.messages where user_id = '{id}' and sender_role = 'assistant'"
        );
        let rows = h.database.query(&reply).await;
        Self {
            memory: path_of(&memory),
            collection: format!(
                "{collections}/{}/items/{}",
                made.at("/id").as_str().unwrap(),
                memory.at("/id").as_str().unwrap()
            ),
            reply: rows[0].get("message_id"),
        }
    }

    /// All that is done with it, and by whom; each with a key of its own.
    fn writes(self, h: &Harness, id: &str) -> Vec<(Client, Method, String, Value)> {
        let (app, counselor) = (h.app_for(id), h.call("counselor"));
        let mut face = vec![0; 512];
        face[0] = 1;
        let face = json!({"model_name": "face-512", "idempotency_hash": "one", "embedding": face});
        let embedding = json!({"embedding": vec![1; 1_536]});
        let verdict = json!({"is_mistake": true});
        let of = |noun: &str| format!("/v1/users/{id}/{noun}");
        let embed = format!("{}/embeddings/text-1536", self.memory);
        let review = format!("/v1/messages/{}/review", self.reply);
        vec![
            (keyed(&app), Method::POST, of("memories"), fact("two")),
            (keyed(&app), Method::PUT, embed, embedding),
            (
                keyed(&app),
                Method::PATCH,
                self.memory,
                json!({"content": "other"}),
            ),
            (keyed(&app), Method::PUT, self.collection, json!({})),
            (keyed(&app), Method::POST, of("face-embeddings"), face),
            (keyed(&counselor), Method::POST, review, verdict),
        ]
    }
}

/// What a client shares with family meanwhile, and that they take the consent back.
async fn family(core: &Harness, social: &Client, id: &str) -> Vec<(Client, Method, String, Value)> {
    core.run(&format!(
        "with given as (
            insert into core.consents (user_id, purpose, recipient) values ('{id}', 'family_share', 'contact-1')
            returning consent_id, user_id),
         detail as (
            insert into social.family_share_consents (consent_id, user_id, contact_label, consent_scope)
            select consent_id, user_id, 'my sister', 'summary_card' from given)
         insert into social.family_share_cards (consent_id, user_id, title, body)
         select consent_id, user_id, '{id}', 'text' from given"
    ))
    .await;
    let card = format!("select card_id, consent_id from social.family_share_cards where user_id = '{id}'");
    let rows = core.database.query(&card).await;
    let (card_id, consent_id): (i64, i64) = (rows[0].get("card_id"), rows[0].get("consent_id"));
    let another = json!({"consent_id": consent_id, "title": "another", "body": id});
    let cards = format!("/v1/users/{id}/family-cards");
    let share = format!("/v1/family-cards/{card_id}/share");
    let revoke = format!("/v1/consents/{consent_id}");
    vec![
        (keyed(social), Method::POST, cards, another),
        (keyed(social), Method::POST, share, json!({})),
        (keyed(&core.app_for(id)), Method::DELETE, revoke, Value::Null),
    ]
}

/// Everything that anybody does with a client at once, and two who erase them.
async fn round(core: &Harness, social: &service::Service, number: usize) {
    let id = format!("round-{number}");
    let calls = |name: &str| Client::new(&social.base_url()).with_token(core.principals.token(name));
    let rows = core
        .database
        .query(&format!(
            "select m.message_id, n.nudge_id from core.messages m join social.nudges n on n.user_id = m.user_id
             where m.user_id = '{id}' limit 1"
        ))
        .await;
    let (message_id, nudge_id): (i64, i64) = (rows[0].get("message_id"), rows[0].get("nudge_id"));
    let scores = json!({
        "p_craving": 0.9, "p_relapse": 0.9, "p_negative_mood": 0.9, "p_neutral": 0.0, "p_toxic": 0.0, "p_isolation": 0.9,
        "model_version": "m1",
    });
    let nudge = json!({"nudge_type": "check_in", "nudge_message": "text"});
    let finding = json!({"risk_level": "high", "rationale": id});
    let answers = json!({
        "answered_at": "2026-06-15T08:00:00Z", "wish_to_be_dead": false, "suicidal_thoughts": false,
        "thoughts_of_method": false, "intent": true, "plan_with_intent": false, "behaviour": "never",
    });
    let post = |caller: &Client, path: String, body: Value| (keyed(caller), Method::POST, path, body);
    let of_message = |noun: &str| format!("/v1/messages/{message_id}/{noun}");
    let assign = format!("/v1/caseload/staff-counselor_other/{id}");
    let mut writes = vec![
        post(
            &core.call("counselor"),
            "/v1/messages".to_owned(),
            message(&id, "text"),
        ),
        post(&calls("pipeline"), of_message("predictions"), scores),
        post(&calls("pipeline"), of_message("safety-event"), finding),
        post(&calls(&id), format!("/v1/users/{id}/screener-answers"), answers),
        post(&calls(&id), format!("/v1/nudges/{nudge_id}/viewed"), json!({})),
        post(&calls("counselor"), format!("/v1/users/{id}/nudges"), nudge),
        (keyed(&core.call("admin")), Method::PUT, assign, json!({})),
    ];
    writes.extend(Companion::of(core, &id).await.writes(core, &id));
    writes.extend(family(core, &calls(&id), &id).await);
    for eraser in ["app", "admin"] {
        writes.push((core.call(eraser), Method::DELETE, opt_out(&id), Value::Null));
    }
    let count = writes.len();
    writes.rotate_left(number % count);
    let sent = writes.iter().map(|(caller, method, path, body)| {
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        caller.send(method.clone(), path, body)
    });
    let answers = futures::future::join_all(sent).await;
    let codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    let erased = answers
        .iter()
        .filter(|answer| answer.at("/counts") != &Value::Null);
    assert_eq!(erased.count(), 1, "{codes:?}");
    let known = [200, 201, 204, 401, 403, 404, 410];
    assert!(
        codes.iter().all(|code| known.contains(code)),
        "round {number}: {codes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_that_race_an_erasure_resurrect_nothing() {
    const ROUNDS: usize = 25;
    let mut h = Harness::new().await;
    let settings = service::Settings::for_testing(
        "social",
        h.database.url("social"),
        "amqp://127.0.0.1:1/none".into(),
    );
    let metrics = telemetry::Metrics::isolated("social").unwrap();
    let social = social_service::start(
        &settings,
        &social_service::Config::default(),
        service::Clock::database(),
        metrics,
    )
    .unwrap();
    for number in 0..ROUNDS {
        let id = format!("round-{number}");
        h.client(&id, &["counselor"]).await;
        h.life(&id).await;
        round(&h, &social, number).await;
    }
    let farewells = format!("core.outbox {ROUNDS}");
    assert_eq!(h.traces_in_short("round-").await, [farewells]);
    assert_eq!(
        h.events("core.user.erased").await.len(),
        ROUNDS,
        "nothing else waits to be sent"
    );
    social.stop().await;
}
