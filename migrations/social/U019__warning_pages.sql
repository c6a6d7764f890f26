-- Undoes V019.
drop function social.warned_since(varchar[], pg_snapshot), social.warning_readers();
delete from social.notification_deliveries where warning_id is not null;
alter table social.notification_deliveries
    drop constraint ck_notification_deliveries_about,
    drop constraint uq_notification_deliveries_warning,
    drop column warning_id,
    alter column escalation_id set not null;
comment on table social.notification_deliveries is 'Who was told of an escalation, by which way.';
comment on column social.notification_deliveries.escalation_id is 'The episode.';
comment on column social.notification_deliveries.relation is 'counselor, oncall, or staff who were told by name, by role or by a colleague: why this person.';
comment on column social.notification_deliveries.tier is 'For which tier.';
comment on column social.notification_deliveries.round is 'In which round of that tier.';
