-- Undoes V004.
revoke usage on schema causal from recoverly_core_worker;
drop trigger drop_erased on causal.dead_letters;
drop function causal.export_user(varchar), causal.erase_user(varchar);
drop index causal.idx_dead_letters_subject;
alter table causal.idempotency_keys drop column people;
