-- Undoes V004.
alter table core.outbox add constraint uq_outbox_event unique (event_id);
create or replace function core.crisis_staff(clients varchar[])
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

create or replace function core.visible_clients() returns varchar[]
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
create or replace function core.crisis_clients() returns setof varchar
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
