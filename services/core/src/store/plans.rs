//! Lists stay small on a large programme: a page of a counselor with 200 of 50,000 clients, and of an admin, is reached
//! by index.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use db::Actor;
use testkit::TestDb;
use testkit::plan::{assert_reached_by_index, plant_large_programme, scans};

use super::memory_search::Search;
use super::messages::{self, Order};
use super::{
    ai_metadata, caseload, interaction_sessions, memories, memory_embeddings, provider_events, threads,
    turns, users, voice_events,
};
use crate::config::SearchConfig;
use crate::domain::embedding::{Model, TEXT};

/// The caseload, and a page of it looked up in the policy's place.
const MAX_ROWS: f64 = 300.0;

#[tokio::test]
async fn a_page_of_a_counselor_with_200_of_50_000_clients_touches_the_caseload_alone() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database
        .pools("core")
        .begin(&Actor::Staff("staff-7".to_owned()))
        .await
        .unwrap();
    let types = "varchar, text, varchar, bigint";
    for values in [
        "null, null, '', 51",
        "null, null, 'client-025006', 51",
        "null, 'client-0250', '', 51",
        "'suspended', null, '', 51",
    ] {
        let found = scans(&tx, &users::caseload_sql(), types, values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        assert!(found.iter().any(|scan| scan.table == "users"), "{found:?}");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn an_admin_s_page_and_search_touch_what_they_show() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    let types = "varchar, varchar, varchar, bigint";
    let page = scans(&tx, &users::list_sql(), types, "null, null, 'client-025006', 51").await;
    assert_reached_by_index(&page, MAX_ROWS);
    let types = "varchar, varchar, varchar, bigint, text";
    for (q, count) in [
        ("Client-02500", 10.0),
        ("c4711", 1.0),
        ("STAFF 25", 1.0),
        ("nobody", 0.0),
    ] {
        let values = format!("null, null, '', 51, '{q}'");
        let found = scans(&tx, &users::search_sql(), types, &values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        let rows: f64 = found.iter().map(|scan| scan.rows).sum();
        assert!(rows >= count, "{q}: {found:?}");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_page_of_assignments_is_reached_from_the_staff_or_the_client() {
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    let types = "varchar, varchar, bigint, bigint";
    for (of_staff, of_client, values) in [
        (true, false, "'staff-7', null, 0, 51"),
        (true, true, "'staff-7', 'client-025006', 0, 51"),
        (false, true, "null, 'client-025006', 0, 51"),
        (false, false, "null, null, 25000, 51"),
    ] {
        let found = scans(&tx, caseload::list_sql(of_staff, of_client), types, values).await;
        assert_reached_by_index(&found, MAX_ROWS);
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_page_of_events_is_reached_from_the_request_the_client_or_the_time() {
    let database = TestDb::new().await;
    database
        .superuser()
        .await
        .run(
            "insert into core.users (user_id, kind) select 'client-' || n, 'client' from generate_series(1, 100) as n;
             insert into core.provider_events (user_id, scope, provider_name, status, request_id, created_at)
             select 'client-' || (n % 100 + 1), 'chat', 'p', 'success', 'r-' || n, now() - n * interval '1 minute'
             from generate_series(1, 20000) as n;
             insert into core.voice_events (user_id, provider_name, text_hash, status, request_id, created_at)
             select 'client-' || (n % 100 + 1), 'p', 'hash', 'success', 'r-' || n, now() - n * interval '1 minute'
             from generate_series(1, 20000) as n;
             analyze core.provider_events, core.voice_events",
        )
        .await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    let types = "varchar, varchar, timestamptz, timestamptz, timestamptz, bigint, bigint";
    let rest = "now() - interval '1 year', now(), now() - interval '1 day', 1, 51";
    for (of_request, of_client, asked) in [
        (true, false, "'r-77', null"),
        (false, true, "null, 'client-7'"),
        (true, true, "'r-77', 'client-7'"),
        (false, false, "null, null"),
    ] {
        for sql in [
            provider_events::list_sql(of_request, of_client),
            voice_events::list_sql(of_request, of_client),
        ] {
            let found = scans(&tx, &sql, types, &format!("{asked}, {rest}")).await;
            assert_reached_by_index(&found, MAX_ROWS);
        }
    }
    tx.rollback().await.unwrap();
}

/// A caseload's embeddings are counted up to 2,001; the index yields few candidates, and their memories are looked up.
const MAX_SEARCHED_ROWS: f64 = 2_500.0;

#[tokio::test]
async fn a_search_of_a_large_caseload_walks_the_index_of_its_model_and_of_one_client_reads_that_client_alone()
{
    let database = TestDb::new().await;
    plant_large_programme(&database).await;
    let superuser = database.superuser().await;
    superuser
        .run(
            "insert into core.embedding_models (name, dimensions, purpose) values ('m4', 4, 'text');
             insert into core.consents (user_id, purpose)
             select c.client_id, 'memory' from core.caseload_assignments c where c.staff_id in ('staff-7', 'staff-8');
             insert into core.memories (id, user_id, memory_type, entry_type, content)
             select gen_random_uuid(), c.user_id, 'personal', 'nugget', 'memory ' || n
             from core.consents c, generate_series(1, 30) n;
             insert into core.memory_embeddings (memory_entry_id, user_id, embedding_model, embedding_dimensions, embedding)
             select m.id, m.user_id, 'm4', 4,
                array(select random() - 0.5 from generate_series(1, 4) d where m.content <> d::text)::real[]::public.vector
             from core.memories m;
             create index on core.memory_embeddings using hnsw ((embedding::public.halfvec(4)) public.halfvec_cosine_ops)
                where embedding_model = 'm4';
             analyze core.memories, core.memory_embeddings, core.consents",
        )
        .await;
    let model = Model {
        name: "m4".to_owned(),
        dimensions: 4,
        purpose: TEXT.to_owned(),
        active: true,
    };
    let db = database.pools("core");
    let asked = "10, false, null, null, null, '2000-01-01', '2099-01-01'";
    let types = "bigint, boolean, varchar, varchar, uuid, timestamptz, timestamptz";
    let config = SearchConfig::default();
    let search = |names_client| Search {
        names_client,
        model: Some(&model),
        has_words: false,
        limit: 10,
        config: &config,
    };
    let tx = db.begin(&Actor::Staff("staff-7".to_owned())).await.unwrap();
    let (types_all, values) = (format!("{types}, public.vector"), format!("{asked}, '[1,0,0,0]'"));
    let found = scans(&tx, &search(false).sql(), &types_all, &values).await;
    assert_reached_by_index(&found, MAX_SEARCHED_ROWS);
    tx.rollback().await.unwrap();
    let about = Actor::StaffAbout {
        staff_id: "staff-7".to_owned(),
        client_id: "client-000006".to_owned(),
    };
    let tx = db.begin(&about).await.unwrap();
    let types_one = format!("{types}, varchar, public.vector");
    let values = format!("{asked}, 'client-000006', '[1,0,0,0]'");
    let found = scans(&tx, &search(true).sql(), &types_one, &values).await;
    assert_reached_by_index(&found, MAX_ROWS);
    assert!(
        found
            .iter()
            .any(|scan| scan.table == "memory_embeddings" && scan.rows >= 30.0),
        "{found:?}"
    );
    tx.rollback().await.unwrap();
}

/// Two clients with a thread of 10,000 turns each, every hundredth reply a mistake; the first is `staff-7`'s.
async fn plant_conversations(database: &TestDb) {
    let superuser = database.superuser().await;
    superuser
        .run(
            "insert into core.users (user_id, kind) values ('staff-7', 'staff'), ('client-1', 'client'), ('client-2', 'client');
             insert into core.users (user_id, kind) select 'other-' || n, 'client' from generate_series(1, 2000) as n;
             insert into core.caseload_assignments (client_id, staff_id) values ('client-1', 'staff-7');
             insert into core.chat_threads (id, user_id, role, thread_id, title)
             select gen_random_uuid(), u.user_id, 'companion', 'main', '' from core.users u where u.user_id like 'other-%';
             insert into core.chat_threads (id, user_id, role, thread_id, title)
             select ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'client-' || n, 'companion', 'main', ''
             from generate_series(1, 2) as n;
             insert into core.messages (user_id, message_text, timestamp, conversation_type, sender_role, thread_pk, answers)
             select t.user_id, 'text', timestamptz '2026-01-01' + n * interval '1 minute', 'assistant',
                 case n % 2 when 0 then 'user' else 'assistant' end, t.id,
                 case n % 2 when 1 then n end
             from generate_series(0, 19999) as n, core.chat_threads t where t.user_id like 'client-%' order by n;
             insert into core.message_ai_metadata (message_id, user_id, is_mistake)
             select m.message_id, m.user_id, (m.answers % 200 = 1)::int
             from core.messages m where m.sender_role = 'assistant';
             analyze core.messages, core.message_ai_metadata, core.chat_threads, core.users, core.caseload_assignments",
        )
        .await;
}

#[tokio::test]
async fn a_page_of_a_history_touches_what_it_shows_in_both_directions() {
    let database = TestDb::new().await;
    plant_conversations(&database).await;
    let actor = Actor::StaffAbout {
        staff_id: "staff-7".to_owned(),
        client_id: "client-1".to_owned(),
    };
    let tx = database.pools("core").begin(&actor).await.unwrap();
    let of_client = "varchar, boolean, varchar, timestamptz, bigint, bigint";
    let of_thread = "varchar, varchar, varchar, timestamptz, bigint, bigint";
    for order in [Order::Newest, Order::Oldest] {
        let values = "'client-1', false, null, '2026-01-05', 10000, 51";
        let found = scans(&tx, &messages::history_sql(order), of_client, values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        let values = "'client-1', 'companion', 'main', '2026-01-05', 10000, 51";
        let found = scans(&tx, &messages::thread_history_sql(order), of_thread, values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        assert!(found.iter().any(|scan| scan.table == "messages"), "{found:?}");
    }
    let values = "'00000000-0000-0000-0000-000000000001', 0, 20";
    let found = scans(&tx, turns::LAST, "uuid, bigint, bigint", values).await;
    assert_reached_by_index(&found, MAX_ROWS);
    let types = "varchar, varchar, timestamptz, uuid, bigint";
    let values = "'client-1', null, '2100-01-01', '00000000-0000-0000-0000-000000000000', 51";
    let found = scans(&tx, &threads::list_sql(), types, values).await;
    assert_reached_by_index(&found, MAX_ROWS);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn messages_of_a_request_are_reached_by_index() {
    let database = TestDb::new().await;
    plant_conversations(&database).await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    // No statement of ours: whoever follows a request from the log or the audit asks so.
    let asked = "select m.message_id from core.messages m where m.request_id = $1";
    let found = scans(&tx, asked, "varchar", "'r-1'").await;
    assert_reached_by_index(&found, MAX_ROWS);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn mistakes_are_reached_through_the_clients_who_are_seen() {
    let database = TestDb::new().await;
    plant_conversations(&database).await;
    let actor = Actor::Staff("staff-7".to_owned());
    let tx = database.pools("core").begin(&actor).await.unwrap();
    let types = "varchar, varchar, bigint, bigint";
    let found = scans(
        &tx,
        ai_metadata::MISTAKES,
        types,
        "null, null, 9223372036854775807, 51",
    )
    .await;
    assert_reached_by_index(&found, MAX_ROWS);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_lease_of_memories_looks_at_none_of_a_crowd_that_nobody_may_embed() {
    let database = TestDb::new().await;
    database
        .superuser()
        .await
        .run(
            "insert into core.users (user_id, kind) select 'client-' || n, 'client' from generate_series(1, 800) as n;
             insert into core.consents (user_id, purpose) select u.user_id, 'memory' from core.users u;
             insert into core.memories (id, user_id, memory_type, entry_type, content)
             select ('00000000-0000-0000-0000-' || lpad((c * 1000 + n)::text, 12, '0'))::uuid, 'client-' || c, 'personal',
                'nugget', 'memory'
             from generate_series(1, 50) as n, generate_series(1, 800) as c;
             update core.consents set revoked_at = clock_timestamp() where substr(user_id, 8)::int <= 400;
             analyze core.memories, core.embedding_leases, core.consents, core.users",
        )
        .await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    let types = "varchar, bigint, varchar, float8";
    let found = scans(&tx, memory_embeddings::LEASE, types, "'text-1536', 20, null, 60").await;
    let waiting = found.iter().filter(|scan| scan.table == "embedding_leases");
    let rows: f64 = waiting.map(|scan| scan.rows).sum();
    assert!((20.0..=MAX_ROWS).contains(&rows), "{found:#?}");
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn messages_whose_term_is_over_are_reached_by_index_past_all_that_are_nobody_s() {
    let database = TestDb::new().await;
    database
        .superuser()
        .await
        .run(
            "insert into core.users (user_id, kind) select 'client-' || n, 'client' from generate_series(1, 100) as n;
             insert into core.messages (user_id, message_text, timestamp, conversation_type, anonymized_at)
             select case when n > 20000 then 'client-' || (n % 100 + 1) end, 'text',
                now() - interval '740 days' + n * interval '1 minute', 'buddy', case when n <= 20000 then now() end
             from generate_series(1, 40000) as n;
             analyze core.messages, core.users",
        )
        .await;
    let tx = database.pools("core").begin_worker().await.unwrap();
    for days in [726, 731] {
        let found = scans(&tx, messages::LOCK_ENDED, "bigint, int", &format!("20, {days}")).await;
        let read = found.iter().filter(|scan| scan.table == "messages");
        let rows: f64 = read.map(|scan| scan.rows).sum();
        assert!(rows <= MAX_ROWS, "{found:#?}");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_page_of_memories_of_one_type_touches_what_it_shows() {
    let database = TestDb::new().await;
    database
        .superuser()
        .await
        .run(
            "insert into core.users (user_id, kind) select 'client-' || n, 'client' from generate_series(1, 2000) as n;
             insert into core.memories (id, user_id, memory_type, entry_type, content, created_at)
             select gen_random_uuid(), 'client-' || (n % 20 + 1),
                 case when n % 1000 < 20 then 'project' else 'personal' end, 'nugget', 'memory', now() - n * interval '1 minute'
             from generate_series(1, 60000) as n;
             analyze core.users, core.memories",
        )
        .await;
    let actor = Actor::Client("client-7".to_owned());
    let tx = database.pools("core").begin(&actor).await.unwrap();
    let types = "varchar, boolean, boolean, boolean, varchar, varchar, varchar, varchar, timestamptz, uuid, bigint, boolean";
    let rest = "null, null, null, '2100-01-01', '00000000-0000-0000-0000-000000000000', 51, true";
    for (of_type, memory_type) in [(true, "'project'"), (false, "null")] {
        let values = format!("'client-7', true, false, false, {memory_type}, {rest}");
        let sql = memories::list_sql([of_type, false, false, false]);
        let found = scans(&tx, &sql, types, &values).await;
        assert_reached_by_index(&found, MAX_ROWS);
        assert!(found.iter().any(|scan| scan.table == "memories"), "{found:?}");
    }
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn sessions_are_reached_from_the_client_or_by_their_key() {
    let database = TestDb::new().await;
    database
        .superuser()
        .await
        .run(
            "insert into core.users (user_id, kind) values ('staff-7', 'staff');
             insert into core.users (user_id, kind) select 'client-' || n, 'client' from generate_series(1, 2000) as n;
             insert into core.interaction_sessions (id, session_key, employee_id, client_id)
             select gen_random_uuid(), 's-' || n, 'staff-7', 'client-' || (n % 100 + 1) from generate_series(1, 20000) as n;
             analyze core.users, core.interaction_sessions",
        )
        .await;
    let actor = Actor::Client("client-7".to_owned());
    let tx = database.pools("core").begin(&actor).await.unwrap();
    let found = scans(&tx, interaction_sessions::FIND, "varchar", "'s-6'").await;
    assert_reached_by_index(&found, MAX_ROWS);
    let types = "varchar, timestamptz, uuid, bigint";
    let values = "'client-7', '2100-01-01', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 51";
    let found = scans(&tx, interaction_sessions::OF_CLIENT, types, values).await;
    assert_reached_by_index(&found, MAX_ROWS);
    tx.rollback().await.unwrap();
}
