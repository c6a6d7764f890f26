-- Threads of a client with a companion, and what its models said about each reply.

create table core.chat_threads (
    id uuid not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    role varchar(255) not null,
    thread_id varchar(255) not null,
    title varchar(255) not null,
    title_from bigint,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_turn_id bigint,
    window_from bigint not null default 0,
    constraint pk_chat_threads primary key (id),
    constraint uq_chat_threads_user_role_thread unique (user_id, role, thread_id),
    -- What messages refer to: a thread holds messages of its own client only.
    constraint uq_chat_threads_id_user unique (id, user_id),
    constraint ck_chat_threads_role check (role ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint ck_chat_threads_thread_id check (thread_id ~ '^[A-Za-z0-9_-]{1,255}$')
);

comment on table core.chat_threads is 'Conversations of a client with a companion in one of its roles.';
comment on column core.chat_threads.id is 'Row id, by which messages name their thread.';
comment on column core.chat_threads.user_id is 'The client.';
comment on column core.chat_threads.role is 'In which role the companion speaks, such as companion, local_guide or study_guide.';
comment on column core.chat_threads.thread_id is 'The app''s name of the thread, unique for client and role.';
comment on column core.chat_threads.title is 'What lists show; empty until the first turn of a thread that was made without one.';
comment on column core.chat_threads.title_from is 'The message whose first words it is, with which it goes; null where somebody chose it.';
comment on column core.chat_threads.created_at is 'When it was begun.';
comment on column core.chat_threads.updated_at is 'When something was said in it last, or it was renamed.';
comment on column core.chat_threads.last_turn_id is 'The reply of the last turn; what short-term memory must end with to be current.';
comment on column core.chat_threads.window_from is 'Short-term memory holds turns behind this message; moved when the client has it forgotten.';

-- Threads in which nothing is left go when nothing was done in them for long.
create index idx_chat_threads_updated on core.chat_threads (updated_at);
create index idx_chat_threads_user_activity on core.chat_threads (user_id, updated_at desc, id desc);

alter table core.messages add column thread_pk uuid;
comment on column core.messages.thread_pk is 'The thread it belongs to, where it is part of one.';
alter table core.messages add column answers bigint;
comment on column core.messages.answers is 'The message it replies to, where both came as a turn.';
-- The rows that are there are looked at by V023, while others write.
alter table core.messages add constraint fk_messages_thread
    foreign key (thread_pk, user_id) references core.chat_threads (id, user_id) on delete cascade not valid;

create table core.message_ai_metadata (
    message_id bigint not null references core.messages (message_id) on delete cascade,
    user_id varchar(255) references core.users (user_id) on delete cascade,
    ai_core_version varchar(20),
    persona varchar(100),
    tone varchar(100),
    behavior varchar(100),
    context_type varchar(100),
    confidence double precision,
    signal_strength double precision,
    context_clarity smallint,
    needs_knowledge smallint,
    model_name varchar(100),
    prompt_tokens integer,
    completion_tokens integer,
    runtime varchar(100),
    provider varchar(100),
    provider_fallback_reason varchar(500),
    context_snapshot jsonb,
    is_mistake smallint not null default 0,
    mistake_note text,
    reviewed_by varchar(255) references core.users (user_id) on delete set null,
    reviewed_at timestamptz,
    constraint pk_message_ai_metadata primary key (message_id),
    constraint ck_message_ai_metadata_version check (ai_core_version ~ '^(1\.[0-9]{1,3}|2\.0|2\.1)$'),
    constraint ck_message_ai_metadata_confidence check (confidence >= 0 and confidence <= 1),
    constraint ck_message_ai_metadata_signal check (signal_strength >= 0 and signal_strength <= 1),
    constraint ck_message_ai_metadata_clarity check (context_clarity in (0, 1)),
    constraint ck_message_ai_metadata_knowledge check (needs_knowledge in (0, 1)),
    constraint ck_message_ai_metadata_tokens check (prompt_tokens >= 0 and completion_tokens >= 0),
    constraint ck_message_ai_metadata_mistake check (is_mistake in (0, 1)),
    -- No version has what belongs to another one.
    constraint ck_message_ai_metadata_mix check (case
        when ai_core_version is null then num_nonnulls(confidence, tone, behavior, signal_strength, context_clarity, needs_knowledge) = 0
        when ai_core_version like '1.%' then num_nonnulls(tone, behavior, signal_strength, context_clarity, needs_knowledge) = 0
        when ai_core_version = '2.0' then num_nonnulls(confidence, signal_strength, context_clarity, needs_knowledge) = 0
        else confidence is null end)
);

comment on table core.message_ai_metadata is 'What the companion''s models said about a reply they wrote, and what reviewers said of it.';
comment on column core.message_ai_metadata.message_id is 'The reply.';
comment on column core.message_ai_metadata.user_id is 'The client of the conversation; null once anonymised.';
comment on column core.message_ai_metadata.ai_core_version is '1.x, 2.0 or 2.1: it decides which of the columns below there are. Null where nothing was said that tells versions apart.';
comment on column core.message_ai_metadata.persona is 'Persona in 1.x; the persona that was used in later versions.';
comment on column core.message_ai_metadata.tone is 'From 2.0 on: such as casual, technical.';
comment on column core.message_ai_metadata.behavior is 'From 2.0 on: such as normal, cautious.';
comment on column core.message_ai_metadata.context_type is 'Kind of context.';
comment on column core.message_ai_metadata.confidence is '1.x only, 0 to 1.';
comment on column core.message_ai_metadata.signal_strength is '2.1, 0 to 1; takes the place of confidence.';
comment on column core.message_ai_metadata.context_clarity is '2.1: 1 where the context was clear.';
comment on column core.message_ai_metadata.needs_knowledge is '2.1: 1 where retrieval was needed.';
comment on column core.message_ai_metadata.model_name is 'The model that wrote it.';
comment on column core.message_ai_metadata.prompt_tokens is 'Tokens of the prompt.';
comment on column core.message_ai_metadata.completion_tokens is 'Tokens of the reply.';
comment on column core.message_ai_metadata.runtime is 'What ran the model.';
comment on column core.message_ai_metadata.provider is 'Who ran it.';
comment on column core.message_ai_metadata.provider_fallback_reason is 'Why another provider than the first one answered.';
comment on column core.message_ai_metadata.context_snapshot is 'What the model was given beside the message.';
comment on column core.message_ai_metadata.is_mistake is '1 where a reviewer holds the reply for a mistake.';
comment on column core.message_ai_metadata.mistake_note is 'The reviewer''s note.';
comment on column core.message_ai_metadata.reviewed_by is 'Who reviewed it last.';
comment on column core.message_ai_metadata.reviewed_at is 'When.';

create index idx_message_ai_metadata_user on core.message_ai_metadata (user_id);
create index idx_message_ai_metadata_mistakes on core.message_ai_metadata (user_id, message_id desc) where is_mistake = 1;
create index idx_message_ai_metadata_reviewer on core.message_ai_metadata (reviewed_by) where reviewed_by is not null;

alter table core.chat_threads enable row level security;
alter table core.chat_threads force row level security;
create policy visible on core.chat_threads using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.chat_threads to recoverly_worker using (true) with check (true);
create policy owner on core.chat_threads to recoverly_owner using (true) with check (true);

alter table core.message_ai_metadata enable row level security;
alter table core.message_ai_metadata force row level security;
create policy visible on core.message_ai_metadata using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.message_ai_metadata to recoverly_worker using (true) with check (true);
create policy owner on core.message_ai_metadata to recoverly_owner using (true) with check (true);
