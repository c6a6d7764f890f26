-- Long-term memory of the companion, its embeddings and collections, and faces. All of it under a consent.

create table core.embedding_models (
    name varchar(100) not null,
    dimensions integer not null,
    purpose varchar(10) not null,
    active boolean not null default true,
    created_at timestamptz not null default now(),
    constraint pk_embedding_models primary key (name),
    -- What embeddings refer to: none has other dimensions than its model.
    constraint uq_embedding_models_dimensions unique (name, dimensions),
    constraint ck_embedding_models_name check (name ~ '^[A-Za-z0-9._-]{1,100}$'),
    constraint ck_embedding_models_purpose check (purpose in ('text', 'face')),
    constraint ck_embedding_models_dimensions check (dimensions between 1 and 4000)
);

comment on table core.embedding_models is 'Models whose embeddings are taken. The search of each is served by an index of its own.';
comment on column core.embedding_models.name is 'Name, as embeddings carry it.';
comment on column core.embedding_models.dimensions is 'Length of its embeddings.';
comment on column core.embedding_models.purpose is 'text or face.';
comment on column core.embedding_models.active is 'Whether its embeddings are still taken and leased.';
comment on column core.embedding_models.created_at is 'When it was registered.';

insert into core.embedding_models (name, dimensions, purpose) values ('text-1536', 1536, 'text'), ('face-512', 512, 'face');

create table core.memories (
    id uuid not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    role varchar(255),
    thread_id varchar(255),
    memory_type varchar(10) not null,
    entry_type varchar(20) not null,
    content text not null,
    is_sensitive boolean not null default false,
    write_reason varchar(500),
    source_provider varchar(100),
    source_session_id varchar(255),
    metadata jsonb,
    idempotency_hash varchar(128),
    created_by_request_id varchar(128),
    created_at timestamptz not null default now(),
    accessed_at timestamptz not null default now(),
    valid_from timestamptz not null default now(),
    superseded_by uuid,
    expires_at timestamptz,
    content_words tsvector not null generated always as (to_tsvector('pg_catalog.simple', content)) stored,
    constraint pk_memories primary key (id),
    constraint uq_memories_idempotency unique (user_id, idempotency_hash),
    constraint uq_memories_id_user unique (id, user_id),
    -- Whoever forgets a correction forgets what it corrected as well: it must not come back as the truth.
    constraint fk_memories_superseded_by foreign key (superseded_by, user_id)
        references core.memories (id, user_id) on delete cascade deferrable,
    constraint ck_memories_memory_type check (memory_type in ('personal', 'project', 'task')),
    constraint ck_memories_entry_type check (entry_type in ('profile_fact', 'preference', 'retrieval_document', 'summary', 'nugget')),
    constraint ck_memories_content check (octet_length(content) between 1 and 65536),
    constraint ck_memories_role check (role ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint ck_memories_thread_id check (thread_id ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint ck_memories_superseded_by check (superseded_by <> id)
);

comment on table core.memories is 'What the companion remembers of a client: what holds, and what was corrected.';
comment on column core.memories.id is 'Row id.';
comment on column core.memories.user_id is 'The client.';
comment on column core.memories.role is 'The companion''s role it belongs to; null for all.';
comment on column core.memories.thread_id is 'The thread it came from.';
comment on column core.memories.memory_type is 'personal, project or task. Tasks are pruned.';
comment on column core.memories.entry_type is 'profile_fact, preference, retrieval_document, summary or nugget.';
comment on column core.memories.content is 'What is remembered, 1 to 65,536 bytes.';
comment on column core.memories.is_sensitive is 'Whether it is for the client and their app alone.';
comment on column core.memories.write_reason is 'Why it was kept.';
comment on column core.memories.source_provider is 'Which provider''s model proposed it.';
comment on column core.memories.source_session_id is 'The session it came from.';
comment on column core.memories.metadata is 'Additional data of the app.';
comment on column core.memories.idempotency_hash is 'The app''s hash of it: the same hash again is the same memory.';
comment on column core.memories.created_by_request_id is 'The request that stored it, as in the audit.';
comment on column core.memories.created_at is 'When it was stored.';
comment on column core.memories.accessed_at is 'When it was last found or read, to the minute or so.';
comment on column core.memories.valid_from is 'From when on it holds; a correction holds from when it was made, unless it says otherwise.';
comment on column core.memories.superseded_by is 'The correction that took its place; null while it holds.';
comment on column core.memories.expires_at is 'From when on it is not found any more, and pruned.';
comment on column core.memories.content_words is 'The words of the content, in no language, for search.';

create index idx_memories_user_type on core.memories (user_id, memory_type, created_at desc);
create index idx_memories_user_created on core.memories (user_id, created_at desc, id desc);
-- Tasks beyond a client's quota are counted in it. Without accessed_at, which would make every note of it a new entry in
-- each index.
create index idx_memories_tasks on core.memories (user_id) where memory_type = 'task' and superseded_by is null;
create index idx_memories_superseded_by on core.memories (superseded_by, user_id) where superseded_by is not null;
create index idx_memories_expires on core.memories (expires_at) where expires_at is not null;

create table core.memory_embeddings (
    id bigint generated always as identity,
    memory_entry_id uuid not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    embedding_model varchar(100) not null,
    embedding_dimensions integer not null,
    distance_metric varchar(10) not null default 'cosine',
    embedding public.vector not null,
    created_at timestamptz not null default now(),
    constraint pk_memory_embeddings primary key (id),
    constraint uq_memory_embeddings_model unique (memory_entry_id, embedding_model),
    constraint fk_memory_embeddings_memory foreign key (memory_entry_id, user_id)
        references core.memories (id, user_id) on delete cascade,
    constraint fk_memory_embeddings_model foreign key (embedding_model, embedding_dimensions)
        references core.embedding_models (name, dimensions),
    constraint ck_memory_embeddings_dimensions check (public.vector_dims(embedding) = embedding_dimensions),
    constraint ck_memory_embeddings_metric check (distance_metric = 'cosine')
);

comment on table core.memory_embeddings is 'Embeddings of memories that hold; a correction removes those of what it corrects.';
comment on column core.memory_embeddings.id is 'Row id.';
comment on column core.memory_embeddings.memory_entry_id is 'The memory.';
comment on column core.memory_embeddings.user_id is 'Its client.';
comment on column core.memory_embeddings.embedding_model is 'The model it was computed by.';
comment on column core.memory_embeddings.embedding_dimensions is 'Its length, which is its model''s.';
comment on column core.memory_embeddings.distance_metric is 'How it is compared: cosine.';
comment on column core.memory_embeddings.embedding is 'The embedding, brought to length 1: it is compared by its direction.';
comment on column core.memory_embeddings.created_at is 'When it was stored.';

create index idx_memory_embeddings_user on core.memory_embeddings (user_id, embedding_model);

-- An index serves one length only: one for each model. Of half-precision numbers: on 100,000 clustered vectors its recall
-- is 0.970, at half the size (391 MB instead of 781 MB). Searches order what it finds by the whole ones.
-- How it is built is no setting, since another number builds the index anew: m = 16 neighbours are pgvector's own, and 24
-- took 73 s instead of 45 and found no more; ef_construction = 128 looks at more of them while it builds, where pgvector's
-- 64 found 0.91 of the nearest (docs/PERFORMANCE.md). How it is walked the service sets (RECOVERLY_SEARCH_EF).
create index idx_memory_embeddings_text_1536 on core.memory_embeddings
    using hnsw ((embedding::public.halfvec(1536)) public.halfvec_cosine_ops) with (m = 16, ef_construction = 128)
    where embedding_model = 'text-1536';

create table core.embedding_leases (
    memory_entry_id uuid not null,
    embedding_model varchar(100) not null references core.embedding_models (name) on delete cascade,
    leased_by varchar(255) references core.api_clients (client_id) on delete set null,
    lease_until timestamptz not null default '-infinity',
    constraint pk_embedding_leases primary key (memory_entry_id, embedding_model),
    constraint fk_embedding_leases_memory foreign key (memory_entry_id) references core.memories (id) on delete cascade
);

comment on table core.embedding_leases is 'Embeddings that are wanted, and which pipeline is computing them. A row goes with its embedding.';
comment on column core.embedding_leases.memory_entry_id is 'The memory.';
comment on column core.embedding_leases.embedding_model is 'The model.';
comment on column core.embedding_leases.leased_by is 'The pipeline that took it last, and may store the embedding until then; null where none did.';
comment on column core.embedding_leases.lease_until is 'From then on another may take it; those that nobody took are over since ever.';

create index idx_embedding_leases_leased_by on core.embedding_leases (leased_by);
create index idx_embedding_leases_model on core.embedding_leases (embedding_model, lease_until, memory_entry_id);

-- What waits for an embedding is written down when it is stored: looking for memories without one would read all of
-- them at every lease. Security definer: whoever remembers takes no leases.
create function core.want_embeddings() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into core.embedding_leases (memory_entry_id, embedding_model)
    select s.id, m.name
    from stored s cross join core.embedding_models m
    where s.superseded_by is null and m.active and m.purpose = 'text'
    on conflict do nothing;
    return null;
end $$;
comment on function core.want_embeddings() is 'Wants an embedding of each active text model for memories that were stored.';

create trigger want_embeddings after insert on core.memories
    referencing new table as stored for each statement execute function core.want_embeddings();

create function core.have_embeddings() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    delete from core.embedding_leases l using stored s
    where l.memory_entry_id = s.memory_entry_id and l.embedding_model = s.embedding_model;
    return null;
end $$;
comment on function core.have_embeddings() is 'Wants an embedding no more that was stored.';

create trigger have_embeddings after insert on core.memory_embeddings
    referencing new table as stored for each statement execute function core.have_embeddings();

-- Whoever corrects: what was corrected is in the history, and in no search.
create function core.drop_corrected() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    delete from core.memory_embeddings e where e.memory_entry_id = new.id;
    delete from core.embedding_leases l where l.memory_entry_id = new.id;
    return null;
end $$;
comment on function core.drop_corrected() is 'Removes embeddings of a memory that was corrected, and wants none.';

create trigger drop_corrected after update of superseded_by on core.memories
    for each row when (new.superseded_by is not null) execute function core.drop_corrected();

create table core.memory_collections (
    id uuid not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    collection_type varchar(50) not null,
    name varchar(255) not null,
    description text,
    created_at timestamptz not null default now(),
    created_by varchar(255) not null,
    updated_by varchar(255) not null,
    updated_at timestamptz not null default now(),
    constraint pk_memory_collections primary key (id),
    constraint uq_memory_collections_id_user unique (id, user_id),
    constraint uq_memory_collections_name unique (user_id, collection_type, name)
);

comment on table core.memory_collections is 'Memories put together under a theme.';
comment on column core.memory_collections.id is 'Row id.';
comment on column core.memory_collections.user_id is 'The client.';
comment on column core.memory_collections.collection_type is 'What sort of theme: goal, stressor_log, preference and so on.';
comment on column core.memory_collections.name is 'What it is called.';
comment on column core.memory_collections.description is 'What it is for.';
comment on column core.memory_collections.created_at is 'When it was made.';
comment on column core.memory_collections.created_by is 'By whom: self, or the id of the app.';
comment on column core.memory_collections.updated_by is 'Who changed it last, items included.';
comment on column core.memory_collections.updated_at is 'When.';

create table core.memory_collection_items (
    collection_id uuid not null,
    memory_id uuid not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    added_by varchar(255) not null,
    added_at timestamptz not null default now(),
    constraint pk_memory_collection_items primary key (collection_id, memory_id),
    -- Both of the same client.
    constraint fk_memory_collection_items_collection foreign key (collection_id, user_id)
        references core.memory_collections (id, user_id) on delete cascade,
    constraint fk_memory_collection_items_memory foreign key (memory_id, user_id)
        references core.memories (id, user_id) on delete cascade
);

comment on table core.memory_collection_items is 'Which memories are in which collection.';
comment on column core.memory_collection_items.collection_id is 'The collection.';
comment on column core.memory_collection_items.memory_id is 'The memory.';
comment on column core.memory_collection_items.user_id is 'The client of both.';
comment on column core.memory_collection_items.added_by is 'By whom: self, or the id of the app.';
comment on column core.memory_collection_items.added_at is 'When.';

create index idx_memory_collection_items_memory on core.memory_collection_items (memory_id, user_id);
create index idx_memory_collection_items_user on core.memory_collection_items (user_id);

create table core.face_embeddings (
    id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    embedding public.vector(512) not null,
    model_name varchar(100) not null references core.embedding_models (name),
    created_at timestamptz not null default now(),
    source_session_id varchar(255),
    idempotency_hash varchar(128) not null,
    constraint pk_face_embeddings primary key (id),
    constraint uq_face_embeddings_idempotency unique (user_id, idempotency_hash)
);

comment on table core.face_embeddings is 'Faces of clients who consented to it, for as long as they do.';
comment on column core.face_embeddings.id is 'Row id.';
comment on column core.face_embeddings.user_id is 'The client.';
comment on column core.face_embeddings.embedding is 'The embedding, of 512 dimensions.';
comment on column core.face_embeddings.model_name is 'The model it was computed by.';
comment on column core.face_embeddings.created_at is 'When it was stored.';
comment on column core.face_embeddings.source_session_id is 'The session it came from.';
comment on column core.face_embeddings.idempotency_hash is 'The app''s hash of it: the same hash again is the same face.';

-- The consent decides here, whoever writes: it is held until the row is committed, so that a revocation waits and then
-- finds the row it must remove.
create function core.require_biometrics() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if core.hold_consent(new.user_id, 'biometrics', 'programme') is null then
        raise exception 'no face without a consent' using errcode = 'check_violation', constraint = 'ck_face_embeddings_consent';
    end if;
    return new;
end $$;
comment on function core.require_biometrics() is 'Refuses a face without an active consent to biometrics, as constraint ck_face_embeddings_consent.';

create trigger require_biometrics before insert on core.face_embeddings
    for each row execute function core.require_biometrics();

create function core.forget_faces() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    delete from core.face_embeddings f where f.user_id = new.user_id;
    return null;
end $$;
comment on function core.forget_faces() is 'Removes the faces of whoever took back their consent to biometrics, or gives a new one.';

create trigger forget_faces after update of revoked_at on core.consents
    for each row when (new.purpose = 'biometrics' and new.revoked_at is not null)
    execute function core.forget_faces();

-- There is no other consent then: faces that are there are of one that has run out, and not what was consented to now.
create trigger forget_faces_before after insert on core.consents
    for each row when (new.purpose = 'biometrics' and new.recipient = 'programme')
    execute function core.forget_faces();

do $policies$
declare
    place text;
begin
    foreach place in array array['memories', 'memory_embeddings', 'memory_collections', 'memory_collection_items', 'face_embeddings'] loop
        execute format('alter table core.%I enable row level security', place);
        execute format('alter table core.%I force row level security', place);
        execute format('create policy visible on core.%I using (user_id in (select unnest(core.visible_clients())))', place);
        execute format('create policy worker on core.%I to recoverly_worker using (true) with check (true)', place);
        execute format('create policy owner on core.%I to recoverly_owner using (true) with check (true)', place);
    end loop;
end
$policies$;

-- Models are registered by the operator; leases are the worker's.
revoke insert, update, delete on core.embedding_models from recoverly_core;
revoke all on core.embedding_leases from recoverly_core;
