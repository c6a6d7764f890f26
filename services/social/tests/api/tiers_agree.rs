//! What goes on to the next tier and what tells people ask two functions whom a tier tells. They are one in meaning.

use crate::harness::{Harness, noon};

/// Forty policies of random steps, two schedules, staff of whom one was suspended and some have contact methods, and open
/// episodes at random tiers, of clients with and without a counselor. The same for the same seed.
const RANDOM: &str = "
    insert into core.staff_roles (user_id, role) values ('staff-counselor', 'oncall'), ('staff-supervisor', 'oncall');
    update core.users set status = 'suspended' where user_id = 'staff-counselor_other';
    insert into social.oncall_schedules (name, timezone) values ('one', 'UTC'), ('two', 'UTC'), ('empty', 'UTC');
    insert into social.oncall_shifts (schedule_id, staff_id, starts_at, ends_at, source)
    select s.schedule_id, s.staff_id, '2026-06-15T00:00:00Z', '2026-06-16T00:00:00Z', 'manual'
    from (values (1, 'staff-oncall'), (1, 'staff-counselor'), (2, 'staff-supervisor')) as s (schedule_id, staff_id);
    insert into social.oncall_overrides (schedule_id, staff_id, replaces_staff_id, starts_at, ends_at)
    values (1, 'staff-supervisor', 'staff-oncall', '2026-06-15T11:00:00Z', '2026-06-15T13:00:00Z');
    insert into social.contact_methods (staff_id, method, position, address, verified_at) values
        ('staff-oncall', 'email', 1, 'one@mail.example', now()), ('staff-counselor', 'email', 1, 'two@mail.example', null);
    select setseed(0.5);
    create temp table thrown as
        select p as policy, t as tier, o as position, random() as whether, random() as what, random() as whom, random() as way
        from generate_series(1, 40) p, generate_series(1, 4) t, generate_series(1, 3) o;
    insert into social.escalation_policies (name, last_resort)
    select 'random ' || p, case when p % 2 = 0 then 'oncall' else 'supervisor' end from generate_series(1, 40) p order by p;
    insert into social.escalation_policy_steps (policy_id, tier, position, target, staff_id, schedule_id, method)
    select p.policy_id, s.tier, s.position, s.target,
        case when s.target = 'staff' then (array['staff-counselor', 'staff-counselor_other', 'staff-oncall', 'staff-supervisor',
            'staff-admin'])[1 + floor(s.whom * 5)::int] end,
        case when s.target = 'schedule' then nullif(floor(s.whom * 4)::int, 0) end,
        (array['in_app', 'email', null])[1 + floor(s.way * 3)::int]
    from (select t.*, (array['staff', 'schedule', 'counselors'])[1 + floor(t.what * 3)::int] as target from thrown t) as s
    join social.escalation_policies p on p.name = 'random ' || s.policy
    where s.whether < 0.6;
    insert into social.escalations (user_id, escalation_type, urgency, risk_level, status, policy_id, tier)
    select u.user_id, y.type, 'high', 'HIGH_RISK', 'pending', p.policy_id, 1 + (row_number() over (order by u.user_id, y.type)) % 6
    from core.users u
    cross join (values (1, 'profile_risk'), (2, 'model_risk'), (3, 'safety'), (4, 'manual'), (5, 'silence')) as y (place, type)
    join social.escalation_policies p on p.name = 'random ' || (1 + (right(u.user_id, 2)::int * 5 + y.place) % 40)
    where u.user_id like 'client-0%' or u.user_id like 'client-1%'";

/// Of each episode, whom its tiers up to the present one tell, by one function and by the other; and how many rows each has.
const COMPARED: &str = "
    with one as (
        select distinct on (e.escalation_id, p.staff_id, p.method) e.escalation_id, t.tier, p.staff_id, p.relation, p.method
        from social.escalations e
        cross join lateral generate_series(1, e.tier) as t (tier)
        cross join lateral social.people_of(e.policy_id, t.tier, e.user_id, $1) as p
        order by e.escalation_id, p.staff_id, p.method, t.tier desc, p.relation),
    other as (select u.escalation_id, u.tier, u.staff_id, u.relation, u.method from social.untold(null, $1) u)
    select (select count(*) from (table one except table other) as d) as missed,
        (select count(*) from (table other except table one) as d) as added,
        (select count(*) from one) as people, (select count(distinct relation) from one) as relations,
        (select count(*) from one where method = 'email') as mailed";

#[tokio::test]
async fn whom_a_tier_tells_is_the_same_to_what_goes_on_and_to_what_tells() {
    let mut h = Harness::new().await;
    for n in 1..=16 {
        let staff: &[&str] = if n % 2 == 0 {
            &["counselor", "supervisor"]
        } else {
            &[]
        };
        h.client(&format!("client-{n:02}"), staff).await;
    }
    h.database.superuser().await.run(RANDOM).await;
    let tx = h.database.pools("social").begin_worker().await.unwrap();
    let row = tx.query_one(COMPARED, &[&noon()]).await.unwrap();
    let count = |name: &str| row.get::<_, i64>(name);
    assert_eq!((count("missed"), count("added")), (0, 0));
    // It is something that was compared.
    assert!(count("people") > 200, "{}", count("people"));
    assert_eq!(count("relations"), 3);
    assert!(count("mailed") > 10, "{}", count("mailed"));
}
