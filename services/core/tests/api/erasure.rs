//! Erasure and export are complete, whatever tables there are.

use std::collections::BTreeMap;
use std::time::Duration;

use core_service::Config;
use serde_json::{Value, json};

use crate::harness::Harness;
use crate::planting::{MARK, WHO};

/// The rows of the person by table, counted by another rule than the export's own: a reference that goes with the
/// account, or that is called after whose the row is.
const OWN_ROWS: &str = "
    select c.conrelid::regclass::text as relation, string_agg(format('t.%I = ''client-mrk''', a.attname), ' or ') as own
    from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' and c.confrelid = 'core.users'::regclass and c.conparentid = 0
      and (c.confdeltype = 'c' or a.attname in ('user_id', 'client_id'))
    group by c.conrelid";

/// What staff noted for themselves: erased with the person, and not exported.
const UNTOLD: &str = "core.coaching_notes";

/// The lines of an answer.
fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn no_marker_in_any_table_outlives_its_person() {
    let h = Harness::new().await;
    let planted = h.plant().await;
    assert!(planted.markers.len() > 100, "{}", planted.markers.len());
    let before: BTreeMap<String, i64> = h.traces(MARK).await.into_iter().collect();
    for (table, column) in planted.markers.values() {
        assert!(before.contains_key(table), "{table}.{column} was planted");
    }
    let others = "select count(*) from core.messages where recipient_id is null and user_id = 'client-other'";
    assert_eq!(h.database.count(others).await, 0);
    let left = h.call("admin").delete(&format!("/v1/users/{WHO}/opt-out")).await;
    assert_eq!(left.code(), 200, "{}", left.json);
    assert_eq!(
        h.traces_in_short(MARK).await,
        ["core.outbox 1"],
        "only the farewell, until it is delivered"
    );
    assert_eq!(
        h.events("core.user.erased").await,
        [json!({
            "user_id": WHO, "erased_at": h.events("core.user.erased").await[0]["erased_at"],
        })]
    );
    assert_eq!(
        h.database.count(others).await,
        1,
        "other people's rows stay without the name"
    );
}

#[tokio::test]
#[should_panic(expected = "say whose rows core.forgotten holds")]
async fn a_table_that_nobody_thought_of_is_found() {
    let h = Harness::new().await;
    h.run("create table core.forgotten (written_by varchar(255), note text)")
        .await;
    h.plant().await;
}

#[tokio::test]
async fn a_table_that_is_made_later_is_erased_and_exported_like_the_others() {
    let h = Harness::new().await;
    h.run(
        "set role recoverly_owner;
         create table reco.later (user_id varchar(255) not null references core.users (user_id) on delete cascade, note text)",
    )
    .await;
    h.plant().await;
    let export = h.call("admin").get(&format!("/v1/users/{WHO}/export")).await;
    assert!(
        lines(&export.bytes)
            .iter()
            .any(|line| line["schema"] == "reco" && line["table"] == "later")
    );
    let left = h.call("admin").delete(&format!("/v1/users/{WHO}/opt-out")).await;
    assert_eq!(left.at("/counts/removed")["reco.later"], json!(1));
}

#[tokio::test]
async fn every_reference_to_an_account_says_what_becomes_of_it_and_is_found_by_an_index() {
    let h = Harness::new().await;
    let rows = h
        .database
        .query(
            "select format('%s.%s', c.conrelid::regclass, a.attname) as place
             from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
             where c.contype = 'f' and c.confrelid = 'core.users'::regclass and c.conparentid = 0
               and (c.confdeltype not in ('c', 'n') or cardinality(c.conkey) > 1
                 or not exists (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = a.attnum))
             order by place",
        )
        .await;
    let places: Vec<String> = rows.iter().map(|row| row.get("place")).collect();
    assert_eq!(places, Vec::<String>::new());
}

#[tokio::test]
async fn an_export_holds_every_row_of_the_person_and_no_secret() {
    let h = Harness::new().await;
    let planted = h.plant().await;
    let export = h.call("admin").get(&format!("/v1/users/{WHO}/export")).await;
    assert_eq!(export.code(), 200);
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    let lines = lines(&export.bytes);
    let (header, rest) = lines.split_first().unwrap();
    let (end, rows) = rest.split_last().unwrap();
    assert_eq!(
        (&header["user_id"], &header["kind"]),
        (&json!(WHO), &json!("client"))
    );
    for schema in ["core", "social", "risk", "reco", "causal"] {
        assert!(header["schema_versions"][schema].is_number(), "{header}");
    }
    assert_eq!(end, &json!({"end": true, "rows": rows.len()}));
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows {
        let table = format!(
            "{}.{}",
            row["schema"].as_str().unwrap(),
            row["table"].as_str().unwrap()
        );
        *told.entry(table).or_default() += 1;
    }
    assert_eq!(told["core.users"], 1);
    for place in h.database.query(OWN_ROWS).await {
        let (relation, own): (String, String) = (place.get("relation"), place.get("own"));
        let there = h
            .database
            .count(&format!("select count(*) from {relation} t where {own}"))
            .await;
        assert!(there > 0, "{relation} was planted");
        let expected = Some(&there).filter(|_| relation != UNTOLD);
        assert_eq!(told.get(&relation), expected, "{relation}");
    }
    let text = String::from_utf8(export.bytes).unwrap();
    assert!(!text.contains("kept"), "what belongs to others is not exported");
    for (marker, (table, column)) in &planted.markers {
        let is_secret = column.contains("hash")
            || column.contains("secret")
            || !planted.owned.contains(table)
            || table == UNTOLD;
        let bytes: String = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
        let is_told = text.contains(marker) || text.contains(&bytes);
        assert_eq!(is_told, !is_secret, "{table}.{column}");
    }
}

#[tokio::test]
async fn an_export_is_for_the_person_their_app_and_admins() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.client("client-b", &[]).await;
    let path = "/v1/users/client-a/export";
    for (caller, code) in [
        ("counselor", 403),
        ("oncall", 403),
        ("supervisor", 403),
        ("auditor", 403),
        ("pipeline", 403),
        ("client-b", 404),
        ("client-a", 200),
        ("app", 200),
        ("admin", 200),
    ] {
        assert_eq!(h.call(caller).get(path).await.code(), code, "{caller}");
    }
    assert_eq!(h.anonymous().get(path).await.code(), 401);
    assert_eq!(h.app_for("client-b").get(path).await.code(), 404);
    assert_eq!(
        h.call("app").get("/v1/users/staff-counselor/export").await.code(),
        404
    );
    assert_eq!(
        h.call("admin")
            .get("/v1/users/staff-counselor/export")
            .await
            .code(),
        200
    );
    assert_eq!(h.call("admin").get("/v1/users/nobody/export").await.code(), 404);
    assert_eq!(
        h.call("admin").get(&format!("{path}?format=zip")).await.code(),
        422
    );
}

#[tokio::test]
async fn a_long_export_comes_in_pages_and_whole() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.messages("client-a", 1_234).await;
    let export = h.call("client-a").get("/v1/users/client-a/export").await;
    let lines = lines(&export.bytes);
    let messages = lines.iter().filter(|line| line["table"] == "messages").count();
    assert_eq!(messages, 1_234);
    assert_eq!(lines.last().unwrap()["rows"], json!(lines.len() - 2));
}

#[tokio::test]
async fn a_third_export_at_once_is_asked_to_come_again_and_a_reader_who_stops_gives_way() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    // More than the buffers between here and there take, so that both exports wait for their readers.
    h.run(
        "insert into core.messages (user_id, message_text, conversation_type)
         select 'client-a', repeat('x', 60000), 'buddy' from generate_series(1, 1000)",
    )
    .await;
    let url = format!("{}/v1/users/client-a/export", h.app.base_url());
    let http = reqwest::Client::new();
    let mut reading = Vec::new();
    for _ in 0..2 {
        let answer = http
            .get(&url)
            .bearer_auth(h.principals.token("client-a"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        reading.push(answer);
    }
    let refused = h.call("client-a").get("/v1/users/client-a/export").await;
    assert_eq!(refused.code(), 503);
    let detail = refused.at("/detail").as_str().unwrap();
    assert!(
        detail.starts_with("Two exports are being sent already"),
        "{detail}"
    );
    assert!(refused.headers.contains_key("retry-after"));
    drop(reading);
    let again = async {
        while h.call("client-a").get("/v1/users/client-a/export").await.code() == 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .expect("those who have gone leave room");
}

#[tokio::test]
async fn an_export_that_takes_too_long_is_cut_and_has_no_end() {
    let mut h = Harness::with_config(|config| Config {
        max_export: Duration::ZERO,
        ..config
    })
    .await;
    h.client("client-a", &[]).await;
    let answer = reqwest::Client::new()
        .get(format!("{}/v1/users/client-a/export", h.app.base_url()))
        .bearer_auth(h.principals.token("client-a"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.is_err(), "it is seen to be cut");
}
