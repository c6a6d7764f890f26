-- Undoes V001.
drop table reco.outbox, reco.inbox, reco.dead_letters, reco.idempotency_keys;
