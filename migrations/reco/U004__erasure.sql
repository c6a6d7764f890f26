-- Undoes V004.
revoke usage on schema reco from recoverly_core_worker;
drop trigger drop_erased on reco.dead_letters;
drop function reco.export_user(varchar), reco.erase_user(varchar);
drop index reco.idx_dead_letters_subject;
alter table reco.idempotency_keys drop column people;
