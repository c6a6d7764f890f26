-- Undoes V014.
create or replace function core.right_to_see(staff varchar, client varchar) returns varchar
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
