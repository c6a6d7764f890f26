-- Undoes V004.
alter table social.outbox add constraint uq_outbox_event unique (event_id);
drop index social.idx_user_risk_profiles_label;
create index idx_user_risk_profiles_label on social.user_risk_profiles (current_risk_label, short_avg_risk_score desc nulls last, user_id);
alter table social.message_predictions
    alter column p_craving type double precision,
    alter column p_relapse type double precision,
    alter column p_negative_mood type double precision,
    alter column p_neutral type double precision,
    alter column p_toxic type double precision,
    alter column p_isolation type double precision,
    alter column risk_score type double precision,
    add constraint ck_message_predictions_scores check (
    p_craving >= 0 and p_craving <= 1 and p_relapse >= 0 and p_relapse <= 1
    and p_negative_mood >= 0 and p_negative_mood <= 1 and p_neutral >= 0 and p_neutral <= 1
    and p_toxic >= 0 and p_toxic <= 1 and p_isolation >= 0 and p_isolation <= 1
    and risk_score >= 0 and risk_score <= 1);
alter table social.user_risk_profiles
    alter column short_avg_risk_score type double precision,
    alter column short_max_risk_score type double precision,
    alter column short_avg_isolation type double precision,
    alter column medium_avg_risk_score type double precision,
    alter column medium_max_risk_score type double precision,
    alter column medium_avg_isolation type double precision,
    add constraint ck_user_risk_profiles_scores check (
    short_avg_risk_score >= 0 and short_avg_risk_score <= 1 and short_max_risk_score >= 0 and short_max_risk_score <= 1
    and short_avg_isolation >= 0 and short_avg_isolation <= 1 and medium_avg_risk_score >= 0 and medium_avg_risk_score <= 1
    and medium_max_risk_score >= 0 and medium_max_risk_score <= 1 and medium_avg_isolation >= 0 and medium_avg_isolation <= 1);
drop domain social.probability;
