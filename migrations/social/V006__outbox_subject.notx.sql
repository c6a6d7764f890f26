-- Erasing a person looks for their events, those that were published among them, and must not read all of them.
create index concurrently idx_outbox_subject on social.outbox (subject) where subject is not null;
