-- Events are found by their order, never by the id that consumers deduplicate on: an index on it cost every event three
-- entries, at its writing, claiming and marking, and guarded against a clash of random numbers.
alter table social.outbox drop constraint uq_outbox_event;

-- The mean changes with every prediction, and with it in the index no update of a profile could stay on its page. The
-- caseload list reaches profiles by client, and sorts the few that it finds.
drop index social.idx_user_risk_profiles_label;
create index idx_user_risk_profiles_label on social.user_risk_profiles (current_risk_label, user_id);

-- A check over seven columns is read from its text and planned at every statement, which cost a single write a tenth of
-- its time; a domain's is kept with the session. It refuses the same, NaN included.
--
-- The check comes last and is validated by itself: a domain that had it before would have both tables rewritten.
create domain social.probability as double precision;
comment on domain social.probability is 'A finite number from 0 to 1.';
alter table social.message_predictions
    drop constraint ck_message_predictions_scores,
    alter column p_craving type social.probability,
    alter column p_relapse type social.probability,
    alter column p_negative_mood type social.probability,
    alter column p_neutral type social.probability,
    alter column p_toxic type social.probability,
    alter column p_isolation type social.probability,
    alter column risk_score type social.probability;
alter table social.user_risk_profiles
    drop constraint ck_user_risk_profiles_scores,
    alter column short_avg_risk_score type social.probability,
    alter column short_max_risk_score type social.probability,
    alter column short_avg_isolation type social.probability,
    alter column medium_avg_risk_score type social.probability,
    alter column medium_max_risk_score type social.probability,
    alter column medium_avg_isolation type social.probability;
alter domain social.probability add constraint ck_probability check (value >= 0 and value <= 1) not valid;
alter domain social.probability validate constraint ck_probability;
