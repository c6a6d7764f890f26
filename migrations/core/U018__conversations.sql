drop table core.message_ai_metadata;
alter table core.messages drop constraint fk_messages_thread;
alter table core.messages drop column thread_pk, drop column answers;
drop table core.chat_threads;
