-- Accounts, tokens, and who may see whom.

create table core.users (
    user_id varchar(255),
    kind varchar(20) not null default 'client',
    username varchar(100),
    email varchar(255),
    full_name varchar(255),
    display_name varchar(255),
    phone varchar(50),
    timezone varchar(64) not null default 'UTC',
    locale varchar(35),
    clerk_user_id varchar(255),
    external_id varchar(255),
    notes text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_active timestamptz,
    status varchar(50) not null default 'active',
    metadata jsonb,
    constraint pk_users primary key (user_id),
    constraint ck_users_user_id check (user_id ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint ck_users_kind check (kind in ('client', 'staff')),
    constraint ck_users_status check (status in ('active', 'suspended')),
    constraint uq_users_username unique (username),
    constraint uq_users_clerk_user_id unique (clerk_user_id),
    constraint uq_users_external_id unique (external_id)
);

comment on table core.users is 'Accounts of clients and staff, shared by all services.';
comment on column core.users.user_id is 'Unique user identifier.';
comment on column core.users.kind is 'client or staff.';
comment on column core.users.username is 'Sign-in name.';
comment on column core.users.email is 'E-mail address, unique without regard to case.';
comment on column core.users.full_name is 'Name as the person gives it.';
comment on column core.users.display_name is 'What dashboards show; the only name other services may read.';
comment on column core.users.phone is 'Phone number.';
comment on column core.users.timezone is 'IANA time zone; quiet hours are counted in it.';
comment on column core.users.locale is 'BCP 47 language tag.';
comment on column core.users.clerk_user_id is 'Account at Clerk, where the person signs in there.';
comment on column core.users.external_id is 'Id in the programme''s own records.';
comment on column core.users.notes is 'Administrative notes.';
comment on column core.users.created_at is 'Account creation time.';
comment on column core.users.updated_at is 'Last change of the account.';
comment on column core.users.last_active is 'Last activity.';
comment on column core.users.status is 'active or suspended.';
comment on column core.users.metadata is 'Additional data of the programme.';

create unique index uq_users_email on core.users (lower(email));

create table core.staff_roles (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    role varchar(20) not null,
    granted_by varchar(255) references core.users (user_id) on delete set null,
    granted_at timestamptz not null default now(),
    constraint pk_staff_roles primary key (user_id, role),
    constraint ck_staff_roles_role check (role in ('counselor', 'oncall', 'supervisor', 'admin', 'auditor'))
);

comment on table core.staff_roles is 'What a staff user may do.';
comment on column core.staff_roles.user_id is 'The staff user.';
comment on column core.staff_roles.role is 'counselor, oncall, supervisor, admin or auditor.';
comment on column core.staff_roles.granted_by is 'Who granted it; null for the first admin.';
comment on column core.staff_roles.granted_at is 'When.';

create index idx_staff_roles_role on core.staff_roles (role, user_id);

create table core.api_clients (
    client_id varchar(255),
    kind varchar(20) not null,
    name varchar(255) not null,
    scopes varchar(50)[] not null default '{}',
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    constraint pk_api_clients primary key (client_id),
    constraint ck_api_clients_client_id check (client_id ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint ck_api_clients_kind check (kind in ('app', 'pipeline', 'service'))
);

comment on table core.api_clients is 'Programs that call the API: apps, pipelines, services.';
comment on column core.api_clients.client_id is 'The program''s id.';
comment on column core.api_clients.kind is 'app, pipeline or service.';
comment on column core.api_clients.name is 'What operators call it.';
comment on column core.api_clients.scopes is 'What its tokens may do beyond its kind.';
comment on column core.api_clients.created_at is 'When it was registered.';
comment on column core.api_clients.disabled_at is 'When it was switched off; its tokens are refused from then on.';

create table core.access_tokens (
    token_hash bytea not null,
    subject varchar(255) references core.users (user_id) on delete cascade,
    client_id varchar(255) references core.api_clients (client_id) on delete cascade,
    scopes varchar(50)[] not null default '{}',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    constraint pk_access_tokens primary key (token_hash),
    constraint ck_access_tokens_hash check (octet_length(token_hash) = 32),
    constraint ck_access_tokens_holder check (num_nonnulls(subject, client_id) = 1)
);

comment on table core.access_tokens is 'Opaque bearer tokens, stored as hashes only.';
comment on column core.access_tokens.token_hash is 'SHA-256 of the token.';
comment on column core.access_tokens.subject is 'The person it was given to.';
comment on column core.access_tokens.client_id is 'Or the program.';
comment on column core.access_tokens.scopes is 'What it may do beyond the kind of its holder.';
comment on column core.access_tokens.created_at is 'When it was made.';
comment on column core.access_tokens.expires_at is 'From when on it is refused.';
comment on column core.access_tokens.revoked_at is 'When it was revoked.';

create index idx_access_tokens_subject on core.access_tokens (subject) where subject is not null;
create index idx_access_tokens_client on core.access_tokens (client_id) where client_id is not null;
create index idx_access_tokens_expires on core.access_tokens (expires_at);

create table core.caseload_assignments (
    id bigint generated always as identity,
    client_id varchar(255) not null references core.users (user_id) on delete cascade,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    relation varchar(50) not null default 'counselor',
    starts_at timestamptz not null default now(),
    ends_at timestamptz,
    constraint pk_caseload_assignments primary key (id),
    constraint ck_caseload_assignments_times check (ends_at is null or ends_at >= starts_at)
);

comment on table core.caseload_assignments is 'Which staff user cares for which client, and when.';
comment on column core.caseload_assignments.id is 'Row id.';
comment on column core.caseload_assignments.client_id is 'The client.';
comment on column core.caseload_assignments.staff_id is 'The staff user.';
comment on column core.caseload_assignments.relation is 'In what role.';
comment on column core.caseload_assignments.starts_at is 'From when on.';
comment on column core.caseload_assignments.ends_at is 'Until when; null while it lasts.';

create unique index uq_caseload_assignments_open on core.caseload_assignments (staff_id, client_id) where ends_at is null;
-- Not partial: an assignment with an end in the future is in force as well, and no partial index finds both.
create index idx_caseload_assignments_staff on core.caseload_assignments (staff_id) include (client_id, starts_at, ends_at);
create index idx_caseload_assignments_client on core.caseload_assignments (client_id) include (staff_id, starts_at, ends_at);

create table core.temporary_access (
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    client_id varchar(255) not null references core.users (user_id) on delete cascade,
    cause varchar(20) not null,
    reference bigint not null,
    until timestamptz not null,
    constraint pk_temporary_access primary key (staff_id, client_id, cause, reference),
    constraint ck_temporary_access_cause check (cause in ('shift', 'escalation'))
);

comment on table core.temporary_access is 'Access beyond the caseload while a shift or an escalation lasts.';
comment on column core.temporary_access.staff_id is 'Who may see.';
comment on column core.temporary_access.client_id is 'Whom.';
comment on column core.temporary_access.cause is 'shift or escalation.';
comment on column core.temporary_access.reference is 'The escalation, or the schedule of the shift.';
comment on column core.temporary_access.until is 'When it ends at the latest.';

create index idx_temporary_access_reference on core.temporary_access (cause, reference);

-- Who a transaction may see, decided here and nowhere else. The actor is set by the service in the transaction
-- that asks; without an actor nothing is visible. PL/pgSQL, because its plans are kept from call to call; an array
-- and not a set, because that halves the cost of asking.
create function core.visible_clients() returns varchar[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    actor text := coalesce(current_setting('recoverly.actor', true), '');
    actor_id varchar := substr(actor, strpos(actor, ':') + 1);
begin
    if actor like 'client:%' then
        return array[actor_id];
    elsif actor like 'staff:%' then
        return actor_id || array(
            select c.client_id from core.caseload_assignments c
            where c.staff_id = actor_id and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())
            union all
            select t.client_id from core.temporary_access t
            where t.staff_id = actor_id and t.until > now()
              -- An escalation lets those see the client who are on call, for as long as they are.
              and exists (select from core.staff_roles r where r.user_id = actor_id and r.role = 'oncall'));
    end if;
    return '{}';
end $$;
comment on function core.visible_clients() is 'The actor and the clients whose rows the actor may see; nobody without an actor.';

-- Of the clients that the actor sees, those who are visible for a crisis alone: of them the actor gets the least
-- that helps, not what a caseload gives.
create function core.crisis_clients() returns setof varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    actor text := coalesce(current_setting('recoverly.actor', true), '');
    actor_id varchar := substr(actor, strpos(actor, ':') + 1);
begin
    if actor like 'staff:%' then
        return query
            select t.client_id from core.temporary_access t
            where t.staff_id = actor_id and t.until > now()
              and not exists (select from core.caseload_assignments c
                  where c.staff_id = actor_id and c.client_id = t.client_id
                    and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now()));
    end if;
end $$;
comment on function core.crisis_clients() is 'The clients that the actor sees by temporary access alone.';

-- The check of every bearer token. One answer for absent, expired, revoked and suspended: no row.
create function core.authenticate(presented_hash bytea)
returns table (principal_id varchar, kind varchar, roles varchar[], scopes varchar[], expires_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    return query
        select coalesce(t.subject, t.client_id),
               coalesce(u.kind, a.kind),
               coalesce((select array_agg(r.role order by r.role) from core.staff_roles r where r.user_id = t.subject), '{}'),
               t.scopes,
               t.expires_at
        from core.access_tokens t
        left join core.users u on u.user_id = t.subject
        left join core.api_clients a on a.client_id = t.client_id
        where t.token_hash = presented_hash
          and t.expires_at > now() and t.revoked_at is null
          and (u.status = 'active' or a.disabled_at is null and a.client_id is not null);
end $$;
comment on function core.authenticate(bytea) is 'Whose token has this SHA-256; no row when it is absent, expired, revoked, or its holder is suspended.';

-- What a cached token rests on has changed: every service forgets it. NOTIFY is cheap here: these writes are rare.
create function core.forget_tokens() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify('recoverly_tokens', '');
    return null;
end $$;
comment on function core.forget_tokens() is 'Tells every service to drop its token cache.';

create trigger tokens_changed after update or delete on core.access_tokens
    for each statement execute function core.forget_tokens();
create trigger roles_changed after insert or update or delete on core.staff_roles
    for each statement execute function core.forget_tokens();
create trigger holders_changed after update of status, kind or delete on core.users
    for each statement execute function core.forget_tokens();
create trigger clients_changed after update or delete on core.api_clients
    for each statement execute function core.forget_tokens();

-- Who is told of an escalation: the client's counselors, and everybody on call.
create function core.crisis_staff(clients varchar[])
returns table (client_id varchar, staff_id varchar, relation varchar)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c.client_id, c.staff_id, 'counselor'::varchar
    from core.caseload_assignments c join core.users u on u.user_id = c.staff_id and u.status = 'active'
    where c.client_id = any (clients) and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())
    union
    select k.client_id, r.user_id, 'oncall'::varchar
    from unnest(clients) k (client_id)
    cross join core.staff_roles r join core.users u on u.user_id = r.user_id and u.status = 'active'
    where r.role = 'oncall'
$$;
comment on function core.crisis_staff(varchar[]) is 'Per client the active staff to tell of an escalation: its counselors and everybody on call.';

create function core.grant_temporary_access(staff varchar[], clients varchar[], cause varchar, refs bigint[])
returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into core.temporary_access (staff_id, client_id, cause, reference, until)
    select g.staff_id, g.client_id, grant_temporary_access.cause, g.reference, 'infinity'
    from unnest(staff, clients, refs) g (staff_id, client_id, reference)
    on conflict do nothing
$$;
comment on function core.grant_temporary_access(varchar[], varchar[], varchar, bigint[]) is 'Lets each staff user see the client beside it until the access is ended.';

create function core.end_temporary_access(cause varchar, refs bigint[]) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    delete from core.temporary_access t
    where t.cause = end_temporary_access.cause and t.reference = any (refs)
$$;
comment on function core.end_temporary_access(varchar, bigint[]) is 'Ends the access that these shifts or escalations gave.';

create function core.end_temporary_access(cause varchar, staff varchar[], refs bigint[]) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
    with gone as (
        delete from core.temporary_access t using unnest(staff, refs) g (staff_id, reference)
        where t.cause = end_temporary_access.cause and t.staff_id = g.staff_id and t.reference = g.reference
        returning t.client_id)
    select count(*) from gone
$$;
comment on function core.end_temporary_access(varchar, varchar[], bigint[]) is 'Ends the access of each staff user that the shift or escalation beside it gave; how much there was.';

create function core.settle_temporary_access(cause varchar, staff varchar[], clients varchar[], refs bigint[], until timestamptz[])
returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
    with wanted as (
        select w.staff_id, w.client_id, w.reference, w.until
        from unnest(staff, clients, refs, until) w (staff_id, client_id, reference, until)),
    gone as (
        delete from core.temporary_access t
        where t.cause = settle_temporary_access.cause and not exists (select from wanted w
            where w.staff_id = t.staff_id and w.client_id = t.client_id and w.reference = t.reference)
        returning t.client_id),
    given as (
        -- What stands as it is wanted is not touched.
        insert into core.temporary_access as g (staff_id, client_id, cause, reference, until)
        select w.staff_id, w.client_id, settle_temporary_access.cause, w.reference, w.until from wanted w
        where not exists (select from core.temporary_access t
            where t.staff_id = w.staff_id and t.client_id = w.client_id and t.cause = settle_temporary_access.cause
              and t.reference = w.reference and t.until = w.until)
        on conflict (staff_id, client_id, cause, reference) do update set until = excluded.until
        returning g.xmax = 0 as is_new)
    select (select count(*) from gone) + (select count(*) from given where is_new)
$$;
comment on function core.settle_temporary_access(varchar, varchar[], varchar[], bigint[], timestamptz[]) is 'Makes the access of this cause be this and no other; how much came and went.';

grant execute on function core.visible_clients(), core.authenticate(bytea) to
    recoverly_core, recoverly_core_worker, recoverly_social, recoverly_social_worker, recoverly_risk, recoverly_risk_worker,
    recoverly_reco, recoverly_reco_worker, recoverly_causal, recoverly_causal_worker;
grant execute on function core.crisis_clients() to
    recoverly_core, recoverly_core_worker, recoverly_social, recoverly_social_worker, recoverly_risk, recoverly_risk_worker;
grant execute on function core.crisis_staff(varchar[]),
    core.grant_temporary_access(varchar[], varchar[], varchar, bigint[]), core.end_temporary_access(varchar, bigint[]),
    core.end_temporary_access(varchar, varchar[], bigint[]),
    core.settle_temporary_access(varchar, varchar[], varchar[], bigint[], timestamptz[])
    to recoverly_social, recoverly_social_worker;

-- Every row of a person is behind this policy. Postgres makes a hash of the visible clients once a statement and
-- probes it per row. A list over all of them also says `user_id = any ((select core.visible_clients())::varchar[])`
-- itself: that reaches the index, and the policy stays the guard.
alter table core.users enable row level security;
alter table core.users force row level security;
create policy visible on core.users using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.users to recoverly_worker using (true) with check (true);
create policy owner on core.users to recoverly_owner using (true) with check (true);

grant select (user_id, kind, status, timezone, locale, display_name) on core.users to recoverly_social, recoverly_social_worker;
grant select (user_id, kind, status, timezone, locale) on core.users to
    recoverly_risk, recoverly_risk_worker, recoverly_reco, recoverly_reco_worker, recoverly_causal, recoverly_causal_worker;
