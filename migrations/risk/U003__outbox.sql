-- Undoes V003.
alter table risk.outbox add constraint uq_outbox_event unique (event_id);
