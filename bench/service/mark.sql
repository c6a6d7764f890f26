-- Remembers the state that reset.sql comes back to. Run once, when the sweep has computed all profiles.
\set ON_ERROR_STOP on
set synchronous_commit = off;
create table bench.mark as select
    (select coalesce(max(id), 0) from social.message_predictions) as prediction,
    (select coalesce(max(action_id), 0) from social.actions) as action,
    (select coalesce(max(nudge_id), 0) from social.nudges) as nudge,
    (select coalesce(max(escalation_id), 0) from social.escalations) as escalation,
    (select coalesce(max(id), 0) from social.risk_label_changes) as label_change,
    (select coalesce(max(id), 0) from social.outbox) as event,
    (select coalesce(max(id), 0) from core.outbox) as core_event,
    (select max(message_id) from core.messages) as message;
create table bench.profiles as select * from social.user_risk_profiles;
alter table bench.profiles add primary key (user_id);
vacuum (analyze);
checkpoint;
