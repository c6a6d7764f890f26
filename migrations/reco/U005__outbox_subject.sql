-- Undoes V005.
drop index reco.idx_outbox_subject;
