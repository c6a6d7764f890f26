-- A person leaves: what is erased, how it is found, and the keyed hash that is all that stays.

-- Whom a kept answer is about goes with it: the body alone could be found by reading all of them.
alter table core.idempotency_keys add column people varchar(255)[] not null default '{}';
comment on column core.idempotency_keys.people is 'Whom request and answer are about, the asking person among them; the record goes when one of them is erased.';
create index idx_idempotency_keys_people on core.idempotency_keys using gin (people);

create index idx_dead_letters_subject on core.dead_letters (subject);

-- Erasing an account looks for it in every table that refers to it; none is to be read whole.
create index idx_temporary_access_client on core.temporary_access (client_id);
create index idx_staff_roles_granted_by on core.staff_roles (granted_by) where granted_by is not null;

create table core.erasures (
    erasure_id bigint generated always as identity,
    user_id_hmac bytea not null,
    requested_at timestamptz not null default now(),
    requested_by varchar(20) not null,
    staff_id varchar(255) references core.users (user_id) on delete set null,
    client_id varchar(255) references core.api_clients (client_id) on delete set null,
    completed_at timestamptz not null default clock_timestamp(),
    counts jsonb not null,
    constraint pk_erasures primary key (erasure_id),
    constraint ck_erasures_hmac check (octet_length(user_id_hmac) = 32),
    constraint ck_erasures_requested_by check (requested_by in ('self', 'app', 'admin', 'operator', 'clerk'))
);

comment on table core.erasures is 'Accounts that were erased, each as a keyed hash: only who holds the key and an id can tell that it was one of them.';
comment on column core.erasures.erasure_id is 'Row id.';
comment on column core.erasures.user_id_hmac is 'HMAC-SHA-256 of the user id; the key is kept outside the database.';
comment on column core.erasures.requested_at is 'When it was asked for. After a restore, accounts that were made before are erased again.';
comment on column core.erasures.requested_by is 'self, app, admin, operator (by command) or clerk.';
comment on column core.erasures.staff_id is 'The admin who asked, where one did.';
comment on column core.erasures.client_id is 'The program that asked, where one did.';
comment on column core.erasures.completed_at is 'When everything was removed.';
comment on column core.erasures.counts is 'How many rows were removed and how many stayed without the person, by table.';

create index idx_erasures_hmac on core.erasures (user_id_hmac);
create index idx_erasures_staff on core.erasures (staff_id) where staff_id is not null;

-- What was erased stays known: no service takes it back.
revoke update, delete on core.erasures from recoverly_core, recoverly_core_worker;

alter table core.erasures enable row level security;
alter table core.erasures force row level security;
create policy worker on core.erasures to recoverly_worker using (true) with check (true);
create policy owner on core.erasures to recoverly_owner using (true) with check (true);

create function core.is_erased(hmacs bytea[]) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from core.erasures e where e.user_id_hmac = any (hmacs))
$$;
comment on function core.is_erased(bytea[]) is 'Whether one of the people with these keyed hashes was erased.';

-- The four functions below are the owner's alone: each schema's erase_user and export_user are made of them.

-- By the catalogue and not by a list: a table that is made later is erased without anybody having to think of it.
create function core.erase_rows(schema name, erased varchar) returns jsonb
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    reference record;
    touched bigint;
    removed jsonb := '{}';
    kept jsonb := '{}';
begin
    for reference in
        select c.conrelid::regclass::text as relation, a.attname as place, c.confdeltype = 'c' as cascades
        from pg_constraint c
        join pg_class r on r.oid = c.conrelid
        join pg_namespace n on n.oid = r.relnamespace
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        where c.contype = 'f' and c.confrelid = 'core.users'::regclass and c.conparentid = 0
          and n.nspname = schema and c.confdeltype in ('c', 'n')
        -- Rows that stay come first: what hangs on them may be about to go.
        order by cascades, relation, place
    loop
        if reference.cascades then
            execute format('delete from %s where %I = $1', reference.relation, reference.place) using erased;
        else
            execute format('update %s set %2$I = null where %2$I = $1', reference.relation, reference.place) using erased;
        end if;
        get diagnostics touched = row_count;
        if touched > 0 and reference.cascades then
            removed := removed || jsonb_build_object(
                reference.relation, touched + coalesce((removed ->> reference.relation)::bigint, 0));
        elsif touched > 0 then
            kept := kept || jsonb_build_object(
                reference.relation, touched + coalesce((kept ->> reference.relation)::bigint, 0));
        end if;
    end loop;
    return jsonb_build_object('removed', removed, 'kept', kept);
end $$;
comment on function core.erase_rows(name, varchar) is 'Removes the rows of a schema that belong to an account, and the account from those that stay; counts both by table.';

-- Events, dead letters and kept answers name people without referring to them. An event names nobody but its subject.
-- A letter that could not be read has none: there the id is looked for as a whole word. Ids hold nothing that a regular
-- expression takes for more than itself.
create function core.erase_traces(schema name, erased varchar) returns jsonb
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    trace record;
    touched bigint;
    removed jsonb := '{}';
begin
    for trace in
        select t.relation, t.statement
        from (values
            -- In the order of ids, as the relay marks them.
            (1, 'outbox', 'delete from %1$I.outbox where id in (
                select o.id from %1$I.outbox o where o.subject = $1 order by o.id for update)'),
            (2, 'dead_letters', 'delete from %1$I.dead_letters where subject = $1 or (subject is null
                and encode(body, ''escape'') ~ (''(^|[^A-Za-z0-9_-])'' || $1 || ''([^A-Za-z0-9_-]|$)''))'),
            (3, 'idempotency_keys', 'delete from %1$I.idempotency_keys where people @> array[$1]
                or principal in (''client:'' || $1, ''staff:'' || $1)')
        ) as t (place, relation, statement)
        order by t.place
    loop
        execute format(trace.statement, schema) using erased;
        get diagnostics touched = row_count;
        if touched > 0 then
            removed := removed || jsonb_build_object(schema || '.' || trace.relation, touched);
        end if;
    end loop;
    return removed;
end $$;
comment on function core.erase_traces(name, varchar) is 'Removes events, dead letters and kept answers of a schema that name an account; counts them by table.';

-- Rows first: whoever is writing one of them has committed when the traces are looked for.
create function core.erase_from(schema name, erased varchar) returns jsonb
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    counts jsonb := core.erase_rows(schema, erased);
begin
    return jsonb_set(counts, '{removed}', counts -> 'removed' || core.erase_traces(schema, erased));
end $$;
comment on function core.erase_from(name, varchar) is 'Removes an account from a schema; counts what went and what stays by table.';

-- A row belongs to whom it would go with, or who is its user or client; also what would go with such a row. Columns of
-- type bytea, and those called hash or secret, prove who somebody is: they are nobody's to read.
create function core.export_from(schema name, exported varchar)
returns table (table_name text, row_data jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    source record;
begin
    for source in
        with own as (
            select c.conrelid, string_agg(format('t.%I = $1', a.attname), ' or ' order by a.attname) as condition
            from pg_constraint c
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
            where c.contype = 'f' and c.confrelid = 'core.users'::regclass and c.conparentid = 0
              and (c.confdeltype = 'c' or a.attname in ('user_id', 'client_id'))
            group by c.conrelid),
        hanging as (
            select c.conrelid, string_agg(format('t.%I in (select t.%I from %s t where %s)',
                a.attname, f.attname, c.confrelid::regclass, o.condition), ' or ' order by a.attname) as condition
            from pg_constraint c
            join own o on o.conrelid = c.confrelid
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
            join pg_attribute f on f.attrelid = c.confrelid and f.attnum = c.confkey[1]
            where c.contype = 'f' and c.confdeltype = 'c' and c.conparentid = 0 and cardinality(c.conkey) = 1
              and not exists (select from own x where x.conrelid = c.conrelid)
            group by c.conrelid),
        found as (
            select 'core.users'::regclass::oid as relation, 't.user_id = $1' as condition
            union all select conrelid, condition from own
            union all select conrelid, condition from hanging)
        select f.relation::regclass::text as relation, r.relname, f.condition,
            array(select a.attname::text from pg_attribute a
                where a.attrelid = f.relation and a.attnum > 0 and not a.attisdropped
                  and (a.atttypid = 'bytea'::regtype or a.attname ~ '(hash|secret)')) as secrets
        from found f
        join pg_class r on r.oid = f.relation
        join pg_namespace n on n.oid = r.relnamespace
        where n.nspname = schema
        order by r.relname
    loop
        return query execute format('select %L::text, to_jsonb(t) - $2 from %s t where %s',
            source.relname, source.relation, source.condition) using exported, source.secrets;
    end loop;
end $$;
comment on function core.export_from(name, varchar) is 'The rows of a schema that belong to an account, table by table, without what proves who somebody is.';

create function core.erase_user(erased varchar) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    counts jsonb;
begin
    perform from core.users u where u.user_id = erased for update;
    if not found then
        return null;
    end if;
    -- For tables whose rows change for nothing else, such as core.disclosures.
    perform set_config('recoverly.erasing', erased, true);
    counts := core.erase_from('core', erased);
    delete from core.users u where u.user_id = erased;
    return jsonb_set(counts, '{removed,core.users}', '1');
end $$;
comment on function core.erase_user(varchar) is 'Removes an account, what belongs to it in core, and by reference what is left of it elsewhere; null where there is none.';

-- A recipient stands in a message only where it has an account: shown to the sender, it would tell who is here.
create function core.export_user(exported varchar) returns table (table_name text, row_data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.table_name,
        case when e.table_name = 'messages' and e.row_data ->> 'recipient_id' <> exported
            then e.row_data || '{"recipient_id": null}' else e.row_data end
    from core.export_from('core', exported) e
$$;
comment on function core.export_user(varchar) is 'What core holds of an account.';

create function core.schema_versions() returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    schema name;
    found integer;
    versions jsonb := '{}';
begin
    foreach schema in array array['core', 'social', 'risk', 'reco', 'causal'] loop
        execute format('select max(h.version) from %I.schema_history h', schema) into found;
        versions := versions || jsonb_build_object(schema, found);
    end loop;
    return versions;
end $$;
comment on function core.schema_versions() is 'The version of every schema, as an export names them.';

-- An event may be given up after its person was erased; kept, the letter would bring the person back.
create function core.drop_erased_letter() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    -- The farewell itself is about somebody who is gone; given up, it must be there to be tried again.
    if new.subject is null or new.event_type = 'core.user.erased' then
        return new;
    end if;
    -- The lock waits for an erasure that is under way.
    perform from core.users u where u.user_id = new.subject for key share;
    return case when found then new end;
end $$;
comment on function core.drop_erased_letter() is 'Lets no dead letter be kept about somebody who has no account.';

create trigger drop_erased before insert on core.dead_letters
    for each row execute function core.drop_erased_letter();

grant execute on function core.is_erased(bytea[]) to
    recoverly_core, recoverly_core_worker, recoverly_social, recoverly_social_worker, recoverly_risk, recoverly_risk_worker,
    recoverly_reco, recoverly_reco_worker, recoverly_causal, recoverly_causal_worker;
grant execute on function core.erase_user(varchar), core.export_user(varchar), core.schema_versions() to recoverly_core_worker;
