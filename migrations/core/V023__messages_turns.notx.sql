-- The last turns of a thread, which short-term memory is rebuilt from.
create index concurrently idx_messages_turns on core.messages (thread_pk, message_id desc) where answers is not null;
alter table core.messages validate constraint fk_messages_thread;
