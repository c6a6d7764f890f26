-- What causal keeps of social's events until its own tables arrive.

create table causal.daily_risk (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    day date not null,
    predictions integer not null,
    risk_score_sum_millionths bigint not null,
    constraint pk_daily_risk primary key (user_id, day),
    constraint ck_daily_risk_sum check (predictions > 0 and risk_score_sum_millionths between 0 and predictions * 1000000::bigint)
);

comment on table causal.daily_risk is 'A client''s risk a day: the next-day outcome of later effect estimates.';
comment on column causal.daily_risk.user_id is 'The client.';
comment on column causal.daily_risk.day is 'Day of the messages, UTC.';
comment on column causal.daily_risk.predictions is 'How many predictions the sum holds.';
comment on column causal.daily_risk.risk_score_sum_millionths is 'Sum of their risk scores in millionths, exact in any order.';

alter table causal.daily_risk enable row level security;
alter table causal.daily_risk force row level security;
create policy visible on causal.daily_risk using (user_id in (select unnest(core.visible_clients())));
create policy worker on causal.daily_risk to recoverly_worker using (true) with check (true);
create policy owner on causal.daily_risk to recoverly_owner using (true) with check (true);
