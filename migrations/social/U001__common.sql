-- Undoes V001.
drop table social.outbox, social.inbox, social.dead_letters, social.idempotency_keys;
