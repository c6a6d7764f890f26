-- The kit's data in our own schema: the same clients, messages and scores, computed from the same repeatable numbers.
-- psql variables: users, messages, fresh (messages nobody has scored yet), caseload (clients of one counselor).
-- Run by a superuser, whom row-level security does not concern; the schemas come from the five services' migrations.
--
-- Two things differ from the kit, and must:
--   * p_craving and p_relapse stay below 0.5, from where our rules read a crisis into every single message; and the
--     load draws risk_score so that about 4 % of it is high-risk by our threshold, as 4 % of the kit's escalate by its.
--   * A message is scored once by a model version. The kit scores the same messages again and again; our writes take
--     the fresh ones, spread over the last week, so that each counts in both windows as in the kit.
\set ON_ERROR_STOP on
set synchronous_commit = off;
set timezone = 'UTC';
create schema bench;

-- h(i, salt): a repeatable number in [0, 1).
create function bench.h(i bigint, salt bigint) returns double precision language sql immutable parallel safe
as $$ select (hashint8extended(i, salt) & 2147483647) / 2147483648.0 $$;
create function bench.uid(n bigint) returns varchar language sql immutable parallel safe
as $$ select 'user-' || lpad(n::text, 7, '0') $$;
create function bench.owner(m bigint, users bigint) returns bigint language sql immutable parallel safe as $$
    select case when m % 5 <> 0 then 1 + ((m / 5) * 4 + m % 5 - 1) % (users / 5)
                else 1 + users / 5 + (m / 5 - 1) % (users - users / 5) end $$;
create function bench.base(u bigint) returns double precision language sql immutable parallel safe as $$
    select case when x < 0.01 then 0.85 when x < 0.05 then 0.68 when x < 0.20 then 0.45 else 0.18 end
    from (select bench.h(u, 11) as x) t $$;
create function bench.score(x double precision) returns double precision language sql immutable parallel safe
as $$ select round(least(1, greatest(0, x))::numeric, 6)::double precision $$;

insert into core.users (user_id, username, email, full_name, display_name, phone, created_at, last_active, metadata)
select bench.uid(u), 'user' || u, 'user' || u || '@example.test', 'Test Person ' || u, 'Test Person ' || u,
    '+1555' || lpad(u::text, 7, '0'), now() - interval '200 days', now(),
    jsonb_build_object('cohort', u % 12, 'locale', 'en')
from generate_series(1, :users) u;

-- Everybody has a counselor, and one person is on call: escalations have somebody to tell, as in production.
insert into core.users (user_id, kind, username, display_name)
select 'counselor-' || c, 'staff', 'counselor-' || c, 'Counselor ' || c from generate_series(1, :users / :caseload) c
union all select 'oncall-1', 'staff', 'oncall-1', 'On call 1';
insert into core.staff_roles (user_id, role)
select user_id, split_part(user_id, '-', 1) from core.users where kind = 'staff';
insert into core.caseload_assignments (client_id, staff_id)
select bench.uid(u), 'counselor-' || 1 + u % (:users / :caseload) from generate_series(1, :users) u;
-- Somebody to whom everybody is visible, as the lead of a whole programme is.
insert into core.users (user_id, kind, username, display_name) values ('supervisor-1', 'staff', 'supervisor-1', 'Supervisor 1');
insert into core.staff_roles (user_id, role) values ('supervisor-1', 'supervisor');
insert into core.teams (name) values ('Everybody');
insert into core.team_members (team_id, staff_id, part)
select t.team_id, u.user_id, case when u.user_id like 'supervisor%' then 'supervisor' else 'member' end
from core.teams t cross join core.users u where u.user_id ~ '^(counselor|supervisor)-';
insert into core.api_clients (client_id, kind, name)
values ('bench-pipeline', 'pipeline', 'Load of make bench'), ('bench-app', 'app', 'Load of make bench');

insert into core.messages (message_id, user_id, message_text, timestamp, conversation_type, recipient_id)
overriding system value
select m, bench.uid(bench.owner(m, :users)),
    'Synthetic message ' || m || ': ' || repeat('today was a day like the others, ', 2 + (bench.h(m, 3) * 4)::int),
    now() - case when m <= :messages then interval '60 days' else interval '7 days' end * bench.h(m, 1),
    (array['buddy', 'counselor', 'group'])[1 + (bench.h(m, 2) * 2.999)::int % 3],
    bench.uid(1 + (bench.h(m, 4) * (:users - 1))::bigint)
from generate_series(1, :messages + :fresh) m;
select setval(pg_get_serial_sequence('core.messages', 'message_id'), :messages + :fresh) as last_message \gset

insert into social.message_predictions (message_id, user_id, timestamp, message_timestamp, p_craving, p_relapse,
    p_negative_mood, p_neutral, p_toxic, p_isolation, risk_score, conversation_type, model_version)
select m.message_id, m.user_id, m.timestamp, m.timestamp, bench.score(0.49 * bench.h(m.message_id, 21)),
    bench.score(0.49 * bench.h(m.message_id, 22)), bench.score(bench.h(m.message_id, 23)),
    bench.score(bench.h(m.message_id, 24)), bench.score(power(bench.h(m.message_id, 25), 4)),
    bench.score(bench.h(m.message_id, 26)),
    bench.score(bench.base(bench.owner(m.message_id, :users)) + 0.4 * (bench.h(m.message_id, 27) - 0.5)),
    m.conversation_type, 'risk-model-1.4.2'
from core.messages m where m.message_id <= :messages order by m.message_id;

-- What a context is made of: of each client six likes and dislikes, and a session a week.
insert into core.stated_preferences (user_id, kind, category, value)
select bench.uid(u), case when n % 2 = 0 then 'like' else 'dislike' end, 'category ' || n, 'value ' || n
from generate_series(1, :users) u cross join generate_series(1, 6) n;
insert into core.interaction_sessions (id, session_key, employee_id, client_id, metadata, created_at)
select gen_random_uuid(), 's-' || u || '-' || n, 'counselor-' || 1 + u % (:users / :caseload), bench.uid(u),
    '{"room": 7}', now() - n * interval '7 days'
from generate_series(1, :users) u cross join generate_series(1, 12) n;

-- A live model that reads ten features; and tables for the bare rows of what it says.
insert into risk.feature_sets (version, features, created_by)
select 'bench-1', jsonb_agg(jsonb_build_object('name', 'f' || n, 'type', 'number', 'minimum', 0, 'maximum', 1, 'nullable', false,
    'subgroup', false, 'texts', '{}'::jsonb)), 'bench'
from generate_series(0, 9) n;
insert into risk.model_versions (model_name, version, feature_set_version, stage, stage_by, threshold_moderate, threshold_high,
    threshold_very_high, registered_by)
values ('bench-7d', '1', 'bench-1', 'live', 'bench', 0.3, 0.5, 0.8, 'bench');
create table bench.feature_snapshots (like risk.feature_snapshots including all,
    foreign key (user_id) references core.users, foreign key (feature_set_version) references risk.feature_sets);
create table bench.model_predictions (like risk.model_predictions including all,
    foreign key (user_id) references core.users, foreign key (snapshot_id) references bench.feature_snapshots,
    foreign key (model_name, model_version) references risk.model_versions);
create table bench.xai_explanations (like risk.xai_explanations including all,
    foreign key (prediction_id) references bench.model_predictions);

-- As the announcement of an account makes them: without data and due at once. The service's sweep computes them.
insert into social.user_risk_profiles (user_id, policy_version, next_recompute_at)
select u.user_id, p.version, now() from core.users u cross join social.risk_policies p
where u.kind = 'client' and p.active;
vacuum (analyze);
checkpoint;
