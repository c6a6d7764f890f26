-- Undoes V001.
drop table risk.outbox, risk.inbox, risk.dead_letters, risk.idempotency_keys;
