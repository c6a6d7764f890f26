-- Predictions, the rolling profile they make, and the policy that judges it.

create table social.risk_policies (
    version varchar(50),
    thresholds jsonb not null,
    active boolean not null default false,
    created_at timestamptz not null default now(),
    created_by varchar(255),
    activated_at timestamptz,
    constraint pk_risk_policies primary key (version)
);

comment on table social.risk_policies is 'Versioned thresholds of the rules; one is active.';
comment on column social.risk_policies.version is 'Name of the version, kept with every profile and decision it made.';
comment on column social.risk_policies.thresholds is 't_high, t_mid, t_relapse, t_craving, t_toxic, t_iso, t_iso_escalate, each in 0..1.';
comment on column social.risk_policies.active is 'Whether profiles are computed with it.';
comment on column social.risk_policies.created_at is 'When it was made.';
comment on column social.risk_policies.created_by is 'By whom; null for those that came with the software.';
comment on column social.risk_policies.activated_at is 'When it was last made the active one.';

create unique index uq_risk_policies_active on social.risk_policies (active) where active;

insert into social.risk_policies (version, thresholds, active, activated_at) values ('fusion_v2',
    '{"t_high": 0.7, "t_mid": 0.3, "t_relapse": 0.5, "t_craving": 0.5, "t_toxic": 0.7, "t_iso": 0.9, "t_iso_escalate": 0.7}',
    true, now());

create table social.message_predictions (
    id bigint generated always as identity,
    message_id bigint not null references core.messages (message_id) on delete cascade,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    timestamp timestamptz not null default now(),
    message_timestamp timestamptz not null,
    p_craving double precision not null,
    p_relapse double precision not null,
    p_negative_mood double precision not null,
    p_neutral double precision not null,
    p_toxic double precision not null,
    p_isolation double precision not null,
    risk_score double precision not null,
    conversation_type varchar(50) not null,
    model_version varchar(50) not null,
    superseded boolean not null default false,
    constraint pk_message_predictions primary key (id),
    constraint uq_message_predictions_message_model unique (message_id, model_version),
    constraint ck_message_predictions_scores check (
        p_craving >= 0 and p_craving <= 1 and p_relapse >= 0 and p_relapse <= 1
        and p_negative_mood >= 0 and p_negative_mood <= 1 and p_neutral >= 0 and p_neutral <= 1
        and p_toxic >= 0 and p_toxic <= 1 and p_isolation >= 0 and p_isolation <= 1
        and risk_score >= 0 and risk_score <= 1)
);

comment on table social.message_predictions is 'ML model predictions for each message; all probabilities have six decimals.';
comment on column social.message_predictions.id is 'Prediction id.';
comment on column social.message_predictions.message_id is 'Related message.';
comment on column social.message_predictions.user_id is 'The message''s author.';
comment on column social.message_predictions.timestamp is 'Prediction time.';
comment on column social.message_predictions.message_timestamp is 'Copied from the message: what every window counts by.';
comment on column social.message_predictions.p_craving is 'Craving probability.';
comment on column social.message_predictions.p_relapse is 'Relapse probability.';
comment on column social.message_predictions.p_negative_mood is 'Negative mood probability.';
comment on column social.message_predictions.p_neutral is 'Neutral probability.';
comment on column social.message_predictions.p_toxic is 'Toxic content probability.';
comment on column social.message_predictions.p_isolation is 'Isolation probability.';
comment on column social.message_predictions.risk_score is 'Overall risk score.';
comment on column social.message_predictions.conversation_type is 'Conversation type of the message.';
comment on column social.message_predictions.model_version is 'ML model version.';
comment on column social.message_predictions.superseded is 'Another prediction of the same message counts instead: the one with the greatest (timestamp, id).';

create index idx_message_predictions_user_time on social.message_predictions (user_id, timestamp desc);
-- The window query reads nothing but this index: one entry a message, the one that counts.
create index idx_message_predictions_window on social.message_predictions (user_id, message_timestamp)
    include (risk_score, p_isolation, p_craving, p_relapse, p_toxic) where not superseded;

create table social.user_risk_profiles (
    user_id varchar(255) references core.users (user_id) on delete cascade,
    last_updated timestamptz not null default now(),
    short_avg_risk_score double precision,
    short_max_risk_score double precision,
    short_avg_isolation double precision,
    short_high_risk_count integer not null default 0,
    short_toxic_incidents integer not null default 0,
    medium_avg_risk_score double precision,
    medium_max_risk_score double precision,
    medium_avg_isolation double precision,
    risk_trend varchar(50) not null default 'stable',
    isolation_trend varchar(50) not null default 'stable',
    current_risk_label varchar(50) not null default 'UNKNOWN',
    risk_label_since timestamptz not null default now(),
    total_messages_7d integer not null default 0,
    buddy_messages_7d integer not null default 0,
    counselor_messages_7d integer not null default 0,
    last_message_time timestamptz,
    days_since_last_buddy_msg integer,
    reasons jsonb not null default '[]',
    policy_version varchar(50) not null references social.risk_policies (version),
    computed_at timestamptz not null default now(),
    next_recompute_at timestamptz,
    last_decision_at timestamptz,
    nudge_reconsider_at timestamptz,
    model_risk_level varchar(20),
    model_level_since timestamptz,
    model_predicted_at timestamptz,
    model_name varchar(100),
    model_version varchar(100),
    constraint pk_user_risk_profiles primary key (user_id),
    constraint ck_user_risk_profiles_label check (current_risk_label in ('HIGH_RISK', 'MODERATE_RISK', 'ISOLATION_ONLY', 'LOW_RISK', 'UNKNOWN')),
    constraint ck_user_risk_profiles_risk_trend check (risk_trend in ('improving', 'stable', 'declining', 'rapid_decline')),
    constraint ck_user_risk_profiles_isolation_trend check (isolation_trend in ('improving', 'stable', 'declining')),
    constraint ck_user_risk_profiles_model_level check (model_risk_level in ('LOW', 'MODERATE', 'HIGH', 'VERY_HIGH')),
    constraint ck_user_risk_profiles_scores check (
        short_avg_risk_score >= 0 and short_avg_risk_score <= 1 and short_max_risk_score >= 0 and short_max_risk_score <= 1
        and short_avg_isolation >= 0 and short_avg_isolation <= 1 and medium_avg_risk_score >= 0 and medium_avg_risk_score <= 1
        and medium_max_risk_score >= 0 and medium_max_risk_score <= 1 and medium_avg_isolation >= 0 and medium_avg_isolation <= 1)
) with (fillfactor = 70);

comment on table social.user_risk_profiles is 'Aggregated risk profile per client; exact, and recomputable from predictions and messages.';
comment on column social.user_risk_profiles.user_id is 'User identifier.';
comment on column social.user_risk_profiles.last_updated is 'Last update time.';
comment on column social.user_risk_profiles.short_avg_risk_score is '7-day average risk; null without predictions.';
comment on column social.user_risk_profiles.short_max_risk_score is '7-day maximum risk.';
comment on column social.user_risk_profiles.short_avg_isolation is '7-day average isolation.';
comment on column social.user_risk_profiles.short_high_risk_count is 'High-risk messages in 7 days.';
comment on column social.user_risk_profiles.short_toxic_incidents is 'Toxic messages in 7 days.';
comment on column social.user_risk_profiles.medium_avg_risk_score is '30-day average risk.';
comment on column social.user_risk_profiles.medium_max_risk_score is '30-day maximum risk.';
comment on column social.user_risk_profiles.medium_avg_isolation is '30-day average isolation.';
comment on column social.user_risk_profiles.risk_trend is 'improving, stable, declining or rapid_decline.';
comment on column social.user_risk_profiles.isolation_trend is 'improving, stable or declining.';
comment on column social.user_risk_profiles.current_risk_label is 'Current risk level.';
comment on column social.user_risk_profiles.risk_label_since is 'When the label was assigned; changes only when the label does.';
comment on column social.user_risk_profiles.total_messages_7d is 'The client''s own messages in 7 days, scored or not.';
comment on column social.user_risk_profiles.buddy_messages_7d is 'Those in buddy conversations.';
comment on column social.user_risk_profiles.counselor_messages_7d is 'Those in counselor conversations.';
comment on column social.user_risk_profiles.last_message_time is 'Last own message.';
comment on column social.user_risk_profiles.days_since_last_buddy_msg is 'Whole days since the last own buddy message; null if never.';
comment on column social.user_risk_profiles.reasons is 'One object per rule that held at the winning level: code, text, value, threshold.';
comment on column social.user_risk_profiles.policy_version is 'The policy it was computed with.';
comment on column social.user_risk_profiles.computed_at is 'As of when it is exact.';
comment on column social.user_risk_profiles.next_recompute_at is 'The earliest instant at which time alone changes an input; null if none will.';
comment on column social.user_risk_profiles.last_decision_at is 'When the rules last decided what to do.';
comment on column social.user_risk_profiles.nudge_reconsider_at is 'When a nudge that was withheld is thought of again; null where none was.';
comment on column social.user_risk_profiles.model_risk_level is 'Level by the live risk models, as the risk service says: LOW, MODERATE, HIGH or VERY_HIGH; null while none holds. Never changes the label.';
comment on column social.user_risk_profiles.model_level_since is 'Since when it is so: what the risk service said before that never overwrites it.';
comment on column social.user_risk_profiles.model_predicted_at is 'When the prediction was made that brought this level.';
comment on column social.user_risk_profiles.model_name is 'The model that made it.';
comment on column social.user_risk_profiles.model_version is 'The version of the model.';

create index idx_user_risk_profiles_label on social.user_risk_profiles (current_risk_label, short_avg_risk_score desc nulls last, user_id);
create index idx_user_risk_profiles_due on social.user_risk_profiles (next_recompute_at) where next_recompute_at is not null;

create table social.risk_label_changes (
    id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    from_label varchar(50) not null,
    to_label varchar(50) not null,
    changed_at timestamptz not null,
    reasons jsonb not null,
    policy_version varchar(50) not null,
    constraint pk_risk_label_changes primary key (id)
);

comment on table social.risk_label_changes is 'Every change of a client''s label.';
comment on column social.risk_label_changes.id is 'Row id.';
comment on column social.risk_label_changes.user_id is 'Whose.';
comment on column social.risk_label_changes.from_label is 'The label before.';
comment on column social.risk_label_changes.to_label is 'The label after.';
comment on column social.risk_label_changes.changed_at is 'When.';
comment on column social.risk_label_changes.reasons is 'The rules that held then.';
comment on column social.risk_label_changes.policy_version is 'The policy that judged.';

create index idx_risk_label_changes_user_time on social.risk_label_changes (user_id, changed_at desc);
create index idx_risk_label_changes_time on social.risk_label_changes (changed_at);

alter table social.message_predictions enable row level security;
alter table social.message_predictions force row level security;
create policy visible on social.message_predictions using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.message_predictions to recoverly_worker using (true) with check (true);
create policy owner on social.message_predictions to recoverly_owner using (true) with check (true);

alter table social.user_risk_profiles enable row level security;
alter table social.user_risk_profiles force row level security;
create policy visible on social.user_risk_profiles using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.user_risk_profiles to recoverly_worker using (true) with check (true);
create policy owner on social.user_risk_profiles to recoverly_owner using (true) with check (true);

alter table social.risk_label_changes enable row level security;
alter table social.risk_label_changes force row level security;
create policy visible on social.risk_label_changes using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.risk_label_changes to recoverly_worker using (true) with check (true);
create policy owner on social.risk_label_changes to recoverly_owner using (true) with check (true);
