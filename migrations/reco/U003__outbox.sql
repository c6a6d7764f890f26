-- Undoes V003.
alter table reco.outbox add constraint uq_outbox_event unique (event_id);
