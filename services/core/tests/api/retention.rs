//! What is kept for a while goes when its term is over, and not before.

use serde_json::json;
use testkit::serving;

use crate::audit::{sealed, tampered};
use crate::harness::Harness;
use crate::threads::{MAIN, turn};

#[tokio::test]
async fn answers_events_and_receipts_go_when_their_term_is_over() {
    let h = Harness::new().await;
    serving::plant_what_ends(&h.database, "core").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 3);
    serving::keeps_what_has_not_ended(&h.database, "core").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 0, "again does nothing");
}

#[tokio::test]
async fn transcripts_notes_and_events_go_when_their_term_is_over_and_not_before() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run(
        "insert into core.interaction_sessions (id, session_key, employee_id, client_id)
         values (gen_random_uuid(), 's', 'staff-counselor', 'client-a');
         create temp table years as
         select * from (values ('over', interval '731 days 1 minute'), ('kept', interval '730 days')) as t (name, age);
         create temp table year as
         select * from (values ('over', interval '365 days 1 minute'), ('kept', interval '364 days')) as t (name, age);
         insert into core.transcript_chunks (session_id, chunk_index, content, created_at)
         select s.id, row_number() over (), y.name, now() - y.age from core.interaction_sessions s, years y;
         insert into core.coaching_notes (session_id, note, created_at)
         select s.id, y.name, now() - y.age from core.interaction_sessions s, years y order by y.age desc;
         insert into core.provider_events (user_id, scope, provider_name, status, created_at)
         select u.user_id, 'chat', y.name, 'success', now() - y.age
         from year y, (values ('client-a'), (null)) as u (user_id);
         insert into core.voice_events (user_id, provider_name, text_hash, status, created_at)
         select 'client-a', y.name, '', 'success', now() - y.age from year y",
    )
    .await;
    assert_eq!(h.app.round("retention").await.unwrap(), 5);
    let there = "select count(*) from (
        select content as name from core.transcript_chunks union all select note from core.coaching_notes
        union all select provider_name from core.provider_events union all select provider_name from core.voice_events
    ) as t where t.name";
    assert_eq!(h.database.count(&format!("{there} = 'over'")).await, 0);
    assert_eq!(h.database.count(&format!("{there} = 'kept'")).await, 5);
    assert_eq!(h.app.round("retention").await.unwrap(), 0, "again does nothing");
}

/// An old and a young message of `client-a`, both in one thread, to `staff-counselor`, with what hangs on them.
const CONVERSATION: &str = "
    update core.users set full_name = 'Robin Muster', email = 'robin@mail.example' where user_id = 'client-a';
    update core.users set display_name = 'Toni Beispiel' where user_id = 'staff-counselor';
    insert into core.chat_threads (id, user_id, role, thread_id, title, updated_at)
    select gen_random_uuid(), 'client-a', 'companion', t.name, 'title', now() - t.age
    from (values ('old', interval '731 days 1 minute'), ('both', interval '730 days')) as t (name, age);
    insert into core.messages (user_id, recipient_id, message_text, timestamp, conversation_type, thread_pk, request_id, metadata)
    select 'client-a', 'staff-counselor', 'robin here, robin@mail.example, 0151 2345678. Thanks Toni!', now() - m.age,
        'assistant', t.id, 'request-1', '{}'
    from core.chat_threads t
    join (values ('old', interval '731 days 1 minute'), ('both', interval '731 days 1 minute'),
        ('both', interval '730 days')) as m (thread, age) on m.thread = t.thread_id;
    insert into core.message_ai_metadata (message_id, user_id, model_name, context_snapshot, is_mistake, mistake_note,
        provider_fallback_reason, reviewed_by)
    select message_id, 'client-a', 'm1', '{}', 1, 'note', 'why', 'staff-counselor' from core.messages";

#[tokio::test]
async fn after_two_years_a_message_is_nobody_s_and_names_nobody_and_social_hears_of_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run(CONVERSATION).await;
    let young = "select count(*) from core.messages where user_id = 'client-a' and thread_pk is not null
        and message_text like 'robin here%' and anonymized_at is null";
    // Whatever keeps the event from being written keeps the messages.
    h.run("alter table core.outbox add constraint ck_none check (event_type <> 'core.message.deleted')")
        .await;
    assert!(h.app.round("end_terms").await.is_err());
    assert_eq!(h.database.count(young).await, 3);
    h.run("alter table core.outbox drop constraint ck_none").await;
    assert_eq!(
        h.app.round("end_terms").await.unwrap(),
        3,
        "two messages and a thread"
    );
    assert_eq!(h.database.count(young).await, 1);
    let ended = "select count(*) from core.messages where anonymized_at is not null
        and num_nonnulls(user_id, recipient_id, thread_pk, answers, request_id, metadata) = 0
        and message_text = '* here, *, *. Thanks *!'";
    assert_eq!(h.database.count(ended).await, 2);
    let said = "select count(*) from core.message_ai_metadata a join core.messages m using (message_id)
        where a.model_name = 'm1' and a.is_mistake = 1 and m.anonymized_at is not null
          and num_nonnulls(a.user_id, a.context_snapshot, a.mistake_note, a.provider_fallback_reason, a.reviewed_by) = 0";
    assert_eq!(h.database.count(said).await, 2, "what models are judged by stays");
    let threads = "select count(*) from core.chat_threads where thread_id = 'both'";
    assert_eq!(h.database.count(threads).await, 1);
    assert_eq!(
        h.database.count("select count(*) from core.chat_threads").await,
        1,
        "of the other one nothing is left"
    );
    let told = h.events("core.message.deleted").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["user_id"], "client-a");
    assert_eq!(told[0]["message_ids"].as_array().unwrap().len(), 2);
    assert_eq!(h.app.round("end_terms").await.unwrap(), 0, "again does nothing");
}

#[tokio::test]
async fn a_message_of_somebody_who_is_worked_on_ends_with_the_next_round() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.run(CONVERSATION).await;
    let tx = h.database.pools("core").begin_worker().await.unwrap();
    tx.query(
        "select from core.users where user_id = 'client-a' for no key update",
        &[],
    )
    .await
    .unwrap();
    assert_eq!(h.app.round("end_terms").await.unwrap(), 0, "it waits for nobody");
    tx.rollback().await.unwrap();
    assert_eq!(h.app.round("end_terms").await.unwrap(), 3);
}

#[tokio::test]
async fn an_empty_thread_that_gets_a_turn_while_it_is_swept_stays() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    h.run(
        "insert into core.chat_threads (id, user_id, role, thread_id, title, updated_at)
         select gen_random_uuid(), u.user_id, 'companion', 'main', '', now() - interval '3 years'
         from core.users u where u.kind = 'client'",
    )
    .await;
    // The turn is not told of yet, so nobody else sees it.
    let working = h.database.superuser().await;
    working.run("begin; lock table core.outbox in share mode").await;
    let client = h.call("client-a");
    let sweep = async {
        h.so_many_wait(1).await;
        let swept = h.app.round("end_terms").await;
        working.run("commit").await;
        swept
    };
    let (path, said) = (format!("{MAIN}/turns"), turn("said", "replied"));
    let (stored, swept) = futures::join!(client.post(&path, &said), sweep);
    assert_eq!(
        (stored.code(), swept.unwrap()),
        (201, 1),
        "that of another one goes"
    );
    let kept = client.get(&format!("{MAIN}/messages")).await;
    assert_eq!(kept.items().len(), 2);
}

#[tokio::test]
async fn disclosures_go_after_three_years_and_not_before() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.run(
        "insert into core.consents (user_id, purpose, recipient, granted_at)
             values ('client-a', 'family_share', 'contact-1', now() - interval '4 years');
         insert into core.disclosures (user_id, consent_id, recipient, what, notice, at)
         select 'client-a', c.consent_id, 'contact-1', 'attendance', 'n', now() - d.age
         from core.consents c,
             unnest(array['3 years 1 minute', '2 years 364 days', '0']::interval[]) as d (age)",
    )
    .await;
    assert_eq!(h.app.round("end_terms").await.unwrap(), 1);
    let kept = "select count(*) from core.disclosures where at > now() - interval '3 years'";
    assert_eq!(h.database.count(kept).await, 2);
    assert_eq!(h.app.round("end_terms").await.unwrap(), 0, "again does nothing");
}

/// Writes an audit row as of a time, and lets it wait for its seal.
const ROW_OF: &str = "
    with written as (
        insert into core.audit_events (at, event_type, actor, actor_kind, action, decision)
        values (AT, 'read', 'x', 'service', 'x', 'allow') returning id, at)
    insert into core.audit_pending (id, at) select w.id, w.at from written w";

#[tokio::test]
async fn audit_rows_go_by_month_after_six_years_and_their_seals_stay() {
    let h = Harness::new().await;
    let (over, kept) = ("now() - interval '6 years 1 month'", "now() - interval '6 years'");
    for at in [over, kept] {
        h.run(&format!("select core.add_audit_partition(({at})::date)"))
            .await;
        h.run(&ROW_OF.replace("AT", at)).await;
    }
    assert_eq!(
        h.app.round("end_terms").await.unwrap(),
        0,
        "it waits for its seal"
    );
    // One month a seal: what one covers goes as a whole.
    h.app.round("seal").await.unwrap();
    h.app.round("seal").await.unwrap();
    h.run(&ROW_OF.replace("AT", "now()")).await;
    h.app.round("seal").await.unwrap();
    assert_eq!(h.app.round("end_terms").await.unwrap(), 1);
    assert_eq!(
        h.database.count("select count(*) from core.audit_events").await,
        2
    );
    h.verify_by_command().await.unwrap();
    let found = tampered(
        &h,
        "delete from core.audit_events where at < now() - interval '1 day'",
    )
    .await;
    assert_eq!(
        found,
        json!([{"seq": 2, "fault": "rows_changed"}]),
        "what is kept must be there"
    );
}

#[tokio::test]
async fn no_seal_loses_half_of_what_it_covers_when_a_month_goes() {
    let h = Harness::new().await;
    for at in ["'2026-01-31 23:59:59.999999Z'", "'2026-02-01Z'", "'2026-01-31Z'"] {
        h.run(&ROW_OF.replace("AT", at)).await;
    }
    h.app.round("seal").await.unwrap();
    h.app.round("seal").await.unwrap();
    let seals = "select count(*) from core.audit_seals";
    assert_eq!(h.database.count(seals).await, 2);
    let whole = "select count(*) from core.audit_seals where
         date_trunc('month', first_at, 'UTC') = date_trunc('month', last_at, 'UTC')";
    assert_eq!(h.database.count(whole).await, 2);
}

#[tokio::test]
async fn nobody_makes_rows_look_as_if_their_term_were_over() {
    let mut h = Harness::new().await;
    sealed(&mut h, 1).await;
    let gone = "delete from core.audit_events";
    let now_is_over =
        "create or replace function core.audit_kept_since() returns timestamptz language sql stable as
         $$ select now() $$";
    let found = tampered(&h, &format!("{gone}; {now_is_over}")).await;
    assert_eq!(found, json!([{"seq": 1, "fault": "rows_changed"}]));
    let older = "update core.audit_seals set first_at = '2001-01-01Z', last_at = '2001-01-01Z' where seq = 1";
    let found = tampered(&h, older).await;
    assert_eq!(found[0], json!({"seq": 1, "fault": "not_ours"}));
    let newer = "update core.audit_seals set first_at = '2001-01-01Z', last_at = now() where seq = 1";
    let found = tampered(&h, newer).await;
    for fault in ["rows_changed", "not_ours"] {
        let fault = json!({"seq": 1, "fault": fault});
        assert!(found.as_array().unwrap().contains(&fault), "{found}");
    }
}
