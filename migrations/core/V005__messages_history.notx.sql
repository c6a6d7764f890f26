-- With the id in it, the order of a history is the index's own, and a page begins where the last one ended.
create index concurrently idx_messages_history on core.messages (user_id, timestamp desc, message_id desc)
    include (conversation_type, sender_role);
