-- Undoes V006.
drop index social.idx_outbox_subject;
