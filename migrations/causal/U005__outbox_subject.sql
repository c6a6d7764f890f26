-- Undoes V005.
drop index causal.idx_outbox_subject;
