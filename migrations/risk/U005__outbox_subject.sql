-- Undoes V005.
drop index risk.idx_outbox_subject;
