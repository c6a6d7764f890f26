-- Undoes V005.
drop index core.idx_messages_history;
