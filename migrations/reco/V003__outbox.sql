-- Events are found by their order, never by the id that consumers deduplicate on: an index on it cost every event three
-- entries, at its writing, claiming and marking, and guarded against a clash of random numbers.
alter table reco.outbox drop constraint uq_outbox_event;
