-- Meetings, from the proposal to what came of them.

alter table social.meetings
    add column cancel_reason text,
    add column reminded_at timestamptz,
    add column follow_up_of bigint references social.meetings (meeting_id) on delete set null;

comment on column social.meetings.cancel_reason is 'Why it was cancelled, in the words of who did.';
comment on column social.meetings.reminded_at is 'When the client was reminded of it.';
comment on column social.meetings.follow_up_of is 'The meeting to which the client did not come, and which this one follows.';
comment on column social.meetings.scheduled_time is 'When it takes place; null where a proposal leaves that open.';
comment on column social.meetings.user_consent is 'Whether the user agreed to this meeting. That the user consents to being met at all stands in core.consents.';
comment on column social.meetings.status is 'proposed, scheduled, confirmed, completed, no_show or cancelled. Its time is kept for the counselor once it is scheduled.';

create index idx_meetings_follow_up on social.meetings (follow_up_of) where follow_up_of is not null;
create index idx_meetings_reminder on social.meetings (scheduled_time) where status = 'confirmed' and reminded_at is null;

alter table social.meetings
    drop constraint ck_meetings_confirmed,
    add constraint ck_meetings_confirmed check (user_consent or status not in ('confirmed', 'completed', 'no_show')),
    -- Nor is the client at two places at a time.
    add constraint ex_meetings_client exclude using gist (
        int8range(hashtextextended(user_id, 0), hashtextextended(user_id, 0), '[]') with &&,
        tstzrange(scheduled_time, ends_at) with &&) where (status in ('scheduled', 'confirmed'));

-- For every writer, also for one with a SQL prompt. A consent that was held for the answer is held here once more: it stands
-- when the confirmation is committed.
create function social.check_meeting_move() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    before varchar := case when tg_op = 'UPDATE' then old.status else 'nothing' end;
begin
    if not (before = new.status
        or (before = 'nothing' and new.status in ('proposed', 'scheduled'))
        or (before = 'proposed' and new.status in ('scheduled', 'confirmed', 'cancelled'))
        or (before = 'scheduled' and new.status in ('confirmed', 'cancelled'))
        or (before = 'confirmed' and new.status in ('completed', 'no_show', 'cancelled'))) then
        raise exception 'a meeting does not go from % to %', before, new.status
            using errcode = 'check_violation', constraint = 'ck_meetings_move';
    end if;
    if before <> 'confirmed' and new.status = 'confirmed' and core.hold_consent(new.user_id, 'meeting', 'programme') is null then
        raise exception 'no consent of the client covers the meeting'
            using errcode = 'check_violation', constraint = 'ck_meetings_consent';
    end if;
    return new;
end $$;
comment on function social.check_meeting_move() is 'Refuses illegal moves of a meeting as constraint ck_meetings_move, and a confirmation without consent as ck_meetings_consent.';

create trigger check_move before insert or update of status on social.meetings
    for each row execute function social.check_meeting_move();

-- Roles and caseloads stand in core, where no transaction of a person reads those of others.
create function social.is_counselor(staff varchar) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from core.users u join core.staff_roles r on r.user_id = u.user_id and r.role = 'counselor'
        where u.user_id = staff and u.status = 'active')
$$;
comment on function social.is_counselor(varchar) is 'Whether somebody is active staff with the role counselor.';

create function social.counsels(staff varchar, client varchar) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select social.is_counselor(staff) and exists (select from core.caseload_assignments c
        where c.staff_id = staff and c.client_id = client and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now()))
$$;
comment on function social.counsels(varchar, varchar) is 'Whether somebody is a counselor who has the client in the caseload.';

create table social.meeting_calendars (
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    calendar_hash bytea not null,
    created_at timestamptz not null default now(),
    constraint pk_meeting_calendars primary key (staff_id),
    constraint uq_meeting_calendars_hash unique (calendar_hash),
    constraint ck_meeting_calendars_hash check (octet_length(calendar_hash) = 32)
);

comment on table social.meeting_calendars is 'Links to the calendars of counselors'' meetings; one a person.';
comment on column social.meeting_calendars.staff_id is 'Whose meetings it shows.';
comment on column social.meeting_calendars.calendar_hash is 'SHA-256 of the secret in the link.';
comment on column social.meeting_calendars.created_at is 'When the link was made.';

alter table social.meeting_calendars enable row level security;
alter table social.meeting_calendars force row level security;
create policy own on social.meeting_calendars using ('staff:' || staff_id = current_setting('recoverly.actor', true));
create policy worker on social.meeting_calendars to recoverly_worker using (true) with check (true);
create policy owner on social.meeting_calendars to recoverly_owner using (true) with check (true);

grant execute on function social.is_counselor(varchar), social.counsels(varchar, varchar)
    to recoverly_social, recoverly_social_worker;

-- What the service itself must not miss: that it does not work as it should.
create table social.operational_warnings (
    warning_id bigint generated always as identity,
    kind varchar(50) not null,
    measure bigint not null,
    opened_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    closed_at timestamptz,
    constraint pk_operational_warnings primary key (warning_id),
    constraint ck_operational_warnings_kind check (kind in ('pipeline_silent', 'staff_unreachable', 'outbox_lag', 'delivery_lag', 'drill_failed')),
    constraint ck_operational_warnings_times check (last_seen_at >= opened_at and closed_at >= opened_at)
);

comment on table social.operational_warnings is 'What does not work as it should, from when to when; at most one of a kind is open. Names nobody.';
comment on column social.operational_warnings.warning_id is 'Row id.';
comment on column social.operational_warnings.kind is 'pipeline_silent, staff_unreachable, outbox_lag, delivery_lag or drill_failed.';
comment on column social.operational_warnings.measure is 'How bad it was when it was last seen: minutes that something waits, or people of whom it is so.';
comment on column social.operational_warnings.opened_at is 'When it was first seen.';
comment on column social.operational_warnings.last_seen_at is 'When it was last seen to have changed.';
comment on column social.operational_warnings.closed_at is 'When it was seen to be over; null while it is open.';

create unique index uq_operational_warnings_open on social.operational_warnings (kind) where closed_at is null;

alter table social.operational_warnings enable row level security;
alter table social.operational_warnings force row level security;
create policy seen on social.operational_warnings for select
    using ((select social.actor_holds(array['supervisor', 'admin'])));
create policy worker on social.operational_warnings to recoverly_worker using (true) with check (true);
create policy owner on social.operational_warnings to recoverly_owner using (true) with check (true);

-- Nobody who may be in need is taken for a rehearsal: the id says it, and the job that sets this looks for messages.
alter table social.user_risk_profiles
    add column is_drill boolean not null default false,
    add constraint ck_user_risk_profiles_drill check (not is_drill or user_id like 'drill-%');
comment on column social.user_risk_profiles.is_drill is 'Whether nobody is behind it: escalations about it rehearse, and it is on no caseload list and in no count.';
