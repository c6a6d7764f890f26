-- Staff offer their own duty to each other. Who takes an offer stands in by an override, and by nothing else.

create table social.shift_swaps (
    swap_id bigint generated always as identity,
    schedule_id bigint not null references social.oncall_schedules (schedule_id) on delete cascade,
    offered_by varchar(255) not null references core.users (user_id) on delete cascade,
    -- With whom it was meant for an offer goes: nobody else is to find it theirs.
    offered_to varchar(255) references core.users (user_id) on delete cascade,
    taken_by varchar(255) references core.users (user_id) on delete set null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    status varchar(20) not null default 'open',
    created_at timestamptz not null default now(),
    closed_at timestamptz,
    constraint pk_shift_swaps primary key (swap_id),
    constraint ck_shift_swaps_status check (status in ('open', 'taken', 'declined', 'withdrawn')),
    constraint ck_shift_swaps_taken check (status = 'taken' or taken_by is null),
    constraint ck_shift_swaps_other check (offered_to <> offered_by and taken_by <> offered_by),
    constraint ck_shift_swaps_times check (ends_at > starts_at and ends_at - starts_at <= interval '700 hours')
);

comment on table social.shift_swaps is 'Offers of the own duty to colleagues, and what became of them. The effect of one that was taken is an override.';
comment on column social.shift_swaps.swap_id is 'Swap id.';
comment on column social.shift_swaps.schedule_id is 'The schedule.';
comment on column social.shift_swaps.offered_by is 'Whose duty it is.';
comment on column social.shift_swaps.offered_to is 'Who alone may take it; null for whoever is on call.';
comment on column social.shift_swaps.taken_by is 'Who took it; null once that person has left.';
comment on column social.shift_swaps.starts_at is 'From when on the duty is offered.';
comment on column social.shift_swaps.ends_at is 'Until when.';
comment on column social.shift_swaps.status is 'open, taken, declined or withdrawn; one that is open when it begins is taken by nobody any more.';
comment on column social.shift_swaps.created_at is 'When it was offered.';
comment on column social.shift_swaps.closed_at is 'When it was taken, declined or withdrawn.';

-- The same is offered once, and to everybody or to somebody.
create unique index uq_shift_swaps_open on social.shift_swaps (schedule_id, offered_by, starts_at, ends_at, offered_to)
    nulls not distinct where status = 'open';
create index idx_shift_swaps_time on social.shift_swaps (schedule_id, starts_at);
create index idx_shift_swaps_over on social.shift_swaps (ends_at);
create index idx_shift_swaps_offered_by on social.shift_swaps (offered_by);
create index idx_shift_swaps_offered_to on social.shift_swaps (offered_to) where offered_to is not null;
create index idx_shift_swaps_taken_by on social.shift_swaps (taken_by) where taken_by is not null;

create function social.check_swap_move() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if (new.schedule_id, new.offered_by, new.offered_to, new.starts_at, new.ends_at)
            is distinct from (old.schedule_id, old.offered_by, old.offered_to, old.starts_at, old.ends_at)
        or old.status <> 'open' and (new.status <> old.status
            -- Whose account is erased has taken nothing any more.
            or new.taken_by is distinct from old.taken_by and new.taken_by is not null) then
        raise exception 'a swap that is % becomes no other', old.status
            using errcode = 'check_violation', constraint = 'ck_shift_swaps_move';
    end if;
    return new;
end $$;
comment on function social.check_swap_move() is 'Refuses to make an offer another one, or to move one that is not open, as constraint ck_shift_swaps_move.';

create trigger check_move before update on social.shift_swaps
    for each row execute function social.check_swap_move();

-- All staff see offers, as they see shifts. Each makes the own, takes what is offered, and takes back the own.
alter table social.shift_swaps enable row level security;
alter table social.shift_swaps force row level security;
create policy seen on social.shift_swaps for select
    using ((select social.actor_holds(array['counselor', 'oncall', 'supervisor', 'admin'])));
create policy offered on social.shift_swaps for insert
    with check ('staff:' || offered_by = current_setting('recoverly.actor', true) and status = 'open'
        and (select social.actor_holds(array['counselor', 'oncall', 'supervisor'])));
create policy moved on social.shift_swaps for update
    using ((select social.actor_holds(array['counselor', 'oncall', 'supervisor'])))
    with check (case status
        when 'taken' then 'staff:' || taken_by = current_setting('recoverly.actor', true)
            and (offered_to is null or offered_to = taken_by)
        when 'declined' then 'staff:' || offered_to = current_setting('recoverly.actor', true)
        when 'withdrawn' then 'staff:' || offered_by = current_setting('recoverly.actor', true)
            or (select social.actor_holds(array['supervisor']))
        else false end);
create policy worker on social.shift_swaps to recoverly_worker using (true) with check (true);
create policy owner on social.shift_swaps to recoverly_owner using (true) with check (true);

-- Who has taken an offer stands in for who made it, for that time and no other.
create policy swapped on social.oncall_overrides for insert
    with check ('staff:' || staff_id = current_setting('recoverly.actor', true)
        and exists (select from social.shift_swaps w
            where w.schedule_id = oncall_overrides.schedule_id and w.status = 'taken'
              and w.taken_by = oncall_overrides.staff_id and w.offered_by = oncall_overrides.replaces_staff_id
              and w.starts_at = oncall_overrides.starts_at and w.ends_at = oncall_overrides.ends_at));
