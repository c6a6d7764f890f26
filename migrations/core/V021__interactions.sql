-- Meetings of staff and clients, and what providers and voices did.

create table core.interaction_sessions (
    id uuid not null,
    session_key varchar(255) not null,
    employee_id varchar(255) references core.users (user_id) on delete set null,
    client_id varchar(255) references core.users (user_id) on delete set null,
    metadata jsonb,
    created_at timestamptz not null default now(),
    constraint pk_interaction_sessions primary key (id),
    constraint uq_interaction_sessions_session_key unique (session_key)
);

comment on table core.interaction_sessions is 'Sessions of a member of staff, mostly with a client. They stay, without the person, when either leaves.';
comment on column core.interaction_sessions.id is 'Row id.';
comment on column core.interaction_sessions.session_key is 'The app''s name of the session; the row''s own id, by which nobody finds it, once its client has left.';
comment on column core.interaction_sessions.employee_id is 'Who held it; given when it is made, null once that account is erased.';
comment on column core.interaction_sessions.client_id is 'With whom; null until that is known, and once that account is erased.';
comment on column core.interaction_sessions.metadata is 'Additional data; gone with the client.';
comment on column core.interaction_sessions.created_at is 'When it began.';

create index idx_interaction_sessions_client on core.interaction_sessions (client_id, created_at desc, id desc);
create index idx_interaction_sessions_employee on core.interaction_sessions (employee_id, created_at desc);

create function core.forget_session_client() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.session_key := new.id::varchar;
    new.metadata := null;
    return new;
end $$;
comment on function core.forget_session_client() is 'Takes out of a session what could name its client, when that client leaves.';

create trigger forget_client before update of client_id on core.interaction_sessions
    for each row when (old.client_id is not null and new.client_id is null)
    execute function core.forget_session_client();

create table core.transcript_chunks (
    session_id uuid not null references core.interaction_sessions (id) on delete cascade,
    chunk_index integer not null,
    client_id varchar(255) references core.users (user_id) on delete cascade,
    content text not null,
    created_at timestamptz not null default now(),
    constraint pk_transcript_chunks primary key (session_id, chunk_index),
    constraint ck_transcript_chunks_index check (chunk_index >= 0),
    constraint ck_transcript_chunks_content check (octet_length(content) between 1 and 65536)
);

comment on table core.transcript_chunks is 'What was said in a session, in pieces.';
comment on column core.transcript_chunks.session_id is 'The session.';
comment on column core.transcript_chunks.chunk_index is 'Place of the piece, from 0.';
comment on column core.transcript_chunks.client_id is 'The client of the session, with whom the piece goes.';
comment on column core.transcript_chunks.content is 'The text, 1 to 65,536 bytes.';
comment on column core.transcript_chunks.created_at is 'When it was stored.';

create index idx_transcript_chunks_client on core.transcript_chunks (client_id);

create table core.coaching_notes (
    id bigint generated always as identity,
    session_id uuid not null references core.interaction_sessions (id) on delete cascade,
    client_id varchar(255) references core.users (user_id) on delete cascade,
    note text not null,
    author_id varchar(255) references core.users (user_id) on delete set null,
    created_at timestamptz not null default now(),
    constraint pk_coaching_notes primary key (id),
    constraint ck_coaching_notes_note check (octet_length(note) between 1 and 65536)
);

comment on table core.coaching_notes is 'Notes of staff on a session, for staff only.';
comment on column core.coaching_notes.id is 'Row id.';
comment on column core.coaching_notes.session_id is 'The session.';
comment on column core.coaching_notes.client_id is 'The client of the session, with whom the note goes.';
comment on column core.coaching_notes.note is 'The text, 1 to 65,536 bytes.';
comment on column core.coaching_notes.author_id is 'Who wrote it; null once that account is erased.';
comment on column core.coaching_notes.created_at is 'When.';

create index idx_coaching_notes_session on core.coaching_notes (session_id, id);
create index idx_coaching_notes_client on core.coaching_notes (client_id);
create index idx_coaching_notes_author on core.coaching_notes (author_id) where author_id is not null;

-- Whoever writes: what was said with a client goes with the client, also where that was not known yet when it was stored.
-- The session is held until the row is committed, so that nobody becomes its client meanwhile.
create function core.take_session_client() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    select s.client_id into new.client_id from core.interaction_sessions s where s.id = new.session_id for share;
    return new;
end $$;
comment on function core.take_session_client() is 'Gives what belongs to a session the client of the session.';

create trigger take_client before insert on core.transcript_chunks
    for each row execute function core.take_session_client();
create trigger take_client before insert on core.coaching_notes
    for each row execute function core.take_session_client();

create function core.give_session_client() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update core.transcript_chunks c set client_id = new.client_id where c.session_id = new.id;
    update core.coaching_notes n set client_id = new.client_id where n.session_id = new.id;
    return null;
end $$;
comment on function core.give_session_client() is 'Gives what a session has already the client who is known by now.';

create trigger give_client after update of client_id on core.interaction_sessions
    for each row when (old.client_id is null and new.client_id is not null)
    execute function core.give_session_client();

create table core.provider_events (
    id bigint generated always as identity,
    user_id varchar(255) references core.users (user_id) on delete cascade,
    scope varchar(50) not null,
    provider_name varchar(100) not null,
    runtime varchar(100),
    status varchar(10) not null,
    fallback_reason varchar(500),
    metadata jsonb,
    request_id varchar(128),
    created_at timestamptz not null default now(),
    constraint pk_provider_events primary key (id),
    constraint ck_provider_events_status check (status in ('success', 'degraded', 'failed', 'fallback'))
);

comment on table core.provider_events is 'How calls of providers went.';
comment on column core.provider_events.id is 'Row id.';
comment on column core.provider_events.user_id is 'For whom it was called; null where for nobody in particular.';
comment on column core.provider_events.scope is 'What it was called for, such as chat or embedding.';
comment on column core.provider_events.provider_name is 'The provider.';
comment on column core.provider_events.runtime is 'What ran the model.';
comment on column core.provider_events.status is 'success, degraded, failed or fallback.';
comment on column core.provider_events.fallback_reason is 'Why another one had to answer.';
comment on column core.provider_events.metadata is 'Additional data.';
comment on column core.provider_events.request_id is 'The request of the app that led to the call.';
comment on column core.provider_events.created_at is 'When.';

create index idx_provider_events_request on core.provider_events (request_id) where request_id is not null;
create index idx_provider_events_user on core.provider_events (user_id, created_at);
create index idx_provider_events_created on core.provider_events (created_at);

create table core.voice_events (
    id bigint generated always as identity,
    user_id varchar(255) references core.users (user_id) on delete cascade,
    provider_name varchar(100) not null,
    text_hash varchar(128) not null,
    language varchar(35),
    status varchar(10) not null,
    duration_ms integer,
    audio_uri varchar(2000),
    metadata jsonb,
    request_id varchar(128),
    created_at timestamptz not null default now(),
    constraint pk_voice_events primary key (id),
    constraint ck_voice_events_status check (status in ('success', 'degraded', 'failed', 'fallback')),
    constraint ck_voice_events_duration check (duration_ms >= 0)
);

comment on table core.voice_events is 'What was spoken to clients, by hash.';
comment on column core.voice_events.id is 'Row id.';
comment on column core.voice_events.user_id is 'To whom; null where to nobody in particular.';
comment on column core.voice_events.provider_name is 'The provider.';
comment on column core.voice_events.text_hash is 'Hash of the text that was spoken.';
comment on column core.voice_events.language is 'BCP 47 language tag.';
comment on column core.voice_events.status is 'success, degraded, failed or fallback.';
comment on column core.voice_events.duration_ms is 'Length of the audio, in milliseconds.';
comment on column core.voice_events.audio_uri is 'Where the audio is.';
comment on column core.voice_events.metadata is 'Additional data.';
comment on column core.voice_events.request_id is 'The request of the app that led to it.';
comment on column core.voice_events.created_at is 'When.';

create index idx_voice_events_request on core.voice_events (request_id) where request_id is not null;
create index idx_voice_events_user on core.voice_events (user_id, created_at);
create index idx_voice_events_created on core.voice_events (created_at);

do $policies$
declare
    place text;
    person text;
begin
    for place, person in values ('provider_events', 'user_id'), ('voice_events', 'user_id') loop
        execute format('alter table core.%I enable row level security', place);
        execute format('alter table core.%I force row level security', place);
        execute format('create policy visible on core.%I using (%I in (select unnest(core.visible_clients())))', place, person);
        execute format('create policy worker on core.%I to recoverly_worker using (true) with check (true)', place);
        execute format('create policy owner on core.%I to recoverly_owner using (true) with check (true)', place);
    end loop;
end
$policies$;

-- Of a session whose client is not known, the member of staff who holds it sees it alone.
alter table core.interaction_sessions enable row level security;
alter table core.interaction_sessions force row level security;
create policy visible on core.interaction_sessions using (
    client_id in (select unnest(core.visible_clients()))
    or client_id is null and employee_id in (select unnest(core.visible_clients())));
create policy worker on core.interaction_sessions to recoverly_worker using (true) with check (true);
create policy owner on core.interaction_sessions to recoverly_owner using (true) with check (true);

alter table core.transcript_chunks enable row level security;
alter table core.transcript_chunks force row level security;
create policy visible on core.transcript_chunks using (
    client_id in (select unnest(core.visible_clients()))
    or client_id is null and exists (select from core.interaction_sessions s where s.id = session_id));
create policy worker on core.transcript_chunks to recoverly_worker using (true) with check (true);
create policy owner on core.transcript_chunks to recoverly_owner using (true) with check (true);

-- Never the client, and never who acts for them.
alter table core.coaching_notes enable row level security;
alter table core.coaching_notes force row level security;
create policy visible on core.coaching_notes using (
    (select current_setting('recoverly.actor', true)) like 'staff:%' and (
        client_id in (select unnest(core.visible_clients()))
        or client_id is null and exists (select from core.interaction_sessions s where s.id = session_id)));
create policy worker on core.coaching_notes to recoverly_worker using (true) with check (true);
create policy owner on core.coaching_notes to recoverly_owner using (true) with check (true);

-- The same holds for what a person gets of what is held of them: notes on coaching are about the work of staff.
create or replace function core.export_user(exported varchar) returns table (table_name text, row_data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.table_name,
        case when e.table_name = 'messages' and e.row_data ->> 'recipient_id' <> exported
            then e.row_data || '{"recipient_id": null}' else e.row_data end
    from core.export_from('core', exported) e
    where e.table_name <> 'coaching_notes'
$$;
comment on function core.export_user(varchar) is 'What core holds of an account, but for what staff noted for themselves.';
