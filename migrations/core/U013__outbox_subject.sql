-- Undoes V013.
drop index core.idx_outbox_subject;
