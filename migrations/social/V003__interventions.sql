-- What the rules do: actions, nudges, escalations, meetings.

create table social.actions (
    action_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    timestamp timestamptz not null default now(),
    action_type varchar(100) not null,
    risk_level varchar(50) not null,
    action_data jsonb not null default '{}',
    status varchar(50) not null default 'pending',
    outcome varchar(50),
    ai_reasoning text not null,
    confidence_score double precision not null,
    policy_version varchar(50) not null,
    eligible jsonb not null default '[]',
    probability double precision,
    withheld_reason varchar(100),
    constraint pk_actions primary key (action_id),
    constraint ck_actions_type check (action_type in ('nudge', 'escalation', 'meeting', 'family_notice', 'none')),
    constraint ck_actions_status check (status in ('pending', 'done', 'withheld', 'failed')),
    constraint ck_actions_confidence check (confidence_score >= 0 and confidence_score <= 1),
    constraint ck_actions_probability check (probability > 0 and probability <= 1)
);

comment on table social.actions is 'Every decision of the rules, also the one to do nothing.';
comment on column social.actions.action_id is 'Action id.';
comment on column social.actions.user_id is 'Target user.';
comment on column social.actions.timestamp is 'Action time.';
comment on column social.actions.action_type is 'nudge, escalation, meeting, family_notice or none.';
comment on column social.actions.risk_level is 'Label at the decision.';
comment on column social.actions.action_data is 'What was chosen and the ids it led to.';
comment on column social.actions.status is 'pending, done, withheld or failed.';
comment on column social.actions.outcome is 'What came of it.';
comment on column social.actions.ai_reasoning is 'Why, in words.';
comment on column social.actions.confidence_score is 'How much data the decision rests on: predictions of the last 30 days over 5, at most 1.';
comment on column social.actions.policy_version is 'The policy that decided.';
comment on column social.actions.eligible is 'What could have been chosen.';
comment on column social.actions.probability is 'With what probability this was chosen; null where nothing was randomised.';
comment on column social.actions.withheld_reason is 'Why nothing was done, where nothing was.';

create index idx_actions_user_time on social.actions (user_id, timestamp desc);
create index idx_actions_type on social.actions (action_type);
create index idx_actions_status on social.actions (status) where status = 'pending';

create table social.nudges (
    nudge_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    timestamp timestamptz not null default now(),
    nudge_type varchar(100) not null,
    nudge_message text not null,
    risk_level varchar(50) not null,
    status varchar(20) not null default 'pending',
    source varchar(20) not null default 'rule',
    send_after timestamptz not null default now(),
    expires_at timestamptz not null,
    dedup_key varchar(100),
    sent_at timestamptz,
    viewed_at timestamptz,
    acted_on_at timestamptz,
    user_response varchar(50),
    response_data jsonb,
    constraint pk_nudges primary key (nudge_id),
    constraint uq_nudges_dedup unique (user_id, dedup_key),
    constraint ck_nudges_status check (status in ('pending', 'held', 'sent', 'viewed', 'responded', 'expired', 'withheld')),
    constraint ck_nudges_source check (source in ('rule', 'reco', 'staff'))
);

comment on table social.nudges is 'Nudges for users.';
comment on column social.nudges.nudge_id is 'Nudge id.';
comment on column social.nudges.user_id is 'Target user.';
comment on column social.nudges.timestamp is 'Creation time.';
comment on column social.nudges.nudge_type is 'Nudge category.';
comment on column social.nudges.nudge_message is 'Nudge content.';
comment on column social.nudges.risk_level is 'Label at its creation.';
comment on column social.nudges.status is 'pending, held, sent, viewed, responded, expired or withheld.';
comment on column social.nudges.source is 'rule, reco or staff.';
comment on column social.nudges.send_after is 'Not before this time: quiet hours hold a nudge.';
comment on column social.nudges.expires_at is 'After this time it would be out of date.';
comment on column social.nudges.dedup_key is 'At most one nudge of a user has this key.';
comment on column social.nudges.sent_at is 'When sent.';
comment on column social.nudges.viewed_at is 'When viewed.';
comment on column social.nudges.acted_on_at is 'When acted upon.';
comment on column social.nudges.user_response is 'User response.';
comment on column social.nudges.response_data is 'Response details.';

create index idx_nudges_user_time on social.nudges (user_id, timestamp desc);
create index idx_nudges_due on social.nudges (send_after) where status in ('pending', 'held');

create table social.escalations (
    escalation_id bigint generated always as identity,
    user_id varchar(255) references core.users (user_id) on delete set null,
    timestamp timestamptz not null default now(),
    escalation_type varchar(100) not null,
    urgency varchar(50) not null,
    risk_score double precision,
    risk_level varchar(50) not null,
    trigger_reason text,
    trigger_data jsonb,
    trigger_count integer not null default 1,
    last_triggered_at timestamptz not null default now(),
    escalated_to varchar(255),
    notification_method varchar(50),
    status varchar(50) not null default 'pending',
    tier integer not null default 1,
    next_tier_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by varchar(255),
    ack_expires_at timestamptz,
    resolved_at timestamptz,
    outcome varchar(50),
    resolution_notes text,
    next_contact_at timestamptz,
    policy_id bigint,
    constraint pk_escalations primary key (escalation_id),
    constraint ck_escalations_type check (escalation_type in ('profile_risk', 'model_risk', 'safety', 'manual', 'silence', 'drill')),
    constraint ck_escalations_urgency check (urgency in ('low', 'medium', 'high', 'critical')),
    constraint ck_escalations_status check (status in ('pending', 'notified', 'acknowledged', 'resolved', 'cancelled')),
    constraint ck_escalations_score check (risk_score >= 0 and risk_score <= 1),
    constraint ck_escalations_outcome check (outcome in ('spoke', 'left_message', 'unreachable', 'emergency_services', 'false_alarm')),
    constraint ck_escalations_acknowledged check (status <> 'acknowledged' or (acknowledged_at is not null and acknowledged_by is not null and ack_expires_at is not null)),
    constraint ck_escalations_resolved check ((status in ('resolved', 'cancelled')) = (resolved_at is not null)),
    constraint ck_escalations_user check (user_id is not null or (risk_score is null and trigger_reason is null and trigger_data is null and resolution_notes is null))
);

comment on table social.escalations is 'Episodes in which staff must answer; at most one open per client and type.';
comment on column social.escalations.escalation_id is 'Escalation id.';
comment on column social.escalations.user_id is 'The client; null once erased.';
comment on column social.escalations.timestamp is 'Escalation time.';
comment on column social.escalations.escalation_type is 'profile_risk, model_risk, safety, manual, silence or drill.';
comment on column social.escalations.urgency is 'low, medium, high or critical.';
comment on column social.escalations.risk_score is 'Risk score of the latest trigger.';
comment on column social.escalations.risk_level is 'Label or model level at the latest trigger.';
comment on column social.escalations.trigger_reason is 'Why escalated, in words.';
comment on column social.escalations.trigger_data is 'The reasons that held at the latest trigger.';
comment on column social.escalations.trigger_count is 'How many triggers the episode has gathered.';
comment on column social.escalations.last_triggered_at is 'When the latest came.';
comment on column social.escalations.escalated_to is 'Who was told first; deliveries name the others.';
comment on column social.escalations.notification_method is 'How.';
comment on column social.escalations.status is 'pending, notified, acknowledged, resolved or cancelled.';
comment on column social.escalations.tier is 'Which tier of the policy was told last.';
comment on column social.escalations.next_tier_at is 'When the next tier is told.';
comment on column social.escalations.acknowledged_at is 'When acknowledged.';
comment on column social.escalations.acknowledged_by is 'By whom.';
comment on column social.escalations.ack_expires_at is 'Until when the acknowledgement holds without contact.';
comment on column social.escalations.resolved_at is 'When resolved or cancelled.';
comment on column social.escalations.outcome is 'spoke, left_message, unreachable, emergency_services or false_alarm.';
comment on column social.escalations.resolution_notes is 'Resolution details.';
comment on column social.escalations.next_contact_at is 'When the client is contacted next.';
comment on column social.escalations.policy_id is 'The escalation policy; null while there is one tier only.';

create unique index uq_escalations_open on social.escalations (user_id, escalation_type)
    where status in ('pending', 'notified', 'acknowledged');
create index idx_escalations_user_time on social.escalations (user_id, timestamp desc);
create index idx_escalations_open on social.escalations (urgency, status, timestamp)
    where status in ('pending', 'notified', 'acknowledged');
create index idx_escalations_lease on social.escalations (ack_expires_at) where status = 'acknowledged';

-- The state machine holds for every writer, also for one with a SQL prompt.
create function social.check_escalation_move() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if old.status = new.status
        or (old.status = 'pending' and new.status in ('notified', 'acknowledged', 'resolved', 'cancelled'))
        or (old.status = 'notified' and new.status in ('acknowledged', 'resolved', 'cancelled'))
        or (old.status = 'acknowledged' and new.status in ('notified', 'resolved', 'cancelled')) then
        return new;
    end if;
    raise exception 'an escalation does not go from % to %', old.status, new.status
        using errcode = 'check_violation', constraint = 'ck_escalations_move';
end $$;
comment on function social.check_escalation_move() is 'Refuses illegal moves of an escalation as constraint ck_escalations_move.';

create trigger check_move before update of status on social.escalations
    for each row execute function social.check_escalation_move();

-- A row whose user is erased stays for its term without anything that says who or why.
create function social.clear_erased_escalation() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.risk_score := null;
    new.trigger_reason := null;
    new.trigger_data := null;
    new.resolution_notes := null;
    if new.status in ('pending', 'notified', 'acknowledged') then
        new.status := 'cancelled';
        new.resolved_at := now();
    end if;
    return new;
end $$;
comment on function social.clear_erased_escalation() is 'Removes what an escalation says of a user who was erased.';

create trigger clear_erased before update of user_id on social.escalations
    for each row when (new.user_id is null and old.user_id is not null) execute function social.clear_erased_escalation();

create table social.model_triggers (
    prediction_id bigint,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    triggered_at timestamptz not null default now(),
    constraint pk_model_triggers primary key (prediction_id)
);

comment on table social.model_triggers is 'Predictions of risk models that opened or joined an escalation: each does so once, by whichever event tells of it first.';
comment on column social.model_triggers.prediction_id is 'The prediction in the risk service.';
comment on column social.model_triggers.user_id is 'The client.';
comment on column social.model_triggers.triggered_at is 'When.';

create index idx_model_triggers_user on social.model_triggers (user_id);
create index idx_model_triggers_triggered on social.model_triggers (triggered_at);

create table social.notification_deliveries (
    delivery_id uuid,
    escalation_id bigint not null references social.escalations (escalation_id) on delete cascade,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    relation varchar(20) not null,
    tier integer not null,
    method varchar(20) not null default 'in_app',
    attempt integer not null default 1,
    status varchar(20) not null default 'sent',
    next_attempt_at timestamptz,
    error text,
    created_at timestamptz not null default now(),
    constraint pk_notification_deliveries primary key (delivery_id),
    constraint uq_notification_deliveries_once unique (escalation_id, tier, staff_id, method),
    constraint ck_notification_deliveries_method check (method in ('in_app', 'email', 'webhook')),
    constraint ck_notification_deliveries_status check (status in ('pending', 'sent', 'delivered', 'failed'))
);

comment on table social.notification_deliveries is 'Who was told of an escalation, by which way.';
comment on column social.notification_deliveries.delivery_id is 'The same for every attempt to deliver this.';
comment on column social.notification_deliveries.escalation_id is 'The episode.';
comment on column social.notification_deliveries.staff_id is 'Who is told.';
comment on column social.notification_deliveries.relation is 'counselor or oncall: why this person.';
comment on column social.notification_deliveries.tier is 'For which tier.';
comment on column social.notification_deliveries.method is 'in_app, email or webhook.';
comment on column social.notification_deliveries.attempt is 'Which attempt this is.';
comment on column social.notification_deliveries.status is 'pending, sent, delivered or failed. In-app is sent once it is stored: the queue shows it.';
comment on column social.notification_deliveries.next_attempt_at is 'When it is tried again.';
comment on column social.notification_deliveries.error is 'Why the last attempt failed.';
comment on column social.notification_deliveries.created_at is 'When it was made.';

create index idx_notification_deliveries_staff on social.notification_deliveries (staff_id, created_at desc);

create table social.contacts (
    contact_id bigint generated always as identity,
    client_id varchar(255) not null references core.users (user_id) on delete cascade,
    staff_id varchar(255) references core.users (user_id) on delete set null,
    escalation_id bigint references social.escalations (escalation_id) on delete set null,
    method varchar(20) not null,
    outcome varchar(50) not null,
    at timestamptz not null default now(),
    notes text,
    constraint pk_contacts primary key (contact_id),
    constraint ck_contacts_method check (method in ('call', 'message', 'in_person', 'video', 'other')),
    constraint ck_contacts_outcome check (outcome in ('spoke', 'left_message', 'unreachable', 'emergency_services', 'false_alarm'))
);

comment on table social.contacts is 'Contacts of staff with a client: what an acknowledgement promises.';
comment on column social.contacts.contact_id is 'Contact id.';
comment on column social.contacts.client_id is 'The client.';
comment on column social.contacts.staff_id is 'Who made contact.';
comment on column social.contacts.escalation_id is 'In which episode, if in one.';
comment on column social.contacts.method is 'call, message, in_person, video or other.';
comment on column social.contacts.outcome is 'spoke, left_message, unreachable, emergency_services or false_alarm.';
comment on column social.contacts.at is 'When.';
comment on column social.contacts.notes is 'What was said, as far as it belongs in the record.';

create index idx_contacts_client_time on social.contacts (client_id, at desc);
create index idx_contacts_escalation on social.contacts (escalation_id) where escalation_id is not null;

create table social.meetings (
    meeting_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    created_at timestamptz not null default now(),
    meeting_type varchar(100) not null,
    scheduled_time timestamptz,
    duration_minutes integer not null default 30,
    ends_at timestamptz,
    counselor_id varchar(255) references core.users (user_id) on delete set null,
    participants jsonb not null default '[]',
    user_consent boolean not null default false,
    consent_given_at timestamptz,
    status varchar(50) not null default 'scheduled',
    completed_at timestamptz,
    notes text,
    constraint pk_meetings primary key (meeting_id),
    constraint ck_meetings_status check (status in ('proposed', 'scheduled', 'confirmed', 'completed', 'no_show', 'cancelled')),
    constraint ck_meetings_duration check (duration_minutes between 5 and 480),
    constraint ck_meetings_times check (num_nonnulls(scheduled_time, ends_at) in (0, 2)
        and (scheduled_time is null or ends_at = scheduled_time + make_interval(mins => duration_minutes))
        and (scheduled_time is not null or status in ('proposed', 'cancelled'))),
    constraint ck_meetings_confirmed check (status <> 'confirmed' or user_consent),
    -- A hash of the counselor as a one-point range, because text has no gist operators without an extension.
    constraint ex_meetings_counselor exclude using gist (
        int8range(hashtextextended(counselor_id, 0), hashtextextended(counselor_id, 0), '[]') with &&,
        tstzrange(scheduled_time, ends_at) with &&) where (status in ('scheduled', 'confirmed'))
);

comment on table social.meetings is 'Meetings of a client with a counselor.';
comment on column social.meetings.meeting_id is 'Meeting id.';
comment on column social.meetings.user_id is 'User.';
comment on column social.meetings.created_at is 'Creation time.';
comment on column social.meetings.meeting_type is 'Type of meeting.';
comment on column social.meetings.scheduled_time is 'When it takes place; null while it is only proposed.';
comment on column social.meetings.duration_minutes is 'Duration in minutes.';
comment on column social.meetings.ends_at is 'When it ends: scheduled_time plus duration.';
comment on column social.meetings.counselor_id is 'The counselor; null while any may take it.';
comment on column social.meetings.participants is 'Participant ids.';
comment on column social.meetings.user_consent is 'Whether the user agreed.';
comment on column social.meetings.consent_given_at is 'When.';
comment on column social.meetings.status is 'proposed, scheduled, confirmed, completed, no_show or cancelled.';
comment on column social.meetings.completed_at is 'When it was completed.';
comment on column social.meetings.notes is 'Meeting notes.';

create index idx_meetings_user_time on social.meetings (user_id, scheduled_time desc);
create index idx_meetings_counselor on social.meetings (counselor_id, scheduled_time) where counselor_id is not null;

alter table social.actions enable row level security;
alter table social.actions force row level security;
create policy visible on social.actions using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.actions to recoverly_worker using (true) with check (true);
create policy owner on social.actions to recoverly_owner using (true) with check (true);

alter table social.nudges enable row level security;
alter table social.nudges force row level security;
create policy visible on social.nudges using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.nudges to recoverly_worker using (true) with check (true);
create policy owner on social.nudges to recoverly_owner using (true) with check (true);

-- What paged already is for those who page alone.
alter table social.model_triggers enable row level security;
alter table social.model_triggers force row level security;
create policy worker on social.model_triggers to recoverly_worker using (true) with check (true);
create policy owner on social.model_triggers to recoverly_owner using (true) with check (true);
revoke all on social.model_triggers from recoverly_social;

alter table social.escalations enable row level security;
alter table social.escalations force row level security;
create policy visible on social.escalations using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.escalations to recoverly_worker using (true) with check (true);
create policy owner on social.escalations to recoverly_owner using (true) with check (true);

alter table social.contacts enable row level security;
alter table social.contacts force row level security;
create policy visible on social.contacts using (client_id in (select unnest(core.visible_clients())));
create policy worker on social.contacts to recoverly_worker using (true) with check (true);
create policy owner on social.contacts to recoverly_owner using (true) with check (true);

alter table social.meetings enable row level security;
alter table social.meetings force row level security;
create policy visible on social.meetings using (user_id in (select unnest(core.visible_clients())));
create policy worker on social.meetings to recoverly_worker using (true) with check (true);
create policy owner on social.meetings to recoverly_owner using (true) with check (true);

-- Deliveries are behind the escalation they tell of.
alter table social.notification_deliveries enable row level security;
alter table social.notification_deliveries force row level security;
create policy visible on social.notification_deliveries
    using (escalation_id in (select e.escalation_id from social.escalations e));
create policy worker on social.notification_deliveries to recoverly_worker using (true) with check (true);
create policy owner on social.notification_deliveries to recoverly_owner using (true) with check (true);
