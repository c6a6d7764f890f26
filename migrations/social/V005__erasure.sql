-- Leaving: how a person's rows and traces are found here, and removed.

alter table social.idempotency_keys add column people varchar(255)[] not null default '{}';
comment on column social.idempotency_keys.people is 'Whom request and answer are about, the asking person among them; the record goes when one of them is erased.';
create index idx_idempotency_keys_people on social.idempotency_keys using gin (people);

create index idx_dead_letters_subject on social.dead_letters (subject);

-- Erasing an account looks for it in every table that names it; none is to be read whole.
create index idx_contacts_staff on social.contacts (staff_id) where staff_id is not null;
create index idx_escalations_escalated_to on social.escalations (escalated_to) where escalated_to is not null;
create index idx_escalations_acknowledged_by on social.escalations (acknowledged_by) where acknowledged_by is not null;

-- The profile first: everybody who works on a client locks it before anything else of theirs, and so nobody waits for
-- us who holds what we wait for. Of staff, a closed episode forgets who it was; an open one wants an answer again.
create function social.erase_user(erased varchar) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    counts jsonb;
begin
    perform from social.user_risk_profiles p where p.user_id = erased for update;
    counts := core.erase_from('social', erased);
    update social.escalations e
    set escalated_to = null
    where e.escalated_to = erased;
    update social.escalations e
    set status = case when e.status = 'acknowledged' then 'notified' else e.status end,
        acknowledged_at = case when e.status <> 'acknowledged' then e.acknowledged_at end,
        ack_expires_at = case when e.status <> 'acknowledged' then e.ack_expires_at end,
        acknowledged_by = null
    where e.acknowledged_by = erased;
    update social.risk_policies r set created_by = null where r.created_by = erased;
    return counts;
end $$;
comment on function social.erase_user(varchar) is 'Removes an account from this schema; counts what went and what stays by table. Escalations stay, without user, reason, data and notes.';

create function social.export_user(exported varchar) returns table (table_name text, row_data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.table_name, e.row_data from core.export_from('social', exported) e
$$;
comment on function social.export_user(varchar) is 'What social holds of an account.';

create trigger drop_erased before insert on social.dead_letters
    for each row execute function core.drop_erased_letter();

-- Core erases and exports in one transaction over all schemas; the service sweeps again when it hears of it.
grant usage on schema social to recoverly_core_worker;
grant execute on function social.erase_user(varchar) to recoverly_core_worker, recoverly_social_worker;
grant execute on function social.export_user(varchar) to recoverly_core_worker;
