-- Back to what mark.sql remembered, so that every series starts from the same data.
\set ON_ERROR_STOP on
set synchronous_commit = off;
set session_replication_role = replica; -- no foreign keys: what is deleted here has its dependants deleted here
delete from social.notification_deliveries where escalation_id > (select escalation from bench.mark);
delete from core.temporary_access where cause = 'escalation' and reference > (select escalation from bench.mark);
delete from social.escalations where escalation_id > (select escalation from bench.mark);
delete from social.nudges where nudge_id > (select nudge from bench.mark);
delete from social.actions where action_id > (select action from bench.mark);
delete from social.risk_label_changes where id > (select label_change from bench.mark);
delete from social.message_predictions where id > (select prediction from bench.mark);
update social.message_predictions set superseded = false where superseded;
-- Those that the sweep left stay: an outbox is never empty in production, and plans depend on it.
delete from social.outbox where id > (select event from bench.mark);
delete from core.outbox where id > (select core_event from bench.mark);
delete from core.messages where message_id > (select message from bench.mark);
delete from social.user_risk_profiles p using bench.profiles b
where p.user_id = b.user_id and p.computed_at <> b.computed_at;
insert into social.user_risk_profiles select b.* from bench.profiles b on conflict do nothing;
truncate risk.feature_snapshots, risk.metric_days, risk.outbox, bench.feature_snapshots cascade;
truncate core.audit_events, core.audit_pending, core.audit_seals;
vacuum (analyze) social.message_predictions, social.user_risk_profiles, social.escalations, social.nudges, social.actions,
    social.risk_label_changes, social.notification_deliveries, social.outbox, core.temporary_access, core.messages, core.outbox;
checkpoint;
