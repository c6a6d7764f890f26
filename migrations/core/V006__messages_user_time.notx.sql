-- idx_messages_history begins with the same columns and serves whom this one served.
drop index concurrently core.idx_messages_user_time;
