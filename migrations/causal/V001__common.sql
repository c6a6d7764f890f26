-- The tables that every schema has: events out, events in, what could not be applied, and answers kept for retries.

create table causal.outbox (
    id bigint generated always as identity,
    event_id uuid not null,
    event_type varchar(100) not null,
    subject varchar(255),
    data jsonb not null,
    traceparent varchar(64),
    created_at timestamptz not null default now(),
    xid xid8 not null default pg_current_xact_id(),
    published_at timestamptz,
    claimed_until timestamptz,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    last_error text,
    constraint pk_outbox primary key (id),
    constraint uq_outbox_event unique (event_id)
) with (fillfactor = 70);

comment on table causal.outbox is 'Events written in the transaction of the state they tell of; the relay publishes them.';
comment on column causal.outbox.id is 'Order of writing; the event''s sequence attribute.';
comment on column causal.outbox.event_id is 'The event''s id, UUID version 7, which consumers deduplicate on.';
comment on column causal.outbox.event_type is 'Routing key, for example social.profile.changed.';
comment on column causal.outbox.subject is 'The user the event is about, where there is one.';
comment on column causal.outbox.data is 'Ids, labels and scores; never text, names, contact data or coordinates.';
comment on column causal.outbox.traceparent is 'W3C trace context of the request that wrote the event.';
comment on column causal.outbox.created_at is 'When the fact was written.';
comment on column causal.outbox.xid is 'The writing transaction: a stream shows rows below pg_snapshot_xmin only.';
comment on column causal.outbox.published_at is 'When the broker confirmed it; null while it waits.';
comment on column causal.outbox.claimed_until is 'Until when one relay is publishing it; a claim that runs out is free again.';
comment on column causal.outbox.attempts is 'How often publishing was tried.';
comment on column causal.outbox.next_attempt_at is 'Not before this time, after a refusal by the broker.';
comment on column causal.outbox.last_error is 'Why the broker refused it last.';

create index idx_outbox_due on causal.outbox (next_attempt_at, id) where published_at is null;

create table causal.inbox (
    consumer varchar(100) not null,
    event_id uuid not null,
    received_at timestamptz not null default now(),
    constraint pk_inbox primary key (consumer, event_id)
);

comment on table causal.inbox is 'Events applied here: a second delivery finds its row and changes nothing.';
comment on column causal.inbox.consumer is 'Which consumer applied it.';
comment on column causal.inbox.event_id is 'The event''s id.';
comment on column causal.inbox.received_at is 'When it was applied.';

create index idx_inbox_received on causal.inbox (received_at);

create table causal.dead_letters (
    id bigint generated always as identity,
    consumer varchar(100) not null,
    event_id uuid,
    event_type varchar(100),
    subject varchar(255),
    body bytea not null,
    body_hash bytea not null,
    reason text not null,
    attempts integer not null,
    dead_at timestamptz not null default now(),
    redrive_requested_at timestamptz,
    redriven_at timestamptz,
    constraint pk_dead_letters primary key (id),
    constraint uq_dead_letters_letter unique nulls not distinct (consumer, event_id, body_hash)
);

comment on table causal.dead_letters is 'Events that could not be applied, kept until an operator redrives them.';
comment on column causal.dead_letters.id is 'Order of arrival.';
comment on column causal.dead_letters.consumer is 'Which consumer gave up.';
comment on column causal.dead_letters.event_id is 'The event''s id, where the envelope could be read.';
comment on column causal.dead_letters.event_type is 'Its routing key, where known.';
comment on column causal.dead_letters.subject is 'The user it is about, where known.';
comment on column causal.dead_letters.body is 'The message as it came.';
comment on column causal.dead_letters.body_hash is 'SHA-256 of the body: the same letter is kept once.';
comment on column causal.dead_letters.reason is 'What went wrong last, without the data.';
comment on column causal.dead_letters.attempts is 'How often it was tried.';
comment on column causal.dead_letters.dead_at is 'When it was given up.';
comment on column causal.dead_letters.redrive_requested_at is 'When an operator asked to try again.';
comment on column causal.dead_letters.redriven_at is 'When the new try succeeded.';

create index idx_dead_letters_redrive on causal.dead_letters (redrive_requested_at)
    where redrive_requested_at is not null and redriven_at is null;

create table causal.idempotency_keys (
    principal varchar(300) not null,
    key varchar(255) not null,
    request_hash bytea not null,
    status smallint,
    location text,
    body bytea,
    created_at timestamptz not null default now(),
    constraint pk_idempotency_keys primary key (principal, key)
);

comment on table causal.idempotency_keys is 'Answers kept for 24 hours, so that a repeated request gets the same bytes.';
comment on column causal.idempotency_keys.principal is 'Who asked; keys of different principals are independent.';
comment on column causal.idempotency_keys.key is 'The Idempotency-Key header.';
comment on column causal.idempotency_keys.request_hash is 'SHA-256 over method, path and body: another request under the key is refused.';
comment on column causal.idempotency_keys.status is 'Status of the answer.';
comment on column causal.idempotency_keys.location is 'Its Location header, where it had one.';
comment on column causal.idempotency_keys.body is 'Its body.';
comment on column causal.idempotency_keys.created_at is 'When it was answered.';

create index idx_idempotency_keys_created on causal.idempotency_keys (created_at);
