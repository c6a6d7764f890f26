-- What was found of a message or of a client's own answers that cannot wait for a profile, and where help is at any hour.

create table social.safety_events (
    id bigint generated always as identity,
    message_id bigint not null references core.messages (message_id) on delete cascade,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    created_at timestamptz not null default now(),
    risk_level varchar(10) not null,
    show_crisis_banner boolean not null,
    emotion_label varchar(50),
    emotion_score double precision,
    policy_action varchar(100),
    rationale text,
    degraded boolean not null default false,
    escalation_id bigint references social.escalations (escalation_id) on delete set null,
    constraint pk_safety_events primary key (id),
    constraint uq_safety_events_message unique (message_id),
    constraint ck_safety_events_level check (risk_level in ('low', 'medium', 'high')),
    constraint ck_safety_events_banner check (show_crisis_banner or risk_level <> 'high'),
    constraint ck_safety_events_score check (emotion_score >= 0 and emotion_score <= 1),
    constraint ck_safety_events_rationale check (octet_length(rationale) between 1 and 8192)
);

comment on table social.safety_events is 'What a check of one message found. A high level escalates at once, whatever the profile says.';
comment on column social.safety_events.id is 'Row id.';
comment on column social.safety_events.message_id is 'The message; it is assessed once.';
comment on column social.safety_events.user_id is 'Its author.';
comment on column social.safety_events.created_at is 'When it was stored.';
comment on column social.safety_events.risk_level is 'low, medium or high.';
comment on column social.safety_events.show_crisis_banner is 'Whether the app shows where help is; at a high level always.';
comment on column social.safety_events.emotion_label is 'The emotion that was recognised.';
comment on column social.safety_events.emotion_score is 'How sure that was, 0 to 1.';
comment on column social.safety_events.policy_action is 'What the app''s own policy did.';
comment on column social.safety_events.rationale is 'Why, for staff; up to 8,192 bytes.';
comment on column social.safety_events.degraded is 'Whether the check fell back to a simpler one.';
comment on column social.safety_events.escalation_id is 'The episode that it opened or joined.';

create index idx_safety_events_user_time on social.safety_events (user_id, created_at desc);
create index idx_safety_events_escalation on social.safety_events (escalation_id) where escalation_id is not null;

create table social.screener_answers (
    id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    answered_at timestamptz not null,
    wish_to_be_dead boolean not null,
    suicidal_thoughts boolean not null,
    thoughts_of_method boolean not null,
    intent boolean not null,
    plan_with_intent boolean not null,
    behaviour varchar(20) not null,
    urgency varchar(10),
    escalation_id bigint references social.escalations (escalation_id) on delete set null,
    constraint pk_screener_answers primary key (id),
    constraint uq_screener_answers_once unique (user_id, answered_at),
    constraint ck_screener_answers_behaviour check (behaviour in ('never', 'earlier', 'past_three_months')),
    constraint ck_screener_answers_urgency check (urgency in ('low', 'medium', 'high', 'critical')),
    -- Whoever writes: these answers are never less than critical.
    constraint ck_screener_answers_critical check (
        (intent or plan_with_intent or behaviour = 'past_three_months') = (urgency is not distinct from 'critical'))
);

comment on table social.screener_answers is 'Answers to the Columbia screener (C-SSRS, screen version) about the past month.';
comment on column social.screener_answers.id is 'Row id.';
comment on column social.screener_answers.user_id is 'Who answered.';
comment on column social.screener_answers.answered_at is 'When; the same time again is the same screener.';
comment on column social.screener_answers.wish_to_be_dead is 'Item 1.';
comment on column social.screener_answers.suicidal_thoughts is 'Item 2.';
comment on column social.screener_answers.thoughts_of_method is 'Item 3.';
comment on column social.screener_answers.intent is 'Item 4.';
comment on column social.screener_answers.plan_with_intent is 'Item 5.';
comment on column social.screener_answers.behaviour is 'Item 6: never, earlier or past_three_months.';
comment on column social.screener_answers.urgency is 'What follows: critical, high, medium, or null where every answer was no.';
comment on column social.screener_answers.escalation_id is 'The episode that it opened or joined.';

create index idx_screener_answers_escalation on social.screener_answers (escalation_id) where escalation_id is not null;

create table social.crisis_resources (
    resource_id bigint generated always as identity,
    region varchar(2),
    name varchar(200) not null,
    description varchar(1000),
    phone varchar(50),
    text_to varchar(50),
    url varchar(500),
    hours varchar(200) not null,
    position integer not null default 0,
    updated_at timestamptz not null default now(),
    constraint pk_crisis_resources primary key (resource_id),
    constraint ck_crisis_resources_region check (region ~ '^[A-Z]{2}$'),
    constraint ck_crisis_resources_reached check (num_nonnulls(phone, text_to, url) > 0)
);

comment on table social.crisis_resources is 'Where help is, by region. The programme keeps it; nothing of it is in the code.';
comment on column social.crisis_resources.resource_id is 'Row id.';
comment on column social.crisis_resources.region is 'ISO 3166-1 alpha-2, such as AT; null for everywhere.';
comment on column social.crisis_resources.name is 'What it is called.';
comment on column social.crisis_resources.description is 'What it offers.';
comment on column social.crisis_resources.phone is 'A number to call.';
comment on column social.crisis_resources.text_to is 'A number to write to.';
comment on column social.crisis_resources.url is 'A page or chat.';
comment on column social.crisis_resources.hours is 'When somebody is there, such as at any hour.';
comment on column social.crisis_resources.position is 'Its place in the list, the first at 0.';
comment on column social.crisis_resources.updated_at is 'When it was last said to be so.';

create index idx_crisis_resources_region on social.crisis_resources (region, position, resource_id);

-- Of the programme: written by the worker for those who keep the list, and read by everybody.
revoke insert, update, delete on social.crisis_resources from recoverly_social;

do $policies$
declare
    place text;
begin
    foreach place in array array['safety_events', 'screener_answers'] loop
        execute format('alter table social.%I enable row level security', place);
        execute format('alter table social.%I force row level security', place);
        execute format('create policy visible on social.%I using (user_id in (select unnest(core.visible_clients())))', place);
        execute format('create policy worker on social.%I to recoverly_worker using (true) with check (true)', place);
        execute format('create policy owner on social.%I to recoverly_owner using (true) with check (true)', place);
    end loop;
end
$policies$;
