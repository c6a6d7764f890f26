-- Teams and break-glass: two more ways to see a client, decided where all the others are.

create table core.teams (
    team_id bigint generated always as identity,
    name varchar(255) not null,
    created_at timestamptz not null default now(),
    constraint pk_teams primary key (team_id),
    constraint uq_teams_name unique (name)
);

comment on table core.teams is 'Teams of staff.';
comment on column core.teams.team_id is 'Row id.';
comment on column core.teams.name is 'What the programme calls it.';
comment on column core.teams.created_at is 'When it was made.';

create table core.team_members (
    team_id bigint not null references core.teams (team_id) on delete cascade,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    part varchar(20) not null,
    since timestamptz not null default now(),
    constraint pk_team_members primary key (team_id, staff_id),
    constraint ck_team_members_part check (part in ('supervisor', 'member'))
);

comment on table core.team_members is 'Which staff are in which team. A team may have several supervisors.';
comment on column core.team_members.team_id is 'The team.';
comment on column core.team_members.staff_id is 'The staff user.';
comment on column core.team_members.part is 'supervisor or member; a supervisor answers for the clients of everybody in the team.';
comment on column core.team_members.since is 'When the staff user came to the team.';

create index idx_team_members_staff on core.team_members (staff_id, part) include (team_id);

create table core.break_glass_grants (
    grant_id bigint generated always as identity,
    staff_id varchar(255) references core.users (user_id) on delete set null,
    client_id varchar(255) not null references core.users (user_id) on delete cascade,
    reason text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    reviewed_by varchar(255) references core.users (user_id) on delete set null,
    reviewed_at timestamptz,
    review_note text,
    constraint pk_break_glass_grants primary key (grant_id),
    constraint ck_break_glass_grants_reason check (char_length(reason) between 10 and 2000),
    constraint ck_break_glass_grants_hour check (expires_at > created_at and expires_at <= created_at + interval '1 hour'),
    constraint ck_break_glass_grants_review check (reviewed_at is not null or (reviewed_by is null and review_note is null)),
    constraint ck_break_glass_grants_reviewer check (reviewed_by <> staff_id)
);

comment on table core.break_glass_grants is 'Who took sight of a client beyond the own caseload, for what reason, and who looked at it afterwards.';
comment on column core.break_glass_grants.grant_id is 'Row id.';
comment on column core.break_glass_grants.staff_id is 'Who took it; null once that account is gone.';
comment on column core.break_glass_grants.client_id is 'Whom it shows.';
comment on column core.break_glass_grants.reason is 'Why, in the words of who took it: 10 to 2,000 characters.';
comment on column core.break_glass_grants.created_at is 'From when on.';
comment on column core.break_glass_grants.expires_at is 'Until when: an hour at most.';
comment on column core.break_glass_grants.reviewed_by is 'The supervisor who reviewed it.';
comment on column core.break_glass_grants.reviewed_at is 'When; null while the review is open.';
comment on column core.break_glass_grants.review_note is 'What the supervisor found.';

-- Also counts what one staff user took within a day.
create index idx_break_glass_grants_staff on core.break_glass_grants (staff_id, expires_at) include (client_id, created_at);
create index idx_break_glass_grants_client on core.break_glass_grants (client_id);
create index idx_break_glass_grants_reviewer on core.break_glass_grants (reviewed_by) where reviewed_by is not null;
create index idx_break_glass_grants_open on core.break_glass_grants (grant_id) where reviewed_at is null;

alter table core.break_glass_grants enable row level security;
alter table core.break_glass_grants force row level security;
create policy visible on core.break_glass_grants using (client_id in (select unnest(core.visible_clients())));
create policy worker on core.break_glass_grants to recoverly_worker using (true) with check (true);
create policy owner on core.break_glass_grants to recoverly_owner using (true) with check (true);

-- For the functions below alone, which ask it only of who leads a team.
create function core.staff_of_teams(supervisor varchar) returns varchar[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return array(
        select distinct m.staff_id
        from core.team_members l join core.team_members m on m.team_id = l.team_id
        where l.staff_id = supervisor and l.part = 'supervisor'
          and exists (select from core.staff_roles r where r.user_id = supervisor and r.role = 'supervisor'));
end $$;
comment on function core.staff_of_teams(varchar) is 'The staff of the teams that somebody leads, for as long as the role supervisor is held; nobody for others.';
revoke execute on function core.staff_of_teams(varchar) from public;

-- Who leads no team pays for teams with one probe of an index. The moment is a variable: now() would be called for every
-- row of a caseload.
create or replace function core.visible_clients() returns varchar[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    actor text := coalesce(current_setting('recoverly.actor', true), '');
    asking text := substr(actor, strpos(actor, ':') + 1);
    actor_id varchar := split_part(asking, '/', 1);
    about varchar := split_part(asking, '/', 2);
    moment timestamptz := now();
    seen varchar[];
begin
    if actor like 'client:%' then
        return array[actor_id];
    elsif actor not like 'staff:%' then
        return '{}';
    elsif about <> '' then
        if exists (select from core.caseload_assignments c
            where c.staff_id = actor_id and c.client_id = about
              and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment)) then
            return array[actor_id, about];
        elsif exists (select from core.temporary_access t
            where t.staff_id = actor_id and t.client_id = about and t.until > moment
              and exists (select from core.staff_roles r where r.user_id = actor_id
                and (r.role = 'oncall' or t.cause = 'escalation' and r.role in ('counselor', 'supervisor')))) then
            return array[actor_id, about];
        elsif exists (select from core.break_glass_grants g
            where g.staff_id = actor_id and g.client_id = about and g.expires_at > moment) then
            return array[actor_id, about];
        elsif exists (select from core.team_members l where l.staff_id = actor_id and l.part = 'supervisor')
            and exists (select from core.caseload_assignments c
                where c.client_id = about and c.staff_id = any (core.staff_of_teams(actor_id))
                  and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment)) then
            return array[actor_id, about];
        end if;
        return array[actor_id];
    end if;
    seen := array(
        select actor_id
        union all
        select c.client_id from core.caseload_assignments c
        where c.staff_id = actor_id and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment)
        union all
        select t.client_id from core.temporary_access t
        where t.staff_id = actor_id and t.until > moment
          -- A shift lets those see the client who are on call, an escalation everybody who was told and may answer, for as
          -- long as they are and may.
          and exists (select from core.staff_roles r where r.user_id = actor_id
            and (r.role = 'oncall' or t.cause = 'escalation' and r.role in ('counselor', 'supervisor')))
        union all
        select g.client_id from core.break_glass_grants g
        where g.staff_id = actor_id and g.expires_at > moment);
    if exists (select from core.team_members l where l.staff_id = actor_id and l.part = 'supervisor') then
        seen := seen || array(
            select c.client_id from core.caseload_assignments c
            where c.staff_id = any (core.staff_of_teams(actor_id))
              and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment));
    end if;
    return seen;
end $$;

-- Nearly everybody has no temporary access, and is done after the first probe.
create or replace function core.crisis_clients() returns setof varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    actor text := coalesce(current_setting('recoverly.actor', true), '');
    asking text := substr(actor, strpos(actor, ':') + 1);
    actor_id varchar := split_part(asking, '/', 1);
    about varchar := split_part(asking, '/', 2);
    moment timestamptz := now();
    opened varchar[];
    carers varchar[] := array[actor_id];
begin
    if actor not like 'staff:%' then
        return;
    end if;
    opened := array(
        select t.client_id from core.temporary_access t
        where t.staff_id = actor_id and t.until > moment and (about = '' or t.client_id = about));
    if opened = '{}' then
        return;
    elsif exists (select from core.team_members l where l.staff_id = actor_id and l.part = 'supervisor') then
        carers := carers || core.staff_of_teams(actor_id);
    end if;
    return query
        select o.client_id from unnest(opened) as o (client_id)
        where not exists (select from core.caseload_assignments c
                where c.client_id = o.client_id and c.staff_id = any (carers)
                  and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment))
          and not exists (select from core.break_glass_grants g
                where g.staff_id = actor_id and g.client_id = o.client_id and g.expires_at > moment);
end $$;
comment on function core.crisis_clients() is 'The clients that the actor sees for a shift or an escalation alone.';

-- How a name, an address or an id begins. A search is a range of these; only pattern operators reach an index whatever
-- the collation, and the planner makes no range of a prefix that it does not know yet.
create index idx_users_search_id on core.users (lower(user_id) text_pattern_ops);
create index idx_users_search_username on core.users (lower(username) text_pattern_ops);
create index idx_users_search_email on core.users (lower(email) text_pattern_ops);
create index idx_users_search_full_name on core.users (lower(full_name) text_pattern_ops);
create index idx_users_search_display_name on core.users (lower(display_name) text_pattern_ops);
