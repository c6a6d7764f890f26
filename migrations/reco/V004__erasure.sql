-- Leaving: how a person's rows and traces are found here, and removed.

alter table reco.idempotency_keys add column people varchar(255)[] not null default '{}';
comment on column reco.idempotency_keys.people is 'Whom request and answer are about, the asking person among them; the record goes when one of them is erased.';
create index idx_idempotency_keys_people on reco.idempotency_keys using gin (people);

create index idx_dead_letters_subject on reco.dead_letters (subject);

create function reco.erase_user(erased varchar) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    select core.erase_from('reco', erased)
$$;
comment on function reco.erase_user(varchar) is 'Removes an account from this schema; counts what went and what stays by table.';

create function reco.export_user(exported varchar) returns table (table_name text, row_data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.table_name, e.row_data from core.export_from('reco', exported) e
$$;
comment on function reco.export_user(varchar) is 'What reco holds of an account.';

create trigger drop_erased before insert on reco.dead_letters
    for each row execute function core.drop_erased_letter();

-- Core erases and exports in one transaction over all schemas; the service sweeps again when it hears of it.
grant usage on schema reco to recoverly_core_worker;
grant execute on function reco.erase_user(varchar) to recoverly_core_worker, recoverly_reco_worker;
grant execute on function reco.export_user(varchar) to recoverly_core_worker;
