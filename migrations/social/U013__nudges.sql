alter table social.actions
    drop constraint ck_actions_crisis,
    drop constraint ck_actions_seed,
    drop constraint ck_actions_source,
    drop column seed,
    drop column arms,
    drop column source;
delete from social.nudges where status = 'withheld' or source = 'meeting';
alter table social.nudges
    drop constraint ck_nudges_recommendation,
    drop constraint ck_nudges_withheld_reason,
    drop constraint ck_nudges_withheld,
    drop constraint ck_nudges_channel,
    drop constraint ck_nudges_source,
    add constraint ck_nudges_source check (source in ('rule', 'reco', 'staff')),
    drop column recommendation_id,
    drop column withheld_reason,
    drop column channel;
drop table social.nudge_templates;
drop function social.check_crisis_template();
comment on column social.nudges.source is 'rule, reco or staff.';
comment on column social.nudges.dedup_key is 'At most one nudge of a user has this key.';
comment on column social.actions.eligible is 'What could have been chosen.';
comment on column social.actions.probability is 'With what probability this was chosen; null where nothing was randomised.';
comment on column social.actions.confidence_score is 'How much data the decision rests on: predictions of the last 30 days over 5, at most 1.';
