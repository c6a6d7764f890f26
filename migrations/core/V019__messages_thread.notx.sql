-- A thread's turns in their order, and what goes when a thread is deleted.
create index concurrently idx_messages_thread on core.messages (thread_pk, timestamp desc, message_id desc)
    where thread_pk is not null;
