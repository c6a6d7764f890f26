-- Who is told of an escalation, tier after tier, until somebody answers.

create table social.escalation_policies (
    policy_id bigint generated always as identity,
    name varchar(255) not null,
    escalation_type varchar(100),
    ack_minutes integer not null default 30,
    repeats integer not null default 0,
    repeat_minutes integer not null default 15,
    last_resort varchar(20) not null,
    active boolean not null default false,
    created_at timestamptz not null default now(),
    created_by varchar(255) references core.users (user_id) on delete set null,
    activated_at timestamptz,
    constraint pk_escalation_policies primary key (policy_id),
    constraint uq_escalation_policies_name unique (name),
    constraint ck_escalation_policies_type check (escalation_type in ('profile_risk', 'model_risk', 'safety', 'manual', 'silence', 'drill')),
    constraint ck_escalation_policies_ack check (ack_minutes between 1 and 1440),
    constraint ck_escalation_policies_repeats check (repeats between 0 and 10),
    constraint ck_escalation_policies_repeat_minutes check (repeat_minutes between 1 and 9000),
    constraint ck_escalation_policies_last_resort check (last_resort in ('oncall', 'supervisor'))
);

comment on table social.escalation_policies is 'Who is told of an escalation, in tiers; one is active for each type, and one for all types that have none.';
comment on column social.escalation_policies.policy_id is 'Policy id.';
comment on column social.escalation_policies.name is 'What staff call it.';
comment on column social.escalation_policies.escalation_type is 'For which type of escalation; null for every type that has no active policy of its own.';
comment on column social.escalation_policies.ack_minutes is 'How long an acknowledgement holds without contact, where who takes it does not say.';
comment on column social.escalation_policies.repeats is 'How often all tiers are told again before the last resort is.';
comment on column social.escalation_policies.repeat_minutes is 'How long after the last tier they are told again, or the last resort is; and how long between two times of that.';
comment on column social.escalation_policies.last_resort is 'oncall or supervisor: everybody with this role is told when no tier has answered, every repeat_minutes until somebody does.';
comment on column social.escalation_policies.active is 'Whether it is followed.';
comment on column social.escalation_policies.created_at is 'When it was made.';
comment on column social.escalation_policies.created_by is 'By whom; null for the one that came with the software, and once that person has left.';
comment on column social.escalation_policies.activated_at is 'When it was last made an active one.';

create unique index uq_escalation_policies_active on social.escalation_policies (escalation_type) nulls not distinct where active;
create index idx_escalation_policies_created_by on social.escalation_policies (created_by) where created_by is not null;

create table social.escalation_policy_steps (
    policy_id bigint not null references social.escalation_policies (policy_id) on delete cascade,
    tier integer not null,
    position integer not null,
    delay_minutes integer not null default 0,
    target varchar(20) not null,
    staff_id varchar(255) references core.users (user_id) on delete cascade,
    schedule_id bigint references social.oncall_schedules (schedule_id),
    method varchar(20),
    constraint pk_escalation_policy_steps primary key (policy_id, tier, position),
    constraint ck_escalation_policy_steps_place check (tier between 1 and 20 and position between 1 and 20),
    -- A crisis waits for nobody: the first tier is told at once.
    constraint ck_escalation_policy_steps_delay check (delay_minutes between 0 and 9000 and (tier > 1 or delay_minutes = 0)),
    constraint ck_escalation_policy_steps_target check (target in ('staff', 'schedule', 'counselors')),
    constraint ck_escalation_policy_steps_whom check ((target = 'staff') = (staff_id is not null)
        and (target = 'schedule' or schedule_id is null)),
    constraint ck_escalation_policy_steps_method check (method in ('in_app', 'email', 'webhook'))
);

comment on table social.escalation_policy_steps is 'Whom the tiers of a policy tell.';
comment on column social.escalation_policy_steps.policy_id is 'The policy.';
comment on column social.escalation_policy_steps.tier is 'Which tier, from 1.';
comment on column social.escalation_policy_steps.position is 'Place in its tier, from 1.';
comment on column social.escalation_policy_steps.delay_minutes is 'How long after the tier before this one is told; the same for the whole tier.';
comment on column social.escalation_policy_steps.target is 'staff, schedule, or counselors: those of the client.';
comment on column social.escalation_policy_steps.staff_id is 'Which staff user.';
comment on column social.escalation_policy_steps.schedule_id is 'Whoever is on duty on this schedule; null for whoever is on duty at all.';
comment on column social.escalation_policy_steps.method is 'By which way first, besides the app; null for the first that the person has.';

create index idx_escalation_policy_steps_staff on social.escalation_policy_steps (staff_id) where staff_id is not null;
create index idx_escalation_policy_steps_schedule on social.escalation_policy_steps (schedule_id) where schedule_id is not null;

with built_in as (
    insert into social.escalation_policies (name, last_resort, active, activated_at)
    values ('default', 'supervisor', true, now())
    returning policy_id)
insert into social.escalation_policy_steps (policy_id, tier, position, target)
select b.policy_id, 1, s.position, s.target
from built_in b, (values (1, 'counselors'), (2, 'schedule')) as s (position, target);

create function social.check_default_policy() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (select from social.escalation_policies p where p.active and p.escalation_type is null) then
        raise exception 'one policy is always there for every type' using errcode = 'check_violation',
            constraint = 'ck_escalation_policies_default';
    end if;
    return null;
end $$;
comment on function social.check_default_policy() is 'Refuses to be left without an active policy for every type, as constraint ck_escalation_policies_default.';

create constraint trigger check_default after update of active, escalation_type or delete on social.escalation_policies
    deferrable initially deferred for each row when (old.active and old.escalation_type is null)
    execute function social.check_default_policy();

alter table social.escalations
    add column round integer not null default 0,
    add column repeated integer not null default 0;
comment on column social.escalations.repeated is 'How often its policy has begun again.';
comment on column social.escalations.round is 'How often a tier was told anew: when the policy began again, an acknowledgement ran out or somebody was handed it.';
comment on column social.escalations.tier is 'Which tier of the policy was told last; the one behind its tiers is the last resort, 0 none yet.';
comment on column social.escalations.next_tier_at is 'When the next tier is told, or the last resort again; null while somebody has it.';
comment on column social.escalations.policy_id is 'The policy it follows; null where that is no more, and it follows the one of its type.';
alter table social.escalations
    add constraint escalations_policy_id_fkey foreign key (policy_id) references social.escalation_policies (policy_id) on delete set null,
    -- Who was not reached is to be tried again at a time that somebody said.
    add constraint ck_escalations_next_contact check (status <> 'resolved' or next_contact_at is not null
        or (outcome is not null and outcome in ('spoke', 'emergency_services', 'false_alarm')));
create index idx_escalations_policy on social.escalations (policy_id) where policy_id is not null;
create index idx_escalations_next_tier on social.escalations (next_tier_at) where status in ('pending', 'notified');

alter table social.notification_deliveries add column round integer not null default 0;
comment on column social.notification_deliveries.round is 'In which round of that tier.';
comment on column social.notification_deliveries.relation is 'counselor, oncall, or staff who were told by name, by role or by a colleague: why this person.';
alter table social.notification_deliveries
    drop constraint uq_notification_deliveries_once,
    add constraint uq_notification_deliveries_once unique (escalation_id, round, tier, staff_id, method);

create table social.escalation_comments (
    comment_id bigint generated always as identity,
    escalation_id bigint not null references social.escalations (escalation_id) on delete cascade,
    client_id varchar(255) not null references core.users (user_id) on delete cascade,
    author_id varchar(255) references core.users (user_id) on delete set null,
    at timestamptz not null default now(),
    kind varchar(20) not null default 'comment',
    comment text not null,
    constraint pk_escalation_comments primary key (comment_id),
    constraint ck_escalation_comments_kind check (kind in ('comment', 'handover'))
);

comment on table social.escalation_comments is 'What staff say to each other on an escalation.';
comment on column social.escalation_comments.comment_id is 'Comment id.';
comment on column social.escalation_comments.escalation_id is 'The episode.';
comment on column social.escalation_comments.client_id is 'The client, with whom it goes.';
comment on column social.escalation_comments.author_id is 'Who wrote it; null once that person has left.';
comment on column social.escalation_comments.at is 'When.';
comment on column social.escalation_comments.kind is 'comment, or handover: a note for who takes it next.';
comment on column social.escalation_comments.comment is 'The text.';

create index idx_escalation_comments_escalation on social.escalation_comments (escalation_id, at desc);
create index idx_escalation_comments_client on social.escalation_comments (client_id);
create index idx_escalation_comments_author on social.escalation_comments (author_id) where author_id is not null;

alter table social.escalation_comments enable row level security;
alter table social.escalation_comments force row level security;
create policy visible on social.escalation_comments using (client_id in (select unnest(core.visible_clients())));
create policy worker on social.escalation_comments to recoverly_worker using (true) with check (true);
create policy owner on social.escalation_comments to recoverly_owner using (true) with check (true);

-- Staff read policies, supervisors and admins write them.
do $policies$
declare
    relation text;
begin
    foreach relation in array array['escalation_policies', 'escalation_policy_steps'] loop
        execute format('alter table social.%I enable row level security', relation);
        execute format('alter table social.%I force row level security', relation);
        execute format('create policy managed on social.%I
            using ((select social.actor_holds(array[''supervisor'', ''admin''])))', relation);
        execute format('create policy worker on social.%I to recoverly_worker using (true) with check (true)', relation);
        execute format('create policy owner on social.%I to recoverly_owner using (true) with check (true)', relation);
    end loop;
end $policies$;

-- Until staff can store other ways, everybody is reached in the app.
create function social.methods_of(staff varchar, wanted varchar) returns setof varchar
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select 'in_app'::varchar
$$;
comment on function social.methods_of(varchar, varchar) is 'By which ways a page goes to a staff user at first.';

-- The functions below are the engine. They run as the owner: who triggers an escalation sees neither policies nor roles.

create function social.policy_for(type varchar) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.policy_id from social.escalation_policies p
    where p.active and (p.escalation_type = type or p.escalation_type is null)
    order by p.escalation_type nulls last limit 1
$$;
comment on function social.policy_for(varchar) is 'The active policy of a type of escalation.';

create function social.ack_minutes(policy bigint) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.ack_minutes from social.escalation_policies p where p.policy_id = policy
$$;
comment on function social.ack_minutes(bigint) is 'How long an acknowledgement holds by a policy.';

create function social.people_of(policy bigint, of_tier integer, client varchar, moment timestamptz)
returns table (staff_id varchar, relation varchar, method varchar)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        with steps as materialized (
            select s.target, s.staff_id, s.schedule_id, s.method from social.escalation_policy_steps s
            where s.policy_id = policy and s.tier = of_tier),
        people as (
            select c.staff_id, 'counselor'::varchar as relation, s.method
            from steps s cross join lateral core.crisis_staff(array[client]) c
            where s.target = 'counselors' and c.relation = 'counselor' and social.answers_escalations(c.staff_id)
            union all
            select d.staff_id, 'oncall', s.method
            from steps s cross join lateral social.on_duty(moment) d (staff_id)
            where s.target = 'schedule' and s.schedule_id is null
            union all
            select d.staff_id, 'oncall', s.method
            from steps s cross join lateral social.oncall_at(s.schedule_id, moment) d (staff_id)
            where s.target = 'schedule' and s.schedule_id is not null
            union all
            select u.user_id, 'staff', s.method
            from steps s join core.users u on u.user_id = s.staff_id
            where s.target = 'staff' and social.answers_escalations(u.user_id)
            union all
            -- By role, and so whether on duty or not: nobody else is left to answer.
            select u.user_id, 'staff', null
            from social.escalation_policies p
            join core.staff_roles r on r.role = p.last_resort
            join core.users u on u.user_id = r.user_id and u.status = 'active'
            where p.policy_id = policy
              and not exists (select from social.escalation_policy_steps s where s.policy_id = policy and s.tier >= of_tier))
        -- Whoever is told at all is told in the app, where the queue is.
        select distinct on (p.staff_id, m.method) p.staff_id, p.relation, m.method
        from people p cross join lateral social.methods_of(p.staff_id, p.method) m (method)
        order by p.staff_id, m.method, p.relation;
end $$;
comment on function social.people_of(bigint, integer, varchar, timestamptz) is 'Whom a tier of a policy tells of a client, and by which ways first; behind the last tier, the last resort.';

create function social.tier_after(policy bigint, from_tier integer, client varchar, moment timestamptz) returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select t.tier
    from (select distinct s.tier from social.escalation_policy_steps s where s.policy_id = policy and s.tier > from_tier) t
    where exists (select from social.people_of(policy, t.tier, client, moment))
    order by t.tier limit 1
$$;
comment on function social.tier_after(bigint, integer, varchar, timestamptz) is 'The next tier that has somebody to tell; null where none has.';

create function social.wait_after(policy bigint, from_tier integer, client varchar, moment timestamptz) returns timestamptz
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select moment + make_interval(mins => coalesce(
        (select min(s.delay_minutes) from social.escalation_policy_steps s
         where s.policy_id = policy and s.tier = social.tier_after(policy, from_tier, client, moment)),
        p.repeat_minutes))
    from social.escalation_policies p
    where p.policy_id = policy
$$;
comment on function social.wait_after(bigint, integer, varchar, timestamptz) is 'When the tier after this one is told, or the last resort again.';

-- Tiers that have nobody are passed in the same step. Behind the last one the policy begins again as often as it says,
-- then comes the last resort, which is told again and again until somebody answers: nobody else is left who would.
create function social.next_tier(policy bigint, from_tier integer, times_repeated integer, client varchar, moment timestamptz)
returns table (tier integer, is_anew boolean, is_repeat boolean, due_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    last_tier integer := coalesce((select max(s.tier) from social.escalation_policy_steps s where s.policy_id = policy), 0);
    repeats integer := (select p.repeats from social.escalation_policies p where p.policy_id = policy);
    to_tier integer := social.tier_after(policy, from_tier, client, moment);
    is_last_again boolean := to_tier is null and from_tier > last_tier;
    is_repeat boolean := to_tier is null and not is_last_again and times_repeated < repeats;
begin
    if is_repeat then
        to_tier := social.tier_after(policy, 0, client, moment);
    end if;
    to_tier := coalesce(to_tier, last_tier + 1);
    return query select to_tier, is_last_again or is_repeat, is_repeat, social.wait_after(policy, to_tier, client, moment);
end $$;
comment on function social.next_tier(bigint, integer, integer, varchar, timestamptz) is 'Where an escalation goes on to, and when it goes on from there.';

-- Of the tier itself everybody, in a round of it in which nobody was told yet; of it and the earlier ones, whoever was
-- told of nothing yet: they came on duty, or to the client, since. All episodes are looked at at once: who is on duty or
-- named is the same for every one that follows a policy.
create function social.untold(episodes bigint[], moment timestamptz)
returns table (escalation_id bigint, tier integer, staff_id varchar, relation varchar, method varchar)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        with waiting as materialized (
            select e.escalation_id, e.user_id, e.tier, coalesce(e.policy_id, social.policy_for(e.escalation_type)) as policy_id,
                not exists (select from social.notification_deliveries d
                    where d.escalation_id = e.escalation_id and d.round = e.round and d.tier = e.tier) as is_new
            from social.escalations e
            where e.status in ('pending', 'notified') and e.user_id is not null
              and (episodes is null or e.escalation_id = any (episodes))),
        steps as materialized (
            select s.* from social.escalation_policy_steps s where s.policy_id in (select w.policy_id from waiting w)),
        on_duty as materialized (
            select null::bigint as schedule_id, d.staff_id from social.on_duty(moment) d (staff_id)
            where exists (select from steps s where s.target = 'schedule' and s.schedule_id is null)
            union all
            select n.schedule_id, d.staff_id
            from (select distinct s.schedule_id from steps s where s.schedule_id is not null) n
            cross join lateral social.oncall_at(n.schedule_id, moment) d (staff_id)),
        counselors as materialized (
            select c.client_id, c.staff_id from core.crisis_staff(array(select w.user_id from waiting w)) c
            where c.relation = 'counselor' and social.answers_escalations(c.staff_id)),
        people as (
            select w.escalation_id, s.tier, c.staff_id, 'counselor'::varchar as relation, s.method
            from waiting w
            join steps s on s.policy_id = w.policy_id and s.tier <= w.tier and s.target = 'counselors'
            join counselors c on c.client_id = w.user_id
            union all
            select w.escalation_id, s.tier, d.staff_id, 'oncall', s.method
            from waiting w
            join steps s on s.policy_id = w.policy_id and s.tier <= w.tier and s.target = 'schedule'
            join on_duty d on d.schedule_id is not distinct from s.schedule_id
            union all
            select w.escalation_id, s.tier, u.user_id, 'staff', s.method
            from waiting w
            join steps s on s.policy_id = w.policy_id and s.tier <= w.tier and s.target = 'staff'
            join core.users u on u.user_id = s.staff_id and social.answers_escalations(u.user_id)
            union all
            -- By role, and so whether on duty or not: nobody else is left to answer.
            select w.escalation_id, w.tier, u.user_id, 'staff', null
            from waiting w
            join social.escalation_policies p on p.policy_id = w.policy_id
            join core.staff_roles r on r.role = p.last_resort
            join core.users u on u.user_id = r.user_id and u.status = 'active'
            where not exists (select from steps s where s.policy_id = w.policy_id and s.tier >= w.tier)),
        wanted as (
            select p.* from people p join waiting w on w.escalation_id = p.escalation_id
            where (w.is_new and p.tier = w.tier)
                or not exists (select from social.notification_deliveries d
                    where d.escalation_id = p.escalation_id and d.staff_id = p.staff_id))
        select distinct on (p.escalation_id, p.staff_id, m.method) p.escalation_id, p.tier, p.staff_id, p.relation, m.method
        from wanted p cross join lateral social.methods_of(p.staff_id, p.method) m (method)
        order by p.escalation_id, p.staff_id, m.method, p.tier desc, p.relation;
end $$;
comment on function social.untold(bigint[], timestamptz) is 'Who is to be told of which open escalation and does not know of it; of all of them for null.';

create function social.answers_escalations(staff varchar) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from core.users u join core.staff_roles r on r.user_id = u.user_id
        where u.user_id = staff and u.status = 'active' and r.role in ('counselor', 'oncall', 'supervisor'))
$$;
comment on function social.answers_escalations(varchar) is 'Whether somebody answers escalations: active staff with a role that may.';

create function social.role_is_held(wanted varchar) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select exists (select from core.staff_roles r join core.users u on u.user_id = r.user_id and u.status = 'active'
        where r.role = wanted)
$$;
comment on function social.role_is_held(varchar) is 'Whether active staff hold a role.';

create function social.reaches(target varchar, staff varchar, schedule bigint, moment timestamptz) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select case
        when target = 'staff' then social.answers_escalations(staff)
        when target = 'counselors' then true
        when schedule is null then social.role_is_held('oncall')
        else exists (select from social.oncall_shifts h where h.schedule_id = schedule and h.ends_at > moment)
            or exists (select from social.oncall_rotations r
                join social.oncall_rotation_members m on m.rotation_id = r.rotation_id
                where r.schedule_id = schedule and (r.ends_on is null or r.ends_on > moment::date))
        end
$$;
comment on function social.reaches(varchar, varchar, bigint, timestamptz) is 'Whether a step of a policy can reach anybody, for some client and at some time to come.';

grant execute on function social.methods_of(varchar, varchar), social.policy_for(varchar), social.ack_minutes(bigint),
    social.people_of(bigint, integer, varchar, timestamptz), social.tier_after(bigint, integer, varchar, timestamptz),
    social.wait_after(bigint, integer, varchar, timestamptz), social.next_tier(bigint, integer, integer, varchar, timestamptz),
    social.untold(bigint[], timestamptz), social.answers_escalations(varchar), social.role_is_held(varchar),
    social.reaches(varchar, varchar, bigint, timestamptz)
    to recoverly_social, recoverly_social_worker;
