-- Events are found by their order, never by the id that consumers deduplicate on: an index on it cost every event three
-- entries, at its writing, claiming and marking, and guarded against a clash of random numbers.
alter table core.outbox drop constraint uq_outbox_event;

-- In PL/pgSQL its plan is kept; as a SQL function it was planned at every call, which took most of its time.
create or replace function core.crisis_staff(clients varchar[])
returns table (client_id varchar, staff_id varchar, relation varchar)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select c.client_id, c.staff_id, 'counselor'::varchar
        from core.caseload_assignments c join core.users u on u.user_id = c.staff_id and u.status = 'active'
        where c.client_id = any (clients) and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())
        union
        select k.client_id, r.user_id, 'oncall'::varchar
        from unnest(clients) k (client_id)
        cross join core.staff_roles r join core.users u on u.user_id = r.user_id and u.status = 'active'
        where r.role = 'oncall';
end $$;

-- An actor `staff:s/c` is staff s asking about client c, and sees of the own clients that one: two probes of an index
-- instead of the whole caseload.
create or replace function core.visible_clients() returns varchar[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    actor text := coalesce(current_setting('recoverly.actor', true), '');
    asking text := substr(actor, strpos(actor, ':') + 1);
    actor_id varchar := split_part(asking, '/', 1);
    about varchar := split_part(asking, '/', 2);
begin
    if actor like 'client:%' then
        return array[actor_id];
    elsif actor not like 'staff:%' then
        return '{}';
    elsif about <> '' then
        if exists (select from core.caseload_assignments c
            where c.staff_id = actor_id and c.client_id = about
              and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())) then
            return array[actor_id, about];
        elsif exists (select from core.temporary_access t
            where t.staff_id = actor_id and t.client_id = about and t.until > now()
              and exists (select from core.staff_roles r where r.user_id = actor_id and r.role = 'oncall')) then
            return array[actor_id, about];
        end if;
        return array[actor_id];
    end if;
    return actor_id || array(
        select c.client_id from core.caseload_assignments c
        where c.staff_id = actor_id and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())
        union all
        select t.client_id from core.temporary_access t
        where t.staff_id = actor_id and t.until > now()
          -- An escalation lets those see the client who are on call, for as long as they are.
          and exists (select from core.staff_roles r where r.user_id = actor_id and r.role = 'oncall'));
end $$;

create or replace function core.crisis_clients() returns setof varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    actor text := coalesce(current_setting('recoverly.actor', true), '');
    asking text := substr(actor, strpos(actor, ':') + 1);
    actor_id varchar := split_part(asking, '/', 1);
    about varchar := split_part(asking, '/', 2);
begin
    if actor like 'staff:%' then
        return query
            select t.client_id from core.temporary_access t
            where t.staff_id = actor_id and t.until > now() and (about = '' or t.client_id = about)
              and not exists (select from core.caseload_assignments c
                  where c.staff_id = actor_id and c.client_id = t.client_id
                    and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now()));
    end if;
end $$;
