drop index core.idx_messages_thread;
