-- Messages that are nobody's any more stay, and are not looked at again when a term is over.
create index concurrently idx_messages_kept on core.messages (timestamp desc) where anonymized_at is null;
drop index concurrently core.idx_messages_timestamp;
alter index core.idx_messages_kept rename to idx_messages_timestamp;
