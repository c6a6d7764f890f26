-- Undoes V006.
create index idx_messages_user_time on core.messages (user_id, timestamp desc) include (conversation_type, sender_role);
