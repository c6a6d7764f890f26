-- Undoes V005.
revoke usage on schema social from recoverly_core_worker;
drop trigger drop_erased on social.dead_letters;
drop function social.export_user(varchar), social.erase_user(varchar);
drop index social.idx_dead_letters_subject, social.idx_contacts_staff,
    social.idx_escalations_escalated_to, social.idx_escalations_acknowledged_by;
alter table social.idempotency_keys drop column people;
