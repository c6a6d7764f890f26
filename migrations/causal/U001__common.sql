-- Undoes V001.
drop table causal.outbox, causal.inbox, causal.dead_letters, causal.idempotency_keys;
