-- Messages, and who scores them.

create table core.messages (
    message_id bigint generated always as identity,
    user_id varchar(255) references core.users (user_id) on delete cascade,
    message_text text not null,
    timestamp timestamptz not null default now(),
    conversation_type varchar(50) not null,
    sender_role varchar(20) not null default 'user',
    recipient_id varchar(255) references core.users (user_id) on delete set null,
    request_id varchar(128),
    stored_at timestamptz not null default now(),
    anonymized_at timestamptz,
    metadata jsonb,
    constraint pk_messages primary key (message_id),
    constraint ck_messages_text check (octet_length(message_text) between 1 and 65536),
    constraint ck_messages_conversation_type check (conversation_type in ('buddy', 'counselor', 'group', 'family', 'assistant')),
    constraint ck_messages_sender_role check (sender_role in ('user', 'assistant', 'staff')),
    constraint ck_messages_owner check (user_id is not null or anonymized_at is not null)
);

comment on table core.messages is 'All messages across conversations. Text never leaves this schema.';
comment on column core.messages.message_id is 'Auto-incrementing id.';
comment on column core.messages.user_id is 'The client of the conversation; null once anonymised.';
comment on column core.messages.message_text is 'Message content, 1 to 65,536 bytes.';
comment on column core.messages.timestamp is 'When the message was sent.';
comment on column core.messages.conversation_type is 'buddy, counselor, group, family or assistant.';
comment on column core.messages.sender_role is 'Who wrote it: user, assistant or staff. Only the user''s own are scored.';
comment on column core.messages.recipient_id is 'Message recipient, where it is one person.';
comment on column core.messages.request_id is 'The request that stored it.';
comment on column core.messages.stored_at is 'When it was stored; the sender says timestamp, which may lie days back.';
comment on column core.messages.anonymized_at is 'When its identifiers were removed.';
comment on column core.messages.metadata is 'Additional message data.';

-- The included columns let the counts of the last 7 days be read from the index alone.
create index idx_messages_user_time on core.messages (user_id, timestamp desc) include (conversation_type, sender_role);
-- The last own buddy message, however long ago.
create index idx_messages_user_buddy on core.messages (user_id, timestamp desc)
    where conversation_type = 'buddy' and sender_role = 'user';
create index idx_messages_timestamp on core.messages (timestamp desc);
create index idx_messages_conversation on core.messages (conversation_type);
create index idx_messages_request on core.messages (request_id) where request_id is not null;
create index idx_messages_recipient on core.messages (recipient_id) where recipient_id is not null;

create table core.scoring_models (
    model_version varchar(50),
    scan_from bigint not null default 0,
    first_lease_at timestamptz not null default now(),
    constraint pk_scoring_models primary key (model_version)
);

comment on table core.scoring_models is 'Model versions that lease messages, each with where its search begins.';
comment on column core.scoring_models.model_version is 'The version, as predictions carry it.';
comment on column core.scoring_models.scan_from is 'Every message below this id is leased or scored, or was never to be; only a hint that saves a scan.';
comment on column core.scoring_models.first_lease_at is 'When it first asked.';

create table core.message_scoring (
    message_id bigint not null references core.messages (message_id) on delete cascade,
    model_version varchar(50) not null,
    leased_by varchar(255),
    lease_until timestamptz,
    scored_at timestamptz,
    constraint pk_message_scoring primary key (message_id, model_version)
);

comment on table core.message_scoring is 'Which pipeline is scoring which message, and which are done.';
comment on column core.message_scoring.message_id is 'The message.';
comment on column core.message_scoring.model_version is 'The model that scores it.';
comment on column core.message_scoring.leased_by is 'The pipeline that took it.';
comment on column core.message_scoring.lease_until is 'From then on another may take it.';
comment on column core.message_scoring.scored_at is 'When its prediction was stored; null while it is open.';

create index idx_message_scoring_open on core.message_scoring (model_version, lease_until) where scored_at is null;

alter table core.messages enable row level security;
alter table core.messages force row level security;
create policy visible on core.messages using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.messages to recoverly_worker using (true) with check (true);
create policy owner on core.messages to recoverly_owner using (true) with check (true);

grant select (message_id, user_id, timestamp, conversation_type, sender_role) on core.messages to recoverly_social, recoverly_social_worker;
