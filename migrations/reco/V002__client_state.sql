-- What reco keeps of social's events until its own tables arrive.

create table reco.client_state (
    user_id varchar(255) references core.users (user_id) on delete cascade,
    current_risk_label varchar(50) not null,
    risk_trend varchar(50) not null,
    computed_at timestamptz not null,
    constraint pk_client_state primary key (user_id),
    constraint ck_client_state_label check (current_risk_label in ('HIGH_RISK', 'MODERATE_RISK', 'ISOLATION_ONLY', 'LOW_RISK', 'UNKNOWN')),
    constraint ck_client_state_trend check (risk_trend in ('improving', 'stable', 'declining', 'rapid_decline'))
);

comment on table reco.client_state is 'A client''s latest label and trend: context of later recommendations.';
comment on column reco.client_state.user_id is 'The client.';
comment on column reco.client_state.current_risk_label is 'The label.';
comment on column reco.client_state.risk_trend is 'The trend.';
comment on column reco.client_state.computed_at is 'As of when; an older event never overwrites a newer one.';

alter table reco.client_state enable row level security;
alter table reco.client_state force row level security;
create policy visible on reco.client_state using (user_id in (select unnest(core.visible_clients())));
create policy worker on reco.client_state to recoverly_worker using (true) with check (true);
create policy owner on reco.client_state to recoverly_owner using (true) with check (true);
