drop policy admins on social.notification_deliveries;
drop index social.idx_notification_deliveries_due;
update social.notification_deliveries set status = 'failed' where status = 'withdrawn';
alter table social.notification_deliveries drop constraint ck_notification_deliveries_status;
alter table social.notification_deliveries add constraint ck_notification_deliveries_status
    check (status in ('pending', 'sent', 'delivered', 'failed'));
comment on column social.notification_deliveries.status is 'pending, sent, delivered or failed. In-app is sent once it is stored: the queue shows it.';
comment on column social.notification_deliveries.error is 'Why the last attempt failed.';
comment on column social.notification_deliveries.next_attempt_at is 'When it is tried again.';
comment on column social.notification_deliveries.attempt is 'Which attempt this is.';
alter table social.notification_deliveries alter column attempt set default 1;
drop function social.contact_methods_held();
create or replace function social.methods_of(staff varchar, wanted varchar) returns setof varchar
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select 'in_app'::varchar
$$;
comment on function social.methods_of(varchar, varchar) is 'By which ways a page goes to a staff user at first.';
drop table social.contact_methods;
