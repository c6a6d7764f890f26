//! What the audit holds, and that nobody can change it unseen.

use core_service::Config;
use serde_json::{Value, json};

use crate::harness::{Harness, message};
use crate::memories::{fact, patch, path_of};

/// A client with some rows about them, all sealed; returns how many rows there are.
pub(crate) async fn sealed(h: &mut Harness, rows: usize) -> i64 {
    h.client("c1", &["counselor"]).await;
    h.run(&format!(
        "select core.write_audit((select jsonb_agg(jsonb_build_object(
             'event_type', 'read', 'actor', 'staff-counselor', 'actor_kind', 'staff', 'people', array['c1'],
             'action', 'GET /v1/users/{{user_id}}/messages', 'object_type', 'messages', 'decision', 'allow',
             'request_id', 'r' || n)) from generate_series(1, {rows}) n))"
    ))
    .await;
    h.app.round("seal").await.unwrap();
    h.database.count("select count(*) from core.audit_events").await
}

impl Harness {
    /// As `recoverly-core verify-audit` does; what it prints, or why it failed.
    pub(crate) async fn verify_by_command(&self) -> Result<String, String> {
        let (db, mut out) = (self.database.pools("core"), Vec::new());
        let sealing = Config::for_testing(self.anchor.clone()).audit;
        let verified = core_service::admin::audit::verify(&db, sealing, 10, &mut out).await;
        verified.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }
}

pub(crate) async fn verify(h: &Harness) -> Value {
    let report = h.call("auditor").get("/v1/audit-events/verify").await;
    assert_eq!(report.code(), 200, "{:?}", report.json);
    report.json
}

#[tokio::test]
async fn a_read_says_who_saw_whom_and_by_what_right() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    h.messages("c1", 1).await;
    h.call("counselor").get("/v1/users/c1/messages").await;
    let rows = h.audited("true").await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["action"], "GET /v1/users/{user_id}/messages");
    assert_eq!(row["event_type"], "read");
    assert_eq!(row["object_type"], "messages");
    assert_eq!(row["decision"], "allow");
    assert_eq!(row["purpose"], "caseload");
    assert_eq!(row["who"], "staff-counselor");
    assert_eq!(row["people"], json!(["c1"]));
}

#[tokio::test]
async fn the_answer_and_its_row_carry_the_same_request_id() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    let answer = h.call("c1").get("/v1/users/c1").await;
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let rows = h.audited("true").await;
    assert_eq!(rows[0]["request_id"], id);
    assert_eq!(rows[0]["purpose"], "self");
}

#[tokio::test]
async fn no_row_has_an_id_that_a_caller_made_up() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    let client = h.call("c1").with_header("x-request-id", "c1");
    let stored = client.post("/v1/messages", &message("c1", "hello")).await;
    assert_eq!(stored.headers["x-request-id"], "c1", "it comes back");
    assert_eq!(client.get("/v1/users/c2").await.at("/request_id"), &json!("c1"));
    let ours = "select count(*) from (select request_id from core.audit_events union all
         select request_id from core.messages) as r where r.request_id ~ '^[0-9a-f-]{36}$'";
    assert_eq!(h.database.count(ours).await, 3);
}

#[tokio::test]
async fn a_row_holds_no_id_of_a_person() {
    let mut h = Harness::new().await;
    h.client("c1-very-own-id", &["counselor"]).await;
    h.call("counselor")
        .with_header("x-request-id", "c1-very-own-id")
        .get("/v1/users/c1-very-own-id/messages")
        .await;
    h.call("c1-very-own-id").get("/v1/users/c1-very-own-id").await;
    h.call("counselor_other").get("/v1/users/c1-very-own-id").await;
    h.call("admin")
        .put("/v1/caseload/staff-counselor_other/c1-very-own-id", &json!({}))
        .await;
    let rows = h
        .database
        .query("select e::text as row from core.audit_events e")
        .await;
    assert_eq!(rows.len(), 4);
    for row in rows {
        let row: String = row.get("row");
        assert!(!row.contains("very-own-id") && !row.contains("staff-"), "{row}");
    }
}

#[tokio::test]
async fn a_write_leaves_its_row_in_its_transaction() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    let stored = h.call("c1").post("/v1/messages", &message("c1", "hello")).await;
    assert_eq!(stored.code(), 201);
    let rows = h.audited("true").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["event_type"], "write");
    assert_eq!(rows[0]["people"], json!(["c1"]));
    let same = "select count(*) from core.audit_events e, core.messages m where e.xmin = m.xmin";
    assert_eq!(h.database.count(same).await, 1);
}

#[tokio::test]
async fn writes_of_memories_and_profiles_are_looked_for_by_words_of_their_own() {
    let h = Harness::remembering("c1").await;
    let client = h.call("c1");
    let memories = "/v1/users/c1/memories";
    let memory = h.remember("c1", &fact("90 days sober")).await;
    let corrected = patch(&client, &path_of(&memory), &json!({"content": "relapsed in May"})).await;
    client.get(memories).await;
    client.delete(&path_of(&corrected)).await;
    client.post("/v1/users/c2/memories", &fact("not mine")).await;
    client
        .put("/v1/users/c1/profile/pet", &json!({"profile_value": "a cat"}))
        .await;
    for (word, expected) in [
        (
            "memory_write",
            &[
                ("POST /v1/users/{user_id}/memories", "deny"),
                ("DELETE /v1/memories/{memory_id}", "allow"),
                ("PATCH /v1/memories/{memory_id}", "allow"),
                ("POST /v1/users/{user_id}/memories", "allow"),
            ][..],
        ),
        (
            "user_profile_update",
            &[("PUT /v1/users/{user_id}/profile/{key}", "allow")],
        ),
        ("write", &[]),
    ] {
        let path = format!("/v1/audit-events?event_type={word}");
        let items = h.call("auditor").get(&path).await.items();
        let told = |row: &Value| (row["action"].clone(), row["decision"].clone());
        let expected: Vec<_> = expected
            .iter()
            .map(|(action, decision)| (json!(action), json!(decision)))
            .collect();
        assert_eq!(items.iter().map(told).collect::<Vec<_>>(), expected, "{word}");
    }
}

#[tokio::test]
async fn a_write_that_cannot_be_audited_is_not_made() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    h.run("revoke execute on function core.write_audit(jsonb) from recoverly_core, recoverly_core_worker")
        .await;
    let refused = h.call("c1").post("/v1/messages", &message("c1", "hello")).await;
    assert!(refused.code() >= 500);
    assert_eq!(h.database.count("select count(*) from core.messages").await, 0);
}

#[tokio::test]
async fn a_read_that_cannot_be_audited_shows_nothing() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    h.messages("c1", 1).await;
    h.run("revoke execute on function core.write_audit(jsonb) from recoverly_core")
        .await;
    let refused = h.call("counselor").get("/v1/users/c1/messages").await;
    assert_eq!(refused.code(), 503);
    assert!(refused.at("/items").is_null());
    let hidden = h.call("counselor_other").get("/v1/users/c1/messages").await;
    assert_eq!(hidden.code(), 503);
}

#[tokio::test]
async fn by_what_right_it_was_is_found_and_not_told() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    h.run(
        "select core.write_audit(jsonb_build_array(jsonb_build_object('event_type', 'read', 'actor', 'staff-counselor',
             'actor_kind', 'staff', 'people', array['c1'], 'action', 'x', 'decision', 'allow', 'purpose', 'caseload')))",
    )
    .await;
    assert_eq!(h.audited("true").await[0]["purpose"], Value::Null);
}

#[tokio::test]
async fn a_refusal_is_a_row_too() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    assert_eq!(
        h.call("counselor_other")
            .get("/v1/users/c1/messages")
            .await
            .code(),
        404
    );
    assert_eq!(h.call("auditor").get("/v1/users/c1/messages").await.code(), 403);
    let rows = h.audited("e.decision = 'deny'").await;
    let reasons: Vec<&Value> = rows.iter().map(|row| &row["reason"]).collect();
    assert_eq!(reasons, ["not-found", "forbidden"]);
    for row in &rows {
        assert_eq!(row["people"], json!(["c1"]));
        assert!(row["purpose"].is_null());
    }
}

#[tokio::test]
async fn an_answer_that_is_shown_again_is_a_row_again() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    let app = h.call("c1").with_header("idempotency-key", "k1");
    app.post("/v1/messages", &message("c1", "hello")).await;
    app.post("/v1/messages", &message("c1", "hello")).await;
    let rows = h.audited("true").await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["reason"], "replayed");
}

#[tokio::test]
async fn a_pipeline_that_leases_messages_is_on_record_for_each_author() {
    let mut h = Harness::new().await;
    for client in ["c1", "c2"] {
        h.client(client, &[]).await;
        h.messages(client, 2).await;
    }
    let lease = json!({"limit": 10, "model_version": "v1", "lease_seconds": 60});
    h.call("pipeline").post("/v1/messages:lease", &lease).await;
    let rows = h.audited("true").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["people"], json!(["c1", "c2"]));
    assert_eq!(rows[0]["actor"], "program-pipeline");
}

#[tokio::test]
async fn sixteen_reads_at_once_are_sixteen_rows() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    let counselor = h.call("counselor");
    let reads = (0..16).map(|_| counselor.get("/v1/users/c1"));
    for answer in futures::future::join_all(reads).await {
        assert_eq!(answer.code(), 200);
    }
    assert_eq!(h.audited("e.purpose = 'caseload'").await.len(), 16);
}

#[tokio::test]
async fn a_client_reads_who_saw_them_and_nobody_else_does() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    h.client("c2", &["counselor"]).await;
    h.call("counselor").get("/v1/users/c1").await;
    h.call("counselor").get("/v1/users/c2").await;
    h.call("counselor_other").get("/v1/users/c1").await;
    let log = h.call("c1").get("/v1/users/c1/access-log").await;
    let lines: Vec<_> = log
        .items()
        .iter()
        .map(|line| {
            (
                line["name"].clone(),
                line["why"].clone(),
                line["decision"].clone(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (json!("counselor_other"), json!(null), json!("deny")),
            (json!("counselor"), json!("caseload"), json!("allow")),
        ]
    );
    assert_eq!(
        h.app_for("c1")
            .get("/v1/users/c1/access-log?who=staff")
            .await
            .items()
            .len(),
        2
    );
    assert_eq!(h.call("c2").get("/v1/users/c1/access-log").await.code(), 404);
    assert_eq!(
        h.call("counselor").get("/v1/users/c1/access-log").await.code(),
        403
    );
    assert_eq!(h.call("auditor").get("/v1/users/c1/access-log").await.code(), 403);
}

#[tokio::test]
async fn an_access_log_goes_on_where_its_page_ended() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    for _ in 0..5 {
        h.call("counselor").get("/v1/users/c1").await;
    }
    let mut seen = 0;
    let mut path = "/v1/users/c1/access-log?who=staff&limit=2".to_owned();
    loop {
        let page = h.call("c1").get(&path).await;
        seen += page.items().len();
        let Some(cursor) = page.at("/next_cursor").as_str() else {
            break;
        };
        path = format!("/v1/users/c1/access-log?who=staff&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, 5);
}

#[tokio::test]
async fn an_auditor_finds_rows_by_person_decision_and_request() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    h.client("c2", &["counselor"]).await;
    let looked_at = h.call("counselor").get("/v1/users/c1").await;
    let request_id = looked_at.headers["x-request-id"].to_str().unwrap();
    h.call("counselor").get("/v1/users/c2").await;
    h.call("counselor_other").get("/v1/users/c2").await;
    let auditor = h.call("auditor");
    let found = async |query: &str| auditor.get(&format!("/v1/audit-events?{query}")).await.items();
    assert_eq!(found("user_id=c1").await.len(), 1);
    assert_eq!(
        found("decision=deny").await[0]["actor_id"],
        "staff-counselor_other"
    );
    assert_eq!(found(&format!("request_id={request_id}")).await.len(), 1);
    assert_eq!(found("user_id=nobody").await.len(), 0);
    // What the auditor looked for about a person is on record as well.
    assert_eq!(found("user_id=c1").await.len(), 2);
    for other in [
        "counselor",
        "supervisor",
        "admin",
        "oncall",
        "app",
        "pipeline",
        "c1",
    ] {
        assert_eq!(h.call(other).get("/v1/audit-events").await.code(), 403, "{other}");
        assert_eq!(
            h.call(other).get("/v1/audit-events/verify").await.code(),
            403,
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_client_who_is_gone_is_named_by_no_row() {
    let mut h = Harness::new().await;
    sealed(&mut h, 3).await;
    h.run("delete from core.users where user_id = 'c1'").await;
    let named = "select count(*) from core.audit_events e join core.subject_refs r on r.subject_ref = any (e.subject_refs)
                 where r.user_id = 'c1'";
    assert_eq!(h.database.count(named).await, 0);
    assert_eq!(verify(&h).await["is_sound"], true);
}

#[tokio::test]
async fn rows_and_seals_are_never_changed_not_even_by_their_owner() {
    let mut h = Harness::new().await;
    sealed(&mut h, 3).await;
    let partition = h
        .database
        .query("select tableoid::regclass::text as name from core.audit_events limit 1")
        .await[0]
        .get::<_, String>("name");
    let changes = [
        "update core.audit_events set decision = 'deny'".to_owned(),
        "delete from core.audit_events".to_owned(),
        "truncate core.audit_events".to_owned(),
        format!("update {partition} set decision = 'deny'"),
        format!("delete from {partition}"),
        format!("truncate {partition}"),
        "update core.audit_seals set seq = 9".to_owned(),
        "delete from core.audit_seals".to_owned(),
        "truncate core.audit_seals".to_owned(),
    ];
    for change in &changes {
        let attempt = format!(
            "set role recoverly_owner;
             do $$ begin {change}; raise exception 'it was changed'; exception when insufficient_privilege then null; end $$"
        );
        h.run(&attempt).await;
    }
    for role in [
        "recoverly_core",
        "recoverly_core_worker",
        "recoverly_social",
        "recoverly_social_worker",
    ] {
        for change in changes.iter().take(3).chain(
            [
                "insert into core.audit_events (event_type, actor, actor_kind, action, decision)
            values ('read', 'x', 'staff', 'x', 'allow')"
                    .to_owned(),
            ]
            .iter(),
        ) {
            let attempt = format!(
                "set role {role};
                 do $$ begin {change}; raise exception 'it was changed'; exception when insufficient_privilege then null; end $$"
            );
            h.run(&attempt).await;
        }
    }
}

#[tokio::test]
async fn a_sound_audit_verifies_to_its_end() {
    let mut h = Harness::new().await;
    let rows = sealed(&mut h, 20).await;
    let report = verify(&h).await;
    assert_eq!(report["is_sound"], true, "{report}");
    assert_eq!(report["events"], rows);
    assert_eq!(report["seals"], 1);
    assert_eq!(report["last_anchored_seq"], 1);
    assert!(report["next_after"].is_null());
    let told = h.verify_by_command().await.unwrap();
    assert!(told.starts_with(&format!("1 seals over {rows} rows")), "{told}");
    // The look itself is a row that waits for its seal.
    assert_eq!(verify(&h).await["unsealed_events"], 1);
}

/// Changes behind the triggers' backs, as somebody who owns the server could.
pub(crate) async fn tampered(h: &Harness, change: &str) -> Value {
    h.run(&format!(
        "set session_replication_role = replica; {change}; set session_replication_role = origin"
    ))
    .await;
    verify(h).await["faults"].clone()
}

/// A change of a kind on places that chance names, as SQL; `a` and `b` are ids of sealed rows, `seq` a seal.
fn change(kind: u64, a: i64, b: i64, seq: i64) -> String {
    let row = |set: &str| format!("update core.audit_events set {set} where id = {a}");
    let seal = |set: &str| format!("update core.audit_seals set {set} where seq = {seq}");
    match kind {
        0 => row("event_type = event_type || 'x'"),
        1 => row("actor = 'somebody-else'"),
        2 => row("actor_kind = 'service'"),
        3 => row("subject_refs = subject_refs || gen_random_uuid()"),
        4 => row("action = 'GET /'"),
        5 => row("object_type = 'other'"),
        6 => row("object_id = '1'"),
        7 => row("decision = case decision when 'allow' then 'deny' else 'allow' end"),
        8 => row("reason = 'other'"),
        9 => row("purpose = 'other'"),
        10 => row("request_id = null"),
        11 => row("metadata = '{}'"),
        12 => row("at = at + interval '1 microsecond'"),
        13 => row("id = id + 1000000"),
        14 => format!("delete from core.audit_events where id = {a}"),
        // Two rows change places; where chance named one row twice, it goes.
        15 if a != b => format!(
            "update core.audit_events set id = -1 where id = {a}; update core.audit_events set id = {a} where id = {b};
             update core.audit_events set id = {b} where id = -1"
        ),
        15 => format!("delete from core.audit_events where id = {a}"),
        16 => seal("event_ids = event_ids[2:]"),
        17 => seal("hash = sha256(hash)"),
        18 => seal("prev_hash = sha256(prev_hash)"),
        19 => seal("mac = sha256(mac)"),
        20 => format!("delete from core.audit_seals where seq = {seq}"),
        // It goes with all that it covers, as if it had never been.
        _ => format!(
            "delete from core.audit_events where id in (select unnest(s.event_ids) from core.audit_seals s where s.seq = {seq});
             delete from core.audit_seals where seq = {seq}"
        ),
    }
}

/// Numbers that look like chance and are the same each time: Knuth's generator.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end as u64).unwrap()
    }
}

#[tokio::test]
async fn each_of_a_thousand_random_changes_is_found() {
    const SEALS: usize = 20;
    const ROUNDS: usize = 50;
    let mut h = Harness::new().await;
    sealed(&mut h, 4).await;
    for _ in 1..SEALS {
        h.run(
            "select core.write_audit((select jsonb_agg(jsonb_build_object('event_type', 'write', 'actor', 'program-app',
                 'actor_kind', 'app', 'people', array['c1'], 'action', 'POST /v1/messages', 'decision', 'allow',
                 'request_id', 'w' || n, 'metadata', jsonb_build_object('n', n)))
             from generate_series(1, 4) n))",
        )
        .await;
        h.app.round("seal").await.unwrap();
    }
    let seals = h
        .database
        .query("select s.seq, s.event_ids from core.audit_seals s order by s.seq")
        .await;
    let seals: Vec<(i64, Vec<i64>)> = seals
        .iter()
        .map(|row| (row.get("seq"), row.get("event_ids")))
        .collect();
    assert_eq!(seals.len(), SEALS);
    let owner = h.database.superuser().await;
    owner
        .run(
            "alter table core.audit_events alter column id set generated by default;
             set session_replication_role = replica;
             create temp table kept_events as select * from core.audit_events;
             create temp table kept_seals as select * from core.audit_seals",
        )
        .await;
    let mut chance = Chance(20_261_125);
    for round in 0..ROUNDS {
        let mut made = Vec::new();
        for (seq, ids) in &seals {
            let kind = chance.below(22) as u64;
            let (a, b) = (ids[chance.below(ids.len())], ids[chance.below(ids.len())]);
            made.push(change(kind, a, b, *seq));
        }
        owner.run(&made.join(";")).await;
        let report = verify(&h).await;
        for ((seq, _), change) in seals.iter().zip(&made) {
            let is_found = report["faults"]
                .as_array()
                .unwrap()
                .iter()
                .any(|fault| fault["seq"] == *seq);
            assert!(is_found, "round {round}: not found: {change}");
        }
        owner
            .run(
                "delete from core.audit_events; insert into core.audit_events select * from kept_events;
                 delete from core.audit_seals; insert into core.audit_seals select * from kept_seals",
            )
            .await;
    }
    assert_eq!(verify(&h).await["is_sound"], true);
}

#[tokio::test]
async fn edits_deletions_reorders_and_truncations_are_told_apart() {
    let mut h = Harness::new().await;
    sealed(&mut h, 5).await;
    for batch in ["a", "b"] {
        h.run(&format!(
            "select core.write_audit(jsonb_build_array(jsonb_build_object('event_type', 'read', 'actor', 'program-app',
                 'actor_kind', 'app', 'people', array['c1'], 'action', '{batch}', 'decision', 'allow')))"
        ))
        .await;
        h.app.round("seal").await.unwrap();
    }
    let edited = tampered(
        &h,
        "update core.audit_events set decision = 'deny' where request_id = 'r2'",
    )
    .await;
    assert_eq!(edited, json!([{"seq": 1, "fault": "rows_changed"}]));
    let told = h.verify_by_command().await;
    assert_eq!(
        told,
        Err("the audit is not as it was sealed: 1 faults".to_owned())
    );
    let undone = tampered(
        &h,
        "update core.audit_events set decision = 'allow' where request_id = 'r2'",
    )
    .await;
    assert_eq!(undone, json!([]));
    let deleted = tampered(&h, "delete from core.audit_events where request_id = 'r3'").await;
    assert_eq!(deleted, json!([{"seq": 1, "fault": "rows_changed"}]));
    let cut = tampered(
        &h,
        "delete from core.audit_events where id in (select unnest(event_ids) from core.audit_seals where seq = 4);
         delete from core.audit_seals where seq >= 3",
    )
    .await;
    assert_eq!(
        cut,
        json!([
            {"seq": 1, "fault": "rows_changed"},
            {"seq": 3, "fault": "cut_off"},
            // Its rows stand there still, and nothing covers them any more.
            {"seq": 2, "fault": "unsealed", "event_id": 7},
        ])
    );
}

#[tokio::test]
async fn an_address_that_names_nothing_stops_nobody_elses_read() {
    let mut h = Harness::new().await;
    h.client("c1", &["counselor"]).await;
    // Remembered tokens: the caller is known before the path is read.
    h.call("counselor").get("/v1/users/c1").await;
    let long = "x".repeat(300);
    let own = "/v1/users/c1".to_owned();
    let probes = [
        "/v1/messages/%00".to_owned(),
        format!("/v1/messages/{long}"),
        "/v1/users/%00".to_owned(),
    ];
    let caller = h.call("counselor");
    let reads = probes.iter().chain([&own; 4]).map(|path| caller.get(path));
    let answers = futures::future::join_all(reads).await;
    let codes: Vec<u16> = answers.iter().map(testkit::Answer::code).collect();
    assert_eq!(codes, [404, 404, 404, 200, 200, 200, 200]);
}

#[tokio::test]
async fn the_key_of_a_profile_is_not_told_to_auditors() {
    let mut h = Harness::new().await;
    h.client("c1", &[]).await;
    let entry = json!({"profile_value": "yes", "is_sensitive": true});
    assert_eq!(
        h.call("c1")
            .put("/v1/users/c1/profile/telling_key", &entry)
            .await
            .code(),
        201
    );
    let rows = h
        .database
        .query("select e::text as row from core.audit_events e")
        .await;
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].get::<_, String>("row").contains("telling_key"));
}

#[tokio::test]
async fn rows_that_vanish_before_their_seal_do_not_stop_the_sealer() {
    let mut h = Harness::new().await;
    sealed(&mut h, 2).await;
    h.run("select core.write_audit('[{\"event_type\": \"read\", \"actor\": \"program-app\", \"actor_kind\": \"app\", \"people\": [],
        \"action\": \"x\", \"decision\": \"allow\"}]')")
        .await;
    h.run("set session_replication_role = replica; delete from core.audit_events where action = 'x'")
        .await;
    h.app.round("seal").await.unwrap();
    assert_eq!(
        h.database.count("select count(*) from core.audit_pending").await,
        0
    );
    let report = verify(&h).await;
    assert_eq!(
        (&report["is_sound"], &report["last_seq"]),
        (&json!(true), &json!(2))
    );
}
