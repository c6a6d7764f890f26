-- What models say of clients, why, and what came of it.

create table risk.model_predictions (
    prediction_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    snapshot_id bigint not null references risk.feature_snapshots (snapshot_id) on delete no action,
    model_name varchar(100) not null,
    model_version varchar(100) not null,
    predicted_at timestamptz not null,
    horizon_days smallint not null,
    probability double precision not null,
    risk_level varchar(10) not null,
    threshold double precision not null,
    stage varchar(10) not null,
    metadata jsonb,
    created_at timestamptz not null default now(),
    label boolean,
    labelled_at timestamptz,
    label_due_at timestamptz,
    constraint pk_model_predictions primary key (prediction_id),
    constraint uq_model_predictions_snapshot_model unique (snapshot_id, model_name, model_version),
    constraint fk_model_predictions_model foreign key (model_name, model_version)
        references risk.model_versions (model_name, version) on delete restrict,
    constraint ck_model_predictions_horizon check (horizon_days between 1 and 365),
    constraint ck_model_predictions_probability check (probability >= 0 and probability <= 1),
    constraint ck_model_predictions_threshold check (threshold > 0 and threshold <= 1),
    constraint ck_model_predictions_level check (risk_level in ('LOW', 'MODERATE', 'HIGH', 'VERY_HIGH')),
    constraint ck_model_predictions_stage check (stage in ('shadow', 'live', 'retired')),
    constraint ck_model_predictions_label check ((label is null) = (labelled_at is null))
);

comment on table risk.model_predictions is 'What a model version said of a client, once for each snapshot.';
comment on column risk.model_predictions.prediction_id is 'Row id.';
comment on column risk.model_predictions.user_id is 'The client.';
comment on column risk.model_predictions.snapshot_id is 'What it was told.';
comment on column risk.model_predictions.model_name is 'Which model.';
comment on column risk.model_predictions.model_version is 'Which version of it.';
comment on column risk.model_predictions.predicted_at is 'As of when: an outcome counts if it falls in (predicted_at, predicted_at + horizon].';
comment on column risk.model_predictions.horizon_days is 'How many days ahead it looks.';
comment on column risk.model_predictions.probability is 'Of a relapse or lapse within the horizon; six decimals.';
comment on column risk.model_predictions.risk_level is 'By the version''s thresholds when it came in.';
comment on column risk.model_predictions.threshold is 'The alert threshold (VERY_HIGH) of that time.';
comment on column risk.model_predictions.stage is 'The version''s stage when it came in: only what was live could page.';
comment on column risk.model_predictions.metadata is 'What the pipeline adds.';
comment on column risk.model_predictions.created_at is 'When it was stored.';
comment on column risk.model_predictions.label is 'Whether a relapse or lapse came within the horizon; null while that is open or nobody can know.';
comment on column risk.model_predictions.labelled_at is 'When that was settled; a late outcome settles it anew.';
comment on column risk.model_predictions.label_due_at is 'When the horizon is over and the label must be looked at; null once it was.';

create index idx_model_predictions_user_time on risk.model_predictions (user_id, predicted_at desc, prediction_id desc);
-- What a version said last of a client, which is what levels go by.
create index idx_model_predictions_latest on risk.model_predictions
    (user_id, model_name, model_version, predicted_at desc, prediction_id desc);
-- Metrics read nothing but this index.
create index idx_model_predictions_metrics on risk.model_predictions (model_name, model_version, predicted_at)
    include (probability, label);
create index idx_model_predictions_label_due on risk.model_predictions (label_due_at) where label_due_at is not null;

create table risk.xai_explanations (
    prediction_id bigint not null references risk.model_predictions (prediction_id) on delete cascade,
    method varchar(20) not null,
    rank smallint not null,
    base_value double precision,
    link varchar(10),
    feature_name varchar(100) not null,
    feature_value jsonb,
    contribution double precision not null,
    constraint pk_xai_explanations primary key (prediction_id, method, rank),
    constraint ck_xai_explanations_method check (method in ('shap', 'lime', 'permutation', 'other')),
    constraint ck_xai_explanations_link check (link in ('identity', 'logit')),
    constraint ck_xai_explanations_rank check (rank between 1 and 500),
    constraint ck_xai_explanations_shap check (method <> 'shap' or (base_value is not null and link is not null)),
    constraint ck_xai_explanations_finite check (contribution between -1e300 and 1e300 and base_value between -1e300 and 1e300)
);

comment on table risk.xai_explanations is 'How much each feature moved a prediction. SHAP values and their base add up to it, in the link that is declared.';
comment on column risk.xai_explanations.prediction_id is 'What is explained.';
comment on column risk.xai_explanations.method is 'shap, lime, permutation or other.';
comment on column risk.xai_explanations.rank is 'Place by size of contribution, the largest at 1.';
comment on column risk.xai_explanations.base_value is 'What the model says without any feature, in the link''s unit.';
comment on column risk.xai_explanations.link is 'identity: contributions are probabilities; logit: log odds.';
comment on column risk.xai_explanations.feature_name is 'A feature of the snapshot''s set.';
comment on column risk.xai_explanations.feature_value is 'Its value then.';
comment on column risk.xai_explanations.contribution is 'How much it moved the prediction; above zero raises the risk.';

create table risk.outcomes (
    outcome_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    kind varchar(20) not null,
    occurred_at timestamptz not null,
    date_precision varchar(10) not null default 'exact',
    reported_by varchar(255) references core.users (user_id) on delete set null,
    source varchar(20) not null,
    reported_at timestamptz not null default now(),
    constraint pk_outcomes primary key (outcome_id),
    constraint uq_outcomes_once unique (user_id, kind, occurred_at, source),
    constraint ck_outcomes_kind check (kind in ('relapse', 'lapse', 'abstinent', 'dropout', 'unknown')),
    constraint ck_outcomes_precision check (date_precision in ('exact', 'day', 'week', 'month')),
    constraint ck_outcomes_source check (source in ('self_report', 'counselor', 'clinical_test', 'pipeline'))
);

comment on table risk.outcomes is 'What came of a client, as far as somebody said so. The same outcome of the same source again is the same row.';
comment on column risk.outcomes.outcome_id is 'Row id.';
comment on column risk.outcomes.user_id is 'The client.';
comment on column risk.outcomes.kind is 'relapse, lapse, abstinent, dropout or unknown.';
comment on column risk.outcomes.occurred_at is 'When it happened, or the middle of when it may have.';
comment on column risk.outcomes.date_precision is 'How exactly that is known: exact, day, week or month.';
comment on column risk.outcomes.reported_by is 'Who of staff said so; null for a pipeline, and once that account is erased.';
comment on column risk.outcomes.source is 'How it became known: self_report, counselor, clinical_test or pipeline.';
comment on column risk.outcomes.reported_at is 'When it was stored; a late one settles labels anew.';

create index idx_outcomes_reported on risk.outcomes (reported_at);
create index idx_outcomes_reporter on risk.outcomes (reported_by) where reported_by is not null;
create index idx_outcomes_user_time on risk.outcomes (user_id, occurred_at desc, outcome_id desc);

-- The one place of the rule. The predictions are locked before the outcomes are read: of two outcomes that come at once the
-- second to get here sees the first.
create function risk.settle_labels(given bigint[], now timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    settled bigint;
begin
    perform from risk.model_predictions p where p.prediction_id = any (given)
    order by p.prediction_id for no key update of p;
    with told as (
        select p.prediction_id, window_of.ends_at, came.is_positive, came.is_unknowable
        from risk.model_predictions p
        cross join lateral (select p.predicted_at + p.horizon_days * interval '1 day' as ends_at) as window_of
        cross join lateral (
            select coalesce(bool_or(o.kind in ('relapse', 'lapse')), false) as is_positive,
                coalesce(bool_or(o.kind in ('dropout', 'unknown')), false) as is_unknowable
            from risk.outcomes o
            where o.user_id = p.user_id and o.occurred_at > p.predicted_at and o.occurred_at <= window_of.ends_at
        ) as came
        where p.prediction_id = any (given)),
    ruled as (
        select t.prediction_id,
            case when t.is_positive then true when t.ends_at > settle_labels.now or t.is_unknowable then null else false end as label,
            case when not t.is_positive and t.ends_at > settle_labels.now then t.ends_at end as due_at
        from told t)
    update risk.model_predictions p
    set label = r.label, label_due_at = r.due_at,
        labelled_at = case when r.label is null then null when r.label = p.label then p.labelled_at else settle_labels.now end
    from ruled r
    where p.prediction_id = r.prediction_id and (p.label, p.label_due_at) is distinct from (r.label, r.due_at);
    get diagnostics settled = row_count;
    return settled;
end $$;
comment on function risk.settle_labels(bigint[], timestamptz) is 'Settles the labels of predictions by the outcomes that are known: true as soon as a relapse or lapse fell into (predicted_at, predicted_at + horizon]; false once the horizon has passed without, unless a dropout or unknown in it means that nobody can know; else null. Returns how many changed.';
grant execute on function risk.settle_labels(bigint[], timestamptz) to recoverly_risk, recoverly_risk_worker;

-- A prediction that is posted late may be about what has come already. Named so that it fires behind raise_metric_days, which
-- takes all days of a statement in one order.
create function risk.settle_labels_stored() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
begin
    perform risk.settle_labels(array_agg(s.prediction_id), max(s.created_at))
    from stored s
    where exists (
        select from risk.outcomes o
        where o.user_id = s.user_id and o.kind in ('relapse', 'lapse') and o.occurred_at > s.predicted_at
            and o.occurred_at <= s.predicted_at + s.horizon_days * interval '1 day')
    having count(*) > 0;
    return null;
end $$;
comment on function risk.settle_labels_stored() is 'Labels predictions about what has come already.';

create trigger settle_labels_stored after insert on risk.model_predictions
    referencing new table as stored for each statement execute function risk.settle_labels_stored();

create table risk.prediction_reviews (
    review_id bigint generated always as identity,
    prediction_id bigint not null references risk.model_predictions (prediction_id) on delete cascade,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    staff_id varchar(255) references core.users (user_id) on delete set null,
    decision varchar(10) not null,
    override_level varchar(10),
    reason text,
    reviewed_at timestamptz not null default now(),
    constraint pk_prediction_reviews primary key (review_id),
    constraint ck_prediction_reviews_decision check (decision in ('accept', 'override')),
    constraint ck_prediction_reviews_override check ((decision = 'override') = (override_level is not null)),
    constraint ck_prediction_reviews_level check (override_level in ('LOW', 'MODERATE', 'HIGH', 'VERY_HIGH')),
    constraint ck_prediction_reviews_reason check (octet_length(reason) between 1 and 8192 and (decision <> 'override' or reason is not null))
);

comment on table risk.prediction_reviews is 'What counselors think of a prediction. It changes neither the prediction nor the level.';
comment on column risk.prediction_reviews.review_id is 'Row id.';
comment on column risk.prediction_reviews.prediction_id is 'Which prediction.';
comment on column risk.prediction_reviews.user_id is 'Of which client.';
comment on column risk.prediction_reviews.staff_id is 'Who reviewed it; null once that account is erased.';
comment on column risk.prediction_reviews.decision is 'accept or override.';
comment on column risk.prediction_reviews.override_level is 'The level they would have given.';
comment on column risk.prediction_reviews.reason is 'Why, for staff; up to 8,192 bytes; an override says it.';
comment on column risk.prediction_reviews.reviewed_at is 'When.';

create index idx_prediction_reviews_prediction on risk.prediction_reviews (prediction_id, reviewed_at desc);
create index idx_prediction_reviews_user on risk.prediction_reviews (user_id);
create index idx_prediction_reviews_staff on risk.prediction_reviews (staff_id) where staff_id is not null;

create table risk.client_levels (
    user_id varchar(255) references core.users (user_id) on delete cascade,
    risk_level varchar(10),
    level_since timestamptz not null,
    prediction_id bigint references risk.model_predictions (prediction_id) on delete set null,
    valid_until timestamptz,
    constraint pk_client_levels primary key (user_id),
    constraint ck_client_levels_level check (risk_level in ('LOW', 'MODERATE', 'HIGH', 'VERY_HIGH')),
    constraint ck_client_levels_valid check ((risk_level is null) = (valid_until is null))
) with (fillfactor = 70);

comment on table risk.client_levels is 'The level of each client by live models: the severest of what each of them said last, as long as its horizon lasts.';
comment on column risk.client_levels.user_id is 'The client.';
comment on column risk.client_levels.risk_level is 'LOW, MODERATE, HIGH or VERY_HIGH; null once no prediction holds any more.';
comment on column risk.client_levels.level_since is 'Since when it is so; changes only when the level does.';
comment on column risk.client_levels.prediction_id is 'The prediction that it is by.';
comment on column risk.client_levels.valid_until is 'When the horizon of that prediction ends: of several as severe it is by the one that lasts longest, so that before this time nothing but a prediction or a stage changes the level.';

create table risk.stage_settlings (
    model_name varchar(100) not null,
    model_version varchar(100) not null,
    changed_at timestamptz not null,
    due_at timestamptz not null,
    settled_to varchar(255) references core.users (user_id) on delete set null,
    constraint pk_stage_settlings primary key (model_name, model_version),
    constraint fk_stage_settlings_model foreign key (model_name, model_version)
        references risk.model_versions (model_name, version) on delete cascade
);

comment on table risk.stage_settlings is 'Versions whose stage changed, until the levels of all their clients are settled anew.';
comment on column risk.stage_settlings.model_name is 'Which model.';
comment on column risk.stage_settlings.model_version is 'Which version of it.';
comment on column risk.stage_settlings.changed_at is 'When its stage changed.';
comment on column risk.stage_settlings.due_at is 'When its clients are gone through: at once, and again a minute later, when whoever had read the stage before has written.';
comment on column risk.stage_settlings.settled_to is 'Up to which client they are settled; null: from the first on, also once that client is erased.';

create index idx_stage_settlings_settled_to on risk.stage_settlings (settled_to) where settled_to is not null;

-- Whoever moves a version to another stage: no path can forget its clients.
create function risk.settle_stage() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into risk.stage_settlings (model_name, model_version, changed_at, due_at)
    values (new.model_name, new.version, new.stage_since, new.stage_since)
    on conflict (model_name, model_version) do update
    set changed_at = excluded.changed_at, due_at = excluded.due_at, settled_to = null;
    return null;
end $$;
comment on function risk.settle_stage() is 'Has the clients of a version settled anew that became live, or is so no longer.';

create trigger settle_stage after update of stage on risk.model_versions
    for each row when (old.stage <> new.stage and 'live' in (old.stage, new.stage)) execute function risk.settle_stage();

create index idx_client_levels_valid on risk.client_levels (valid_until) where valid_until is not null;
create index idx_client_levels_prediction on risk.client_levels (prediction_id) where prediction_id is not null;

do $policies$
declare
    place text;
begin
    foreach place in array array['model_predictions', 'outcomes', 'prediction_reviews', 'client_levels'] loop
        execute format('alter table risk.%I enable row level security', place);
        execute format('alter table risk.%I force row level security', place);
        execute format('create policy visible on risk.%I using (user_id in (select unnest(core.visible_clients())))', place);
        execute format('create policy worker on risk.%I to recoverly_worker using (true) with check (true)', place);
        execute format('create policy owner on risk.%I to recoverly_owner using (true) with check (true)', place);
    end loop;
end
$policies$;

-- How far the levels are settled after a stage is nobody's business but the worker's.
alter table risk.stage_settlings enable row level security;
alter table risk.stage_settlings force row level security;
create policy worker on risk.stage_settlings to recoverly_worker using (true) with check (true);
create policy owner on risk.stage_settlings to recoverly_owner using (true) with check (true);
revoke delete on risk.client_levels from recoverly_risk;
revoke all on risk.stage_settlings from recoverly_risk;

-- An explanation is seen by whoever sees its prediction.
alter table risk.xai_explanations enable row level security;
alter table risk.xai_explanations force row level security;
create policy visible on risk.xai_explanations using (exists (
    select from risk.model_predictions p where p.prediction_id = xai_explanations.prediction_id));
create policy worker on risk.xai_explanations to recoverly_worker using (true) with check (true);
create policy owner on risk.xai_explanations to recoverly_owner using (true) with check (true);

-- The level first: whoever writes of a client locks it before anything else of theirs, and so nobody waits for us who holds
-- what we wait for. Predictions go by one statement, which takes their days in one order.
create or replace function risk.erase_user(erased varchar) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    counts jsonb;
    predictions bigint;
begin
    perform from risk.client_levels c where c.user_id = erased for update;
    delete from risk.model_predictions p where p.user_id = erased;
    get diagnostics predictions = row_count;
    counts := core.erase_from('risk', erased);
    if predictions > 0 then
        counts := jsonb_set(counts, '{removed,risk.model_predictions}', to_jsonb(predictions));
    end if;
    return counts;
end $$;
