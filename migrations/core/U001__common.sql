-- Undoes V001.
drop table core.outbox, core.inbox, core.dead_letters, core.idempotency_keys;
