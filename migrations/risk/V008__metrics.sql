-- How good the models are: what changed since it was last counted, what was measured, and what was told of it.

create table risk.metric_days (
    model_name varchar(100) not null,
    model_version varchar(100) not null,
    day date not null,
    revision bigint not null,
    constraint pk_metric_days primary key (model_name, model_version, day),
    constraint fk_metric_days_model foreign key (model_name, model_version)
        references risk.model_versions (model_name, version) on delete cascade
) with (fillfactor = 50);

comment on table risk.metric_days is 'Which days of predictions changed: what was counted of a day holds as long as its revision stands.';
comment on column risk.metric_days.model_name is 'Which model.';
comment on column risk.metric_days.model_version is 'Which version of it.';
comment on column risk.metric_days.day is 'Day of predicted_at, UTC.';
comment on column risk.metric_days.revision is 'Grows with every prediction of that day that is stored, labelled or deleted.';

-- Whoever writes a prediction: no path can forget to say so. One statement raises each day once, in one order, so that
-- two writers wait for each other and never in a circle.
create function risk.raise_metric_days() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into risk.metric_days as d (model_name, model_version, day, revision)
    select c.model_name, c.model_version, (c.predicted_at at time zone 'UTC')::date, 1
    from changed c
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (model_name, model_version, day) do update set revision = d.revision + 1;
    return null;
end $$;
comment on function risk.raise_metric_days() is 'Raises the revision of every day whose predictions a statement changed.';

create trigger raise_metric_days_stored after insert on risk.model_predictions
    referencing new table as changed for each statement execute function risk.raise_metric_days();
create trigger raise_metric_days_labelled after update on risk.model_predictions
    referencing new table as changed for each statement execute function risk.raise_metric_days();
create trigger raise_metric_days_deleted after delete on risk.model_predictions
    referencing old table as changed for each statement execute function risk.raise_metric_days();

create table risk.model_metrics (
    model_name varchar(100) not null,
    model_version varchar(100) not null,
    window_days smallint not null,
    window_end date not null,
    computed_at timestamptz not null default now(),
    n bigint not null,
    n_labelled bigint not null,
    n_positive bigint not null,
    n_reference bigint not null default 0,
    horizon_days smallint not null default 1,
    brier double precision,
    log_loss double precision,
    ece double precision,
    auroc double precision,
    auprc double precision,
    psi_score double precision,
    psi_features jsonb not null default '{}',
    precision_at_alert double precision,
    lead_time_days double precision,
    pages_per_week double precision,
    subgroups jsonb not null default '[]',
    intervals jsonb not null default '{}',
    bootstrap_seed bigint,
    constraint pk_model_metrics primary key (model_name, model_version, window_days, window_end),
    constraint fk_model_metrics_model foreign key (model_name, model_version)
        references risk.model_versions (model_name, version) on delete cascade,
    constraint ck_model_metrics_counts check (0 <= n_positive and n_positive <= n_labelled and n_labelled <= n)
);

comment on table risk.model_metrics is 'What was measured of a model version over the days before and with window_end, kept for good: predictions go after a year.';
comment on column risk.model_metrics.model_name is 'Which model.';
comment on column risk.model_metrics.model_version is 'Which version of it.';
comment on column risk.model_metrics.window_days is 'How many days of predictions.';
comment on column risk.model_metrics.window_end is 'The last of them, UTC.';
comment on column risk.model_metrics.computed_at is 'When it was measured.';
comment on column risk.model_metrics.n is 'Predictions.';
comment on column risk.model_metrics.n_labelled is 'Of these, those whose outcome is settled.';
comment on column risk.model_metrics.n_positive is 'Of these, those followed by a relapse or lapse within the horizon.';
comment on column risk.model_metrics.n_reference is 'Predictions of the window that drift is measured against.';
comment on column risk.model_metrics.horizon_days is 'The farthest that a prediction looked ahead: so many days later all labels are settled, and the window is measured again.';
comment on column risk.model_metrics.brier is 'Mean squared difference of probability and outcome.';
comment on column risk.model_metrics.log_loss is 'Mean negative log likelihood, natural logarithm.';
comment on column risk.model_metrics.ece is 'Expected calibration error, ten bins of equal width.';
comment on column risk.model_metrics.auroc is 'Area under the receiver operating characteristic, ties by mid-rank; null with one class only.';
comment on column risk.model_metrics.auprc is 'Average precision, step-wise; null without positives.';
comment on column risk.model_metrics.psi_score is 'Population stability index of the probability against the reference window.';
comment on column risk.model_metrics.psi_features is 'The same by feature.';
comment on column risk.model_metrics.precision_at_alert is 'Share of predictions at or above the alert threshold that were followed by a relapse or lapse.';
comment on column risk.model_metrics.lead_time_days is 'Median days from the first alert to the relapse or lapse it foresaw.';
comment on column risk.model_metrics.pages_per_week is 'How often it paged, or would have, a week.';
comment on column risk.model_metrics.subgroups is 'The measures by declared subgroup; groups of fewer than ten people are left out.';
comment on column risk.model_metrics.intervals is 'Bootstrap intervals by measure: low, high.';
comment on column risk.model_metrics.bootstrap_seed is 'The seed that reproduces them.';

create table risk.drift_alerts (
    alert_id bigint generated always as identity,
    model_name varchar(100) not null,
    model_version varchar(100) not null,
    kind varchar(20) not null,
    feature_name varchar(100),
    measure double precision not null,
    limit_value double precision not null,
    opened_at timestamptz not null default now(),
    told_at timestamptz not null default now(),
    closed_at timestamptz,
    constraint pk_drift_alerts primary key (alert_id),
    constraint fk_drift_alerts_model foreign key (model_name, model_version)
        references risk.model_versions (model_name, version) on delete cascade,
    constraint ck_drift_alerts_kind check (kind in ('feature_drift', 'score_drift', 'calibration', 'labels_missing', 'outcomes_missing', 'silent'))
);

comment on table risk.drift_alerts is 'What is not as it was with a model version; one is open of a kind and feature, and told again after a while.';
comment on column risk.drift_alerts.alert_id is 'Row id.';
comment on column risk.drift_alerts.model_name is 'Which model.';
comment on column risk.drift_alerts.model_version is 'Which version of it.';
comment on column risk.drift_alerts.kind is 'feature_drift, score_drift, calibration, labels_missing, outcomes_missing or silent.';
comment on column risk.drift_alerts.feature_name is 'Which feature drifts.';
comment on column risk.drift_alerts.measure is 'PSI, ECE, the labelled share, outcomes told in a month, or minutes of silence, when it was last told.';
comment on column risk.drift_alerts.limit_value is 'What it went past.';
comment on column risk.drift_alerts.opened_at is 'When it was first so.';
comment on column risk.drift_alerts.told_at is 'When risk.drift.detected was last written of it.';
comment on column risk.drift_alerts.closed_at is 'When it was no longer so; null while it is.';

create unique index uq_drift_alerts_open on risk.drift_alerts (model_name, model_version, kind, coalesce(feature_name, '')) where closed_at is null;

revoke insert, update, delete on risk.metric_days, risk.model_metrics, risk.drift_alerts from recoverly_risk;
