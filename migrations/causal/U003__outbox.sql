-- Undoes V003.
alter table causal.outbox add constraint uq_outbox_event unique (event_id);
