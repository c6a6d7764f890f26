-- Looking ahead: when nobody would be told but the last resort, and when a schedule stands empty.

create table social.coverage_gaps (
    gap_id bigint generated always as identity,
    policy_id bigint references social.escalation_policies (policy_id) on delete cascade,
    schedule_id bigint references social.oncall_schedules (schedule_id) on delete cascade,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    constraint pk_coverage_gaps primary key (gap_id),
    constraint ck_coverage_gaps_of check (num_nonnulls(policy_id, schedule_id) = 1),
    constraint ck_coverage_gaps_times check (ends_at > starts_at)
);

comment on table social.coverage_gaps is 'What the last look at the next 14 days found: times at which no tier of an active policy reaches anybody for some client, and times at which nobody is on duty on a schedule. Names nobody.';
comment on column social.coverage_gaps.gap_id is 'Row id.';
comment on column social.coverage_gaps.policy_id is 'The policy of which only the last resort would be told; null for a gap of a schedule.';
comment on column social.coverage_gaps.schedule_id is 'The schedule that is empty; null for a gap of a policy.';
comment on column social.coverage_gaps.starts_at is 'From when.';
comment on column social.coverage_gaps.ends_at is 'Until when; at most 14 days after it was looked for.';

create index idx_coverage_gaps_policy on social.coverage_gaps (policy_id) where policy_id is not null;
create index idx_coverage_gaps_schedule on social.coverage_gaps (schedule_id) where schedule_id is not null;

alter table social.coverage_gaps enable row level security;
alter table social.coverage_gaps force row level security;
create policy seen on social.coverage_gaps for select
    using ((select social.actor_holds(array['supervisor', 'admin'])));
create policy worker on social.coverage_gaps to recoverly_worker using (true) with check (true);
create policy owner on social.coverage_gaps to recoverly_owner using (true) with check (true);

alter table social.escalation_policies add column forecast_at timestamptz;
comment on column social.escalation_policies.forecast_at is 'When the next 14 days were last looked at for its gaps; null while it is not active, and where they are to be looked at anew.';

-- Whom a tier tells of a client without one is nobody, where it tells counselors.
create function social.some_lack_a_counselor() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    with answering as materialized (
        select s.staff_id from (select distinct c.staff_id from core.caseload_assignments c) s
        where social.answers_escalations(s.staff_id))
    select exists (
        select from core.users u
        where u.kind = 'client' and u.status = 'active'
          and not exists (select from social.user_risk_profiles p where p.user_id = u.user_id and p.is_drill)
          and not exists (select from core.caseload_assignments c join answering a on a.staff_id = c.staff_id
            where c.client_id = u.user_id and c.starts_at <= now() and (c.ends_at is null or c.ends_at > now())))
$$;
comment on function social.some_lack_a_counselor() is 'Whether some active client has no counselor who answers escalations.';
grant execute on function social.some_lack_a_counselor() to recoverly_social_worker;

alter table social.operational_warnings
    drop constraint ck_operational_warnings_kind,
    add constraint ck_operational_warnings_kind check (kind in ('pipeline_silent', 'staff_unreachable', 'outbox_lag', 'delivery_lag', 'drill_failed', 'coverage_gap'));
comment on column social.operational_warnings.kind is 'pipeline_silent, staff_unreachable, outbox_lag, delivery_lag, drill_failed or coverage_gap.';
comment on column social.operational_warnings.measure is 'How bad it was when it was last seen: minutes that something waits or that nobody covers, or people of whom it is so.';
