drop index core.idx_messages_turns;
drop index core.idx_messages_thread;
