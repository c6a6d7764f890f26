-- Undoes V009.
drop function social.reaches(varchar, varchar, bigint, timestamptz), social.role_is_held(varchar), social.answers_escalations(varchar), social.untold(bigint[], timestamptz),
    social.next_tier(bigint, integer, integer, varchar, timestamptz), social.wait_after(bigint, integer, varchar, timestamptz),
    social.tier_after(bigint, integer, varchar, timestamptz), social.people_of(bigint, integer, varchar, timestamptz),
    social.ack_minutes(bigint), social.policy_for(varchar), social.methods_of(varchar, varchar);
drop table social.escalation_comments;
-- One row a person and tier, as it was.
delete from social.notification_deliveries d where exists (select from social.notification_deliveries o
    where o.escalation_id = d.escalation_id and o.tier = d.tier and o.staff_id = d.staff_id and o.method = d.method
      and (o.round, o.delivery_id) < (d.round, d.delivery_id));
alter table social.notification_deliveries
    drop constraint uq_notification_deliveries_once,
    drop column round,
    add constraint uq_notification_deliveries_once unique (escalation_id, tier, staff_id, method);
comment on column social.notification_deliveries.relation is 'counselor or oncall: why this person.';
drop index social.idx_escalations_next_tier, social.idx_escalations_policy;
alter table social.escalations drop constraint ck_escalations_next_contact, drop constraint escalations_policy_id_fkey,
    drop column round, drop column repeated;
update social.escalations set policy_id = null where policy_id is not null;
comment on column social.escalations.tier is 'Which tier of the policy was told last.';
comment on column social.escalations.next_tier_at is 'When the next tier is told.';
comment on column social.escalations.policy_id is 'The escalation policy; null while there is one tier only.';
drop table social.escalation_policy_steps, social.escalation_policies;
drop function social.check_default_policy();
