-- Undoes V012. Erasures that were recorded are lost with the table: export them first.
drop trigger drop_erased on core.dead_letters;
drop function core.drop_erased_letter(), core.schema_versions(), core.export_user(varchar), core.erase_user(varchar), core.export_from(name, varchar),
    core.erase_from(name, varchar), core.erase_traces(name, varchar), core.erase_rows(name, varchar), core.is_erased(bytea[]);
drop table core.erasures;
drop index core.idx_staff_roles_granted_by, core.idx_temporary_access_client, core.idx_dead_letters_subject;
alter table core.idempotency_keys drop column people;
