-- Undoes V024.
drop index core.idx_messages_timestamp;
create index idx_messages_timestamp on core.messages (timestamp desc);
