-- What models are made of: declared features, what was known of a client at a time, and the versions of each model.

create table risk.feature_sets (
    version varchar(100),
    description varchar(1000),
    features jsonb not null,
    created_at timestamptz not null default now(),
    created_by varchar(300) not null,
    constraint pk_feature_sets primary key (version),
    constraint ck_feature_sets_version check (version ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    constraint ck_feature_sets_features check (jsonb_typeof(features) = 'array' and jsonb_array_length(features) between 1 and 500)
);

comment on table risk.feature_sets is 'Declared features, versioned; a version never changes.';
comment on column risk.feature_sets.version is 'Name of the version, such as engagement-3.';
comment on column risk.feature_sets.description is 'What it is for.';
comment on column risk.feature_sets.features is 'Array of declarations: name, type (number, integer, boolean, category), minimum, maximum, categories, nullable, subgroup, and the plain-language texts for a value that raises or lowers the risk.';
comment on column risk.feature_sets.created_at is 'When it was declared.';
comment on column risk.feature_sets.created_by is 'By whom.';

create table risk.feature_snapshots (
    snapshot_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    captured_at timestamptz not null,
    feature_set_version varchar(100) not null references risk.feature_sets (version) on delete restrict,
    features jsonb not null,
    source varchar(100) not null,
    features_hash bytea not null,
    created_at timestamptz not null default now(),
    constraint pk_feature_snapshots primary key (snapshot_id),
    constraint uq_feature_snapshots_once unique (user_id, feature_set_version, captured_at, source),
    constraint ck_feature_snapshots_features check (jsonb_typeof(features) = 'object'),
    constraint ck_feature_snapshots_hash check (octet_length(features_hash) = 32)
);

comment on table risk.feature_snapshots is 'What was known of a client at a time, by a declared feature set. The same capture again is the same row.';
comment on column risk.feature_snapshots.snapshot_id is 'Row id.';
comment on column risk.feature_snapshots.user_id is 'The client.';
comment on column risk.feature_snapshots.captured_at is 'As of when the features hold.';
comment on column risk.feature_snapshots.feature_set_version is 'By which declarations they were checked.';
comment on column risk.feature_snapshots.features is 'Name to value; what is declared nullable may be null.';
comment on column risk.feature_snapshots.source is 'Which extractor made it.';
comment on column risk.feature_snapshots.features_hash is 'SHA-256 of the features in canonical form: other features of the same capture are refused.';
comment on column risk.feature_snapshots.created_at is 'When it was stored; a late one is later than captured_at.';

create index idx_feature_snapshots_set on risk.feature_snapshots (feature_set_version, captured_at);

create table risk.model_versions (
    model_name varchar(100) not null,
    version varchar(100) not null,
    feature_set_version varchar(100) not null references risk.feature_sets (version) on delete restrict,
    stage varchar(10) not null default 'shadow',
    stage_since timestamptz not null default now(),
    stage_by varchar(300) not null,
    threshold_moderate double precision not null,
    threshold_high double precision not null,
    threshold_very_high double precision not null,
    description varchar(1000),
    registered_at timestamptz not null default now(),
    registered_by varchar(300) not null,
    reference_from timestamptz,
    reference_until timestamptz,
    metadata jsonb not null default '{}',
    constraint pk_model_versions primary key (model_name, version),
    constraint ck_model_versions_names check (model_name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' and version ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    constraint ck_model_versions_stage check (stage in ('shadow', 'live', 'retired')),
    constraint ck_model_versions_thresholds check (0 < threshold_moderate and threshold_moderate < threshold_high
        and threshold_high < threshold_very_high and threshold_very_high <= 1),
    constraint ck_model_versions_reference check (reference_from < reference_until)
);

comment on table risk.model_versions is 'Versions of models. Of each model at most one is live: the others only say what they would have done.';
comment on column risk.model_versions.model_name is 'Which model, such as relapse-7d.';
comment on column risk.model_versions.version is 'Which version of it.';
comment on column risk.model_versions.feature_set_version is 'The features it reads.';
comment on column risk.model_versions.stage is 'shadow, live or retired.';
comment on column risk.model_versions.stage_since is 'Since when; every change is audited.';
comment on column risk.model_versions.stage_by is 'Who put it there.';
comment on column risk.model_versions.threshold_moderate is 'From this probability on a prediction is MODERATE.';
comment on column risk.model_versions.threshold_high is 'From here on HIGH.';
comment on column risk.model_versions.threshold_very_high is 'From here on VERY_HIGH: the alert threshold, at which a live model pages.';
comment on column risk.model_versions.description is 'What it predicts.';
comment on column risk.model_versions.registered_at is 'When it was registered.';
comment on column risk.model_versions.registered_by is 'By whom; a pipeline reads the metrics of its own models.';
comment on column risk.model_versions.reference_from is 'Start of the window that drift is measured against; null: its first 30 days.';
comment on column risk.model_versions.reference_until is 'End of it.';
comment on column risk.model_versions.metadata is 'What its makers say of it.';

create unique index uq_model_versions_live on risk.model_versions (model_name) where stage = 'live';

-- Of the programme: written by the worker, read by everybody who may.
revoke insert, update, delete on risk.feature_sets, risk.model_versions from recoverly_risk;

alter table risk.feature_snapshots enable row level security;
alter table risk.feature_snapshots force row level security;
create policy visible on risk.feature_snapshots using (user_id in (select unnest(core.visible_clients())));
create policy worker on risk.feature_snapshots to recoverly_worker using (true) with check (true);
create policy owner on risk.feature_snapshots to recoverly_owner using (true) with check (true);
