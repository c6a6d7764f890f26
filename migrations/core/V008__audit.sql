-- The audit: who did what, about whom, when, and whether it was allowed. Rows name people by random references, which
-- leave with the account; they are written by one function, never changed, and sealed into a chain.

create table core.subject_refs (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    subject_ref uuid not null default gen_random_uuid(),
    constraint pk_subject_refs primary key (user_id),
    constraint uq_subject_refs_subject_ref unique (subject_ref)
);

comment on table core.subject_refs is 'By which reference the audit names a person. Gone with the account: the audit then names nobody.';
comment on column core.subject_refs.user_id is 'The person.';
comment on column core.subject_refs.subject_ref is 'The reference, random.';

insert into core.subject_refs (user_id) select u.user_id from core.users u;

create function core.give_subject_refs() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into core.subject_refs (user_id) select m.user_id from made m;
    return null;
end $$;
comment on function core.give_subject_refs() is 'Gives every new account its reference.';

create trigger users_subject_refs after insert on core.users referencing new table as made
    for each statement execute function core.give_subject_refs();

create table core.audit_events (
    id bigint generated always as identity,
    at timestamptz not null default now(),
    event_type varchar(50) not null,
    actor varchar(255) not null,
    actor_kind varchar(20) not null,
    subject_refs uuid[] not null default '{}',
    action varchar(200) not null,
    object_type varchar(50),
    object_id varchar(255),
    decision varchar(5) not null,
    reason varchar(500),
    purpose varchar(50),
    request_id varchar(128),
    metadata jsonb,
    constraint pk_audit_events primary key (id, at),
    constraint ck_audit_events_decision check (decision in ('allow', 'deny'))
) partition by range (at);

comment on table core.audit_events is 'Who did what, about whom, when, and whether it was allowed. Only ever inserted.';
comment on column core.audit_events.id is 'Order of writing; the order within a seal.';
comment on column core.audit_events.at is 'When; rows of a month share a partition.';
comment on column core.audit_events.event_type is 'read, write, or a word of its own for what is looked for by itself: memory_write, user_profile_update, family_mode_share, sign_in, operator.';
comment on column core.audit_events.actor is 'Who: the reference of a person, or the id of a program.';
comment on column core.audit_events.actor_kind is 'client, staff, app, pipeline or service; clerk, operator, or anybody who has not shown who they are.';
comment on column core.audit_events.subject_refs is 'About whom: references of people.';
comment on column core.audit_events.action is 'Method and route, such as GET /v1/users/{user_id}/messages.';
comment on column core.audit_events.object_type is 'What kind of thing, such as messages.';
comment on column core.audit_events.object_id is 'Which one, where the address says it; never the id of a person.';
comment on column core.audit_events.decision is 'allow or deny.';
comment on column core.audit_events.reason is 'Why it was denied, or what else there is to say.';
comment on column core.audit_events.purpose is 'What gave the right: self, on_behalf, caseload, escalation and so on.';
comment on column core.audit_events.request_id is 'Our own id of the request; the logs have it as stored_request_id.';
comment on column core.audit_events.metadata is 'Ids, counts and words; never text, names or contact data.';

create index idx_audit_events_subject_refs on core.audit_events using gin (subject_refs);
create index idx_audit_events_event_type on core.audit_events (event_type, at);
create index idx_audit_events_request_id on core.audit_events (request_id);
-- Rows come in the order of their times: a few pages say where a stretch of them is.
create index idx_audit_events_at on core.audit_events using brin (at) with (autosummarize = on);

create table core.audit_pending (
    id bigint not null,
    at timestamptz not null
);

comment on table core.audit_pending is 'Audit rows that wait for their seal. Without a key: one sealer empties it from the front, and it stays small.';
comment on column core.audit_pending.id is 'The audit row.';
comment on column core.audit_pending.at is 'Its time, which finds its partition.';

create table core.audit_seals (
    seq bigint not null,
    sealed_at timestamptz not null default now(),
    event_ids bigint[] not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    prev_hash bytea not null,
    hash bytea not null,
    mac bytea not null,
    constraint pk_audit_seals primary key (seq),
    constraint ck_audit_seals_seq check (seq > 0),
    constraint ck_audit_seals_hashes check (octet_length(prev_hash) = 32 and octet_length(hash) = 32 and octet_length(mac) = 32)
);

comment on table core.audit_seals is 'The chain: each seal covers rows and the seal before it. Only ever inserted; a copy of each stands outside Postgres.';
comment on column core.audit_seals.seq is 'Place in the chain, from 1, without gaps.';
comment on column core.audit_seals.sealed_at is 'When it was sealed.';
comment on column core.audit_seals.event_ids is 'The rows it covers, in order.';
comment on column core.audit_seals.first_at is 'Time of the oldest of them; all are of one month.';
comment on column core.audit_seals.last_at is 'Time of the newest.';
comment on column core.audit_seals.prev_hash is 'Hash of the seal before; zeros for the first.';
comment on column core.audit_seals.hash is 'SHA-256 over prev_hash, seq and the hashes of the rows.';
comment on column core.audit_seals.mac is 'HMAC-SHA-256 of hash, first_at and last_at, with a key that Postgres does not have.';

-- Which seals may cover a row of some time.
create index idx_audit_seals_times on core.audit_seals using gist (tstzrange(first_at, last_at, '[]'));

create function core.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '%.% is only ever inserted into', tg_table_schema, tg_table_name using errcode = 'insufficient_privilege';
end $$;
comment on function core.refuse_change() is 'Refuses every change of rows that must stay as they are, the owner''s as well.';

-- By row, because a trigger by row also stands on every partition.
create trigger audit_events_stay before update or delete on core.audit_events
    for each row execute function core.refuse_change();
create trigger audit_seals_stay before update or delete or truncate on core.audit_seals
    for each statement execute function core.refuse_change();

-- A partition for the month of a day. Truncation is refused by statement, which partitions do not inherit.
create function core.add_audit_partition(day date) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    month date := date_trunc('month', day);
    name text := 'audit_events_' || to_char(month, 'YYYY_MM');
begin
    if to_regclass('core.' || name) is not null then
        return;
    end if;
    execute format('create table core.%I partition of core.audit_events for values from (%L) to (%L)',
        name, month::timestamp at time zone 'UTC', (month + interval '1 month')::timestamp at time zone 'UTC');
    execute format('comment on table core.%I is %L', name, 'Audit rows of a month.');
    execute format('create trigger audit_events_whole before truncate on core.%I for each statement execute function core.refuse_change()', name);
    execute format('revoke all on core.%I from recoverly_core, recoverly_core_worker', name);
end $$;
comment on function core.add_audit_partition(date) is 'Makes the partition of audit_events for the month of a day, where it is not there.';

-- Months are kept for six years and then go as a whole. Who holds rows against seals does not ask here but reckons anew: the
-- owner could let this say that nothing is kept.
create function core.audit_kept_since() returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp as $$
    select date_trunc('month', now() - interval '6 years', 'UTC')
$$;
comment on function core.audit_kept_since() is 'The beginning of the oldest month of which audit rows are kept.';

create function core.drop_audit_partitions() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    partition record;
    dropped bigint := 0;
begin
    -- Every write waits for this lock: rather another day than for long.
    perform set_config('lock_timeout', '1s', true);
    for partition in
        select c.relname, to_date(right(c.relname, 7), 'YYYY_MM')::timestamp + interval '1 month' as ends_at
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'core.audit_events'::regclass and c.relname ~ '^audit_events_[0-9]{4}_[0-9]{2}$'
        order by c.relname
    loop
        -- What waits for its seal is kept until it has one.
        if partition.ends_at at time zone 'UTC' <= core.audit_kept_since()
            and not exists (select from core.audit_pending p where p.at < partition.ends_at at time zone 'UTC') then
            execute format('drop table core.%I', partition.relname);
            dropped := dropped + 1;
        end if;
    end loop;
    return dropped;
end $$;
comment on function core.drop_audit_partitions() is 'Drops the partitions of audit_events of which nothing is kept any more; returns how many. Their seals stay.';

select core.add_audit_partition((current_date + make_interval(months => n))::date) from generate_series(0, 2) n;

-- Before the partitions run out, rows go here rather than nowhere.
create table core.audit_events_rest partition of core.audit_events default;
comment on table core.audit_events_rest is 'Audit rows of a month without a partition of its own.';
create trigger audit_events_whole before truncate on core.audit_events_rest
    for each statement execute function core.refuse_change();
create trigger audit_events_whole before truncate on core.audit_events
    for each statement execute function core.refuse_change();

-- What lets a staff user see a client at this moment, in the order in which it is told.
create function core.right_to_see(staff varchar, client varchar) returns varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from core.caseload_assignments c
        where c.staff_id = staff and c.client_id = client
          and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())) then
        return 'caseload';
    end if;
    return (select t.cause from core.temporary_access t
        where t.staff_id = staff and t.client_id = client and t.until > now()
        order by t.cause limit 1);
end $$;
comment on function core.right_to_see(varchar, varchar) is 'caseload, escalation or shift; null without a right.';

-- The one way into the audit, for all services. An entry: event_type, actor, actor_kind, people (ids), action, object_type,
-- object_id, decision, reason, request_id, metadata. People are named by their references, those who are no account by
-- none. By what right it was is found here, and not told.
create function core.write_audit(entries jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    with written as (
        insert into core.audit_events (event_type, actor, actor_kind, subject_refs, action, object_type, object_id, decision,
            reason, purpose, request_id, metadata)
        select e.event_type,
               case when e.actor_kind in ('client', 'staff')
                   then coalesce((select r.subject_ref::varchar from core.subject_refs r where r.user_id = e.actor), 'erased')
                   else e.actor end,
               e.actor_kind,
               coalesce((select array_agg(r.subject_ref order by r.subject_ref) from core.subject_refs r
                   where r.user_id = any (e.people)), '{}'),
               e.action, e.object_type, e.object_id, e.decision, e.reason,
               case when e.actor_kind = 'app' and cardinality(e.people) > 0 then 'on_behalf'
                    when e.actor_kind in ('app', 'pipeline', 'service') then 'machine'
                    when e.people = array[e.actor] then 'self'
                    when e.actor_kind = 'staff' and cardinality(e.people) = 1 and e.decision = 'allow'
                        then core.right_to_see(e.actor, e.people[1]) end,
               e.request_id, e.metadata
        from jsonb_to_recordset(entries) as e (event_type varchar, actor varchar, actor_kind varchar, people varchar[],
            action varchar, object_type varchar, object_id varchar, decision varchar, reason varchar,
            request_id varchar, metadata jsonb)
        returning id, at)
    insert into core.audit_pending (id, at) select w.id, w.at from written w;
end $$;
comment on function core.write_audit(jsonb) is 'Writes audit rows from an array of entries.';

-- What a seal covers of a row: all of it, in one form that never varies.
create function core.audit_row_hash(e core.audit_events) returns bytea
language sql stable set search_path = pg_catalog, pg_temp as $$
    select sha256(convert_to(jsonb_build_array(e.id, (extract(epoch from e.at) * 1000000)::bigint, e.event_type, e.actor,
        e.actor_kind, e.subject_refs, e.action, e.object_type, e.object_id, e.decision, e.reason, e.purpose, e.request_id,
        e.metadata)::text, 'UTF8'))
$$;
comment on function core.audit_row_hash(core.audit_events) is 'SHA-256 of an audit row.';

revoke all on core.subject_refs, core.audit_events, core.audit_events_rest, core.audit_pending, core.audit_seals
    from recoverly_core, recoverly_core_worker;
grant select on core.subject_refs, core.audit_events to recoverly_core_worker;
grant select, delete on core.audit_pending to recoverly_core_worker;
grant select, insert on core.audit_seals to recoverly_core_worker;
grant execute on function core.add_audit_partition(date), core.drop_audit_partitions(),
    core.audit_row_hash(core.audit_events) to recoverly_core_worker;
grant execute on function core.write_audit(jsonb) to
    recoverly_core, recoverly_core_worker, recoverly_social, recoverly_social_worker, recoverly_risk, recoverly_risk_worker,
    recoverly_reco, recoverly_reco_worker, recoverly_causal, recoverly_causal_worker;
