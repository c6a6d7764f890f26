-- Who is on call: schedules, the rotations that fill them, and what people change by hand.

create table social.oncall_schedules (
    schedule_id bigint generated always as identity,
    name varchar(255) not null,
    timezone varchar(64) not null,
    calendar_hash bytea,
    created_at timestamptz not null default now(),
    constraint pk_oncall_schedules primary key (schedule_id),
    constraint uq_oncall_schedules_name unique (name),
    constraint ck_oncall_schedules_calendar check (octet_length(calendar_hash) = 32)
);

comment on table social.oncall_schedules is 'On-call schedules. Who is on duty is what their shifts and overrides say.';
comment on column social.oncall_schedules.schedule_id is 'Schedule id.';
comment on column social.oncall_schedules.name is 'What staff call it.';
comment on column social.oncall_schedules.timezone is 'IANA zone in which its rotations hand over.';
comment on column social.oncall_schedules.calendar_hash is 'SHA-256 of the secret in the calendar link; null while there is no link.';
comment on column social.oncall_schedules.created_at is 'When it was made.';

create table social.oncall_rotations (
    rotation_id bigint generated always as identity,
    schedule_id bigint not null references social.oncall_schedules (schedule_id) on delete cascade,
    name varchar(255) not null,
    kind varchar(20) not null,
    shift_days integer not null,
    handover_time time not null default '09:00',
    starts_on date not null,
    ends_on date,
    weekdays smallint[],
    hours_from time,
    hours_until time,
    filled_until timestamptz,
    created_at timestamptz not null default now(),
    constraint pk_oncall_rotations primary key (rotation_id),
    constraint uq_oncall_rotations_name unique (schedule_id, name),
    constraint ck_oncall_rotations_kind check (kind in ('daily', 'weekly', 'custom')),
    constraint ck_oncall_rotations_days check (shift_days between 1 and 28
        and (kind <> 'daily' or shift_days = 1) and (kind <> 'weekly' or shift_days = 7)),
    constraint ck_oncall_rotations_dates check (ends_on > starts_on),
    constraint ck_oncall_rotations_weekdays check (cardinality(weekdays) > 0
        and weekdays <@ array[1, 2, 3, 4, 5, 6, 7]::smallint[]),
    constraint ck_oncall_rotations_hours check (num_nonnulls(hours_from, hours_until) in (0, 2) and hours_from <> hours_until)
);

comment on table social.oncall_rotations is 'Turns in which members are on call, one after the other.';
comment on column social.oncall_rotations.rotation_id is 'Rotation id.';
comment on column social.oncall_rotations.schedule_id is 'The schedule it fills.';
comment on column social.oncall_rotations.name is 'What staff call it; unique in its schedule.';
comment on column social.oncall_rotations.kind is 'daily, weekly or custom.';
comment on column social.oncall_rotations.shift_days is 'Days from one handover to the next: 1, 7, or 1 to 28 for custom.';
comment on column social.oncall_rotations.handover_time is 'Local time at which the next member takes over.';
comment on column social.oncall_rotations.starts_on is 'Day of the first handover.';
comment on column social.oncall_rotations.ends_on is 'Day at whose handover it ends; null while it goes on.';
comment on column social.oncall_rotations.weekdays is 'Days on which it is active, 1 for Monday; null for all.';
comment on column social.oncall_rotations.hours_from is 'Local time from which it is active on such a day; null for the whole day.';
comment on column social.oncall_rotations.hours_until is 'Local time until which, on the day after where it is not later than hours_from.';
comment on column social.oncall_rotations.filled_until is 'Up to which handover its shifts are written; null where they must be written anew.';
comment on column social.oncall_rotations.created_at is 'When it was made.';

create index idx_oncall_rotations_fill on social.oncall_rotations (filled_until nulls first);

create table social.oncall_rotation_members (
    rotation_id bigint not null references social.oncall_rotations (rotation_id) on delete cascade,
    position integer not null,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    constraint pk_oncall_rotation_members primary key (rotation_id, position)
);

comment on table social.oncall_rotation_members is 'Whose turn it is, in order. Somebody may have several turns.';
comment on column social.oncall_rotation_members.rotation_id is 'The rotation.';
comment on column social.oncall_rotation_members.position is 'Order of the turns, from 0.';
comment on column social.oncall_rotation_members.staff_id is 'Who has this turn.';

create index idx_oncall_rotation_members_staff on social.oncall_rotation_members (staff_id);

create table social.oncall_shifts (
    shift_id bigint generated always as identity,
    schedule_id bigint not null references social.oncall_schedules (schedule_id) on delete cascade,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    source varchar(20) not null,
    rotation_id bigint references social.oncall_rotations (rotation_id) on delete set null,
    constraint pk_oncall_shifts primary key (shift_id),
    constraint ck_oncall_shifts_source check (source in ('manual', 'rotation')),
    constraint ck_oncall_shifts_rotation check (source = 'rotation' or rotation_id is null),
    -- 28 days, in the longest of which clocks are put back; what looks for the shifts of a moment looks no further back.
    constraint ck_oncall_shifts_times check (ends_at > starts_at and ends_at - starts_at <= interval '700 hours'),
    constraint ex_oncall_shifts_rotation exclude using gist (
        int8range(rotation_id, rotation_id, '[]') with &&, tstzrange(starts_at, ends_at) with &&) where (rotation_id is not null)
);

comment on table social.oncall_shifts is 'Who is on duty from when to when: written ahead for every rotation, and by hand.';
comment on column social.oncall_shifts.shift_id is 'Shift id.';
comment on column social.oncall_shifts.schedule_id is 'The schedule.';
comment on column social.oncall_shifts.staff_id is 'Who is on duty.';
comment on column social.oncall_shifts.starts_at is 'From when.';
comment on column social.oncall_shifts.ends_at is 'Until when.';
comment on column social.oncall_shifts.source is 'rotation, or manual where staff wrote it.';
comment on column social.oncall_shifts.rotation_id is 'The rotation it is a turn of; null where that is no more.';

create index idx_oncall_shifts_time on social.oncall_shifts (schedule_id, starts_at);
-- What goes first when its term is over.
create index idx_oncall_shifts_over on social.oncall_shifts (ends_at);
create index idx_oncall_shifts_staff on social.oncall_shifts (staff_id);
create index idx_oncall_shifts_rotation on social.oncall_shifts (rotation_id, starts_at) where rotation_id is not null;

create table social.oncall_overrides (
    override_id bigint generated always as identity,
    schedule_id bigint not null references social.oncall_schedules (schedule_id) on delete cascade,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    replaces_staff_id varchar(255) references core.users (user_id) on delete cascade,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    created_at timestamptz not null default now(),
    created_by varchar(255) references core.users (user_id) on delete set null,
    constraint pk_oncall_overrides primary key (override_id),
    constraint ck_oncall_overrides_times check (ends_at > starts_at and ends_at - starts_at <= interval '700 hours'),
    constraint ck_oncall_overrides_other check (staff_id <> replaces_staff_id)
);

comment on table social.oncall_overrides is 'Somebody stands in for somebody, or for everybody, on a schedule. A later one holds over an earlier one.';
comment on column social.oncall_overrides.override_id is 'Override id.';
comment on column social.oncall_overrides.schedule_id is 'The schedule.';
comment on column social.oncall_overrides.staff_id is 'Who is on duty instead.';
comment on column social.oncall_overrides.replaces_staff_id is 'Instead of whom, where that person is on duty; null for everybody.';
comment on column social.oncall_overrides.starts_at is 'From when.';
comment on column social.oncall_overrides.ends_at is 'Until when.';
comment on column social.oncall_overrides.created_at is 'When it was made.';
comment on column social.oncall_overrides.created_by is 'By whom.';

create index idx_oncall_overrides_time on social.oncall_overrides (schedule_id, starts_at);
create index idx_oncall_overrides_over on social.oncall_overrides (ends_at);
create index idx_oncall_overrides_staff on social.oncall_overrides (staff_id);
create index idx_oncall_overrides_replaces on social.oncall_overrides (replaces_staff_id) where replaces_staff_id is not null;
create index idx_oncall_overrides_created_by on social.oncall_overrides (created_by) where created_by is not null;

-- Roles stand in core, where no transaction of a person reads them.
create function social.staff_on_call(staff varchar[]) returns setof varchar
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select u.user_id from core.users u join core.staff_roles r on r.user_id = u.user_id and r.role = 'oncall'
    where u.user_id = any (staff) and u.status = 'active'
$$;
comment on function social.staff_on_call(varchar[]) is 'Those of these who can be on call: active, with the role oncall.';

create function social.oncall_at(schedule bigint, moment timestamptz) returns setof varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    on_duty varchar[] := array(
        select distinct s.staff_id from social.oncall_shifts s
        where s.schedule_id = schedule and s.starts_at <= moment and s.ends_at > moment
          and s.starts_at > moment - interval '700 hours');
    override record;
begin
    -- One whose stand-in has left changes nothing: else nobody would be on duty.
    for override in
        select o.staff_id, o.replaces_staff_id from social.oncall_overrides o
        where o.schedule_id = schedule and o.starts_at <= moment and o.ends_at > moment
          and o.starts_at > moment - interval '700 hours'
          and exists (select from social.staff_on_call(array[o.staff_id]))
        order by o.override_id
    loop
        if override.replaces_staff_id is null then
            on_duty := array[override.staff_id];
        elsif override.replaces_staff_id = any (on_duty) then
            on_duty := array_remove(array_remove(on_duty, override.replaces_staff_id), override.staff_id)
                || override.staff_id;
        end if;
    end loop;
    return query select c from social.staff_on_call(on_duty) c order by c;
end $$;
comment on function social.oncall_at(bigint, timestamptz) is 'Who is on duty on a schedule at a moment, overrides applied; nobody who is suspended, erased or on call no more.';

-- A schedule to which nobody was put yet is none: making it takes nobody off duty.
create function social.on_duty(moment timestamptz) returns setof varchar
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from social.oncall_shifts) or exists (select from social.oncall_overrides) then
        return query
            select distinct o from social.oncall_schedules s, social.oncall_at(s.schedule_id, moment) o;
    else
        return query
            select r.user_id from core.staff_roles r join core.users u on u.user_id = r.user_id and u.status = 'active'
            where r.role = 'oncall';
    end if;
end $$;
comment on function social.on_duty(timestamptz) is 'Who is on duty at a moment: on any schedule, or everybody with the role oncall while no schedule has a shift.';

-- Access ends with the shift also where the job that ends it does not run; a job that is late by less takes nobody's sight.
create function social.settle_duty(moment timestamptz) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    grace constant interval := '1 minute';
    changed bigint;
    ended bigint;
begin
    -- One at a time: each statement below sees what the one before has committed.
    perform pg_advisory_xact_lock(hashtext('social.settle_duty'));
    select core.settle_temporary_access('shift', array_agg(d.staff_id), array_agg(d.user_id), array_agg(d.schedule_id),
        array_agg(now() + (d.changes_at + grace - moment)))
    into changed
    from (
        select distinct o as staff_id, e.user_id, s.schedule_id, b.changes_at
        from social.oncall_schedules s
        cross join lateral social.oncall_at(s.schedule_id, moment) o
        cross join lateral (
            select min(t.at) as changes_at from (
                select h.ends_at from social.oncall_shifts h
                where h.schedule_id = s.schedule_id and h.starts_at <= moment and h.ends_at > moment
                  and h.starts_at > moment - interval '700 hours'
                union all select v.ends_at from social.oncall_overrides v
                where v.schedule_id = s.schedule_id and v.starts_at <= moment and v.ends_at > moment
                  and v.starts_at > moment - interval '700 hours'
                union all select v.starts_at from social.oncall_overrides v
                where v.schedule_id = s.schedule_id and v.starts_at > moment) as t (at)) as b
        join social.escalations e on e.status in ('pending', 'notified', 'acknowledged') and e.user_id is not null) as d;
    -- Who was told on duty and has gone off it sees the client no more, unless the episode is theirs.
    select core.end_temporary_access('escalation', array_agg(t.staff_id), array_agg(t.escalation_id))
    into ended
    from (
        select d.staff_id, d.escalation_id
        from social.escalations e join social.notification_deliveries d on d.escalation_id = e.escalation_id
        where e.status in ('pending', 'notified', 'acknowledged') and e.acknowledged_by is distinct from d.staff_id
        group by d.staff_id, d.escalation_id
        having bool_and(d.relation not in ('counselor', 'staff'))) as t
    where t.staff_id not in (select o from social.on_duty(moment) o);
    return changed + ended;
end $$;
comment on function social.settle_duty(timestamptz) is 'Lets those on duty see the clients of open escalations, and those who have gone off it no more; how much that changed.';

-- For every writer, also between the end of a shift and the job that ends the access. Whoever sees the client anyway, or was
-- told by name, may answer at any hour.
create function social.check_duty() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if core.right_to_see(new.acknowledged_by, new.user_id) in ('shift', 'escalation')
        and not exists (select from social.notification_deliveries d
            where d.escalation_id = new.escalation_id and d.staff_id = new.acknowledged_by
              and d.relation in ('counselor', 'staff'))
        and new.acknowledged_by not in (select o from social.on_duty(new.acknowledged_at) o) then
        raise exception 'who acknowledges an escalation is on duty'
            using errcode = 'check_violation', constraint = 'ck_escalations_duty';
    end if;
    return new;
end $$;
comment on function social.check_duty() is 'Refuses an acknowledgement by somebody on call who is off duty, as constraint ck_escalations_duty.';

create trigger check_duty before update of status on social.escalations
    for each row when (new.status = 'acknowledged' and old.status <> 'acknowledged') execute function social.check_duty();

-- Turns move up where somebody leaves: what is written ahead would have a gap.
create function social.refill_rotations() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    update social.oncall_rotations r set filled_until = null
    where r.rotation_id in (select g.rotation_id from gone g) and r.filled_until is not null;
    return null;
end $$;
comment on function social.refill_rotations() is 'Has the shifts of a rotation written anew when a member has gone.';

create trigger refill after delete on social.oncall_rotation_members
    referencing old table as gone for each statement execute function social.refill_rotations();

create function social.actor_holds(roles varchar[]) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from core.staff_roles r
        where 'staff:' || r.user_id = current_setting('recoverly.actor', true) and r.role = any (roles))
$$;
comment on function social.actor_holds(varchar[]) is 'Whether the staff who asks holds one of these roles.';

grant execute on function social.staff_on_call(varchar[]), social.oncall_at(bigint, timestamptz), social.on_duty(timestamptz),
    social.settle_duty(timestamptz), social.actor_holds(varchar[])
    to recoverly_social, recoverly_social_worker;

-- All staff see who is on call; supervisors and admins say it, and everybody may have the own duty taken over.
do $policies$
declare
    relation text;
begin
    foreach relation in array array['oncall_schedules', 'oncall_rotations', 'oncall_rotation_members', 'oncall_shifts',
        'oncall_overrides'] loop
        execute format('alter table social.%I enable row level security', relation);
        execute format('alter table social.%I force row level security', relation);
        execute format('create policy seen on social.%I for select
            using ((select social.actor_holds(array[''counselor'', ''oncall'', ''supervisor'', ''admin''])))', relation);
        execute format('create policy managed on social.%I
            using ((select social.actor_holds(array[''supervisor'', ''admin''])))', relation);
        execute format('create policy worker on social.%I to recoverly_worker using (true) with check (true)', relation);
        execute format('create policy owner on social.%I to recoverly_owner using (true) with check (true)', relation);
    end loop;
end $policies$;
create policy own on social.oncall_overrides
    using ('staff:' || replaces_staff_id = current_setting('recoverly.actor', true)
        and (select social.actor_holds(array['counselor', 'oncall'])));
