-- What risk keeps of core's events until its own tables arrive.

create table risk.daily_engagement (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    day date not null,
    messages integer not null,
    last_message_at timestamptz not null,
    constraint pk_daily_engagement primary key (user_id, day),
    constraint ck_daily_engagement_messages check (messages > 0)
);

comment on table risk.daily_engagement is 'How much a client writes a day: a feature of later models.';
comment on column risk.daily_engagement.user_id is 'The client.';
comment on column risk.daily_engagement.day is 'Day of the messages, UTC.';
comment on column risk.daily_engagement.messages is 'The client''s own messages of that day.';
comment on column risk.daily_engagement.last_message_at is 'The latest of them.';

alter table risk.daily_engagement enable row level security;
alter table risk.daily_engagement force row level security;
create policy visible on risk.daily_engagement using (user_id in (select unnest(core.visible_clients())));
create policy worker on risk.daily_engagement to recoverly_worker using (true) with check (true);
create policy owner on risk.daily_engagement to recoverly_owner using (true) with check (true);
