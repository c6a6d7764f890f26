-- Leaving: how a person's rows and traces are found here, and removed.

alter table causal.idempotency_keys add column people varchar(255)[] not null default '{}';
comment on column causal.idempotency_keys.people is 'Whom request and answer are about, the asking person among them; the record goes when one of them is erased.';
create index idx_idempotency_keys_people on causal.idempotency_keys using gin (people);

create index idx_dead_letters_subject on causal.dead_letters (subject);

create function causal.erase_user(erased varchar) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    select core.erase_from('causal', erased)
$$;
comment on function causal.erase_user(varchar) is 'Removes an account from this schema; counts what went and what stays by table.';

create function causal.export_user(exported varchar) returns table (table_name text, row_data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.table_name, e.row_data from core.export_from('causal', exported) e
$$;
comment on function causal.export_user(varchar) is 'What causal holds of an account.';

create trigger drop_erased before insert on causal.dead_letters
    for each row execute function core.drop_erased_letter();

-- Core erases and exports in one transaction over all schemas; the service sweeps again when it hears of it.
grant usage on schema causal to recoverly_core_worker;
grant execute on function causal.erase_user(varchar) to recoverly_core_worker, recoverly_causal_worker;
grant execute on function causal.export_user(varchar) to recoverly_core_worker;
