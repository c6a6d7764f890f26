-- Into the limit's database: what one read leaves behind, as `core.audit_events` has it, without the seal's share.

create table bench.audit_events (
    id bigint generated always as identity,
    at timestamptz not null default now(),
    event_type varchar(50) not null,
    actor varchar(255) not null,
    actor_kind varchar(20) not null,
    subject_refs uuid[] not null,
    action varchar(200) not null,
    object_type varchar(50),
    decision varchar(5) not null,
    purpose varchar(50),
    request_id varchar(128),
    primary key (id, at)
);

create index on bench.audit_events using gin (subject_refs);
create index on bench.audit_events (event_type, at);
create index on bench.audit_events (request_id);
