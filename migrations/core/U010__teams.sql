-- Undoes V010.
drop index core.idx_users_search_id, core.idx_users_search_username, core.idx_users_search_email,
    core.idx_users_search_full_name, core.idx_users_search_display_name;

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

comment on function core.crisis_clients() is 'The clients that the actor sees by temporary access alone.';
drop function core.staff_of_teams(varchar);
drop table core.break_glass_grants, core.team_members, core.teams;
