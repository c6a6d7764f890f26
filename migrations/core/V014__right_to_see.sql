-- The audit tells all ways in which staff come to see a client, now that there are teams and break-glass.
create or replace function core.right_to_see(staff varchar, client varchar) returns varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    moment timestamptz := now();
begin
    if exists (select from core.caseload_assignments c
        where c.staff_id = staff and c.client_id = client
          and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment)) then
        return 'caseload';
    elsif exists (select from core.team_members l where l.staff_id = staff and l.part = 'supervisor')
        and exists (select from core.caseload_assignments c
            where c.client_id = client and c.staff_id = any (core.staff_of_teams(staff))
              and c.starts_at <= moment and (c.ends_at is null or c.ends_at > moment)) then
        return 'team';
    elsif exists (select from core.break_glass_grants g
        where g.staff_id = staff and g.client_id = client and g.expires_at > moment) then
        return 'break_glass';
    end if;
    return (select t.cause from core.temporary_access t
        where t.staff_id = staff and t.client_id = client and t.until > moment
        order by t.cause limit 1);
end $$;
comment on function core.right_to_see(varchar, varchar) is 'caseload, team, break_glass, escalation or shift; null without a right.';
