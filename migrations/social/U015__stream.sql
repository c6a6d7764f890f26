drop function social.happened_to(varchar[], pg_snapshot, integer);
drop function social.has_happened(pg_snapshot);
drop function social.pages_since(pg_snapshot);
drop index social.idx_notification_deliveries_stream;
alter table social.notification_deliveries drop column xid;
drop index social.idx_outbox_stream;
