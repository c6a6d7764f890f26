-- Undoes V004.
revoke usage on schema risk from recoverly_core_worker;
drop trigger drop_erased on risk.dead_letters;
drop function risk.export_user(varchar), risk.erase_user(varchar);
drop index risk.idx_dead_letters_subject;
alter table risk.idempotency_keys drop column people;
