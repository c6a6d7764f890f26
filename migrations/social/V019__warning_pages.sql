-- What does not work as it should is told to those who can see to it, by the ways that pages of escalations go.

alter table social.notification_deliveries
    alter column escalation_id drop not null,
    add column warning_id bigint references social.operational_warnings (warning_id) on delete cascade,
    add constraint uq_notification_deliveries_warning unique (warning_id, round, staff_id, method),
    add constraint ck_notification_deliveries_about check (num_nonnulls(escalation_id, warning_id) = 1);

comment on table social.notification_deliveries is 'Who was told of an escalation or an operational warning, by which way.';
comment on column social.notification_deliveries.escalation_id is 'The episode; null where it is about a warning.';
comment on column social.notification_deliveries.warning_id is 'The operational warning; null where it is about an episode.';
comment on column social.notification_deliveries.relation is 'counselor, oncall, or staff who were told by name, by role or by a colleague: why this person. operations: of a warning.';
comment on column social.notification_deliveries.tier is 'For which tier; 0 of a warning.';
comment on column social.notification_deliveries.round is 'In which round of that tier; of a warning, which telling it is, from 1.';

create index idx_notification_deliveries_warned on social.notification_deliveries (warning_id, staff_id, created_at)
    where warning_id is not null;

-- Roles stand in core, where the job of a service reads none.
create function social.warning_readers() returns setof varchar
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select u.user_id from core.users u
    where u.status = 'active' and exists (
        select from core.staff_roles r where r.user_id = u.user_id and r.role in ('supervisor', 'admin'))
$$;
comment on function social.warning_readers() is 'Active staff who read operational warnings, and are told of them.';

-- Whoever may read them no more is told nothing, although it was for them when it was made.
create function social.warned_since(actors varchar[], since pg_snapshot)
returns table (actor varchar, xid xid8, delivery_id uuid, data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select 'staff:' || d.staff_id, d.xid, d.delivery_id, jsonb_build_object('warning_id', w.warning_id, 'kind', w.kind)
    from social.notification_deliveries d
    join social.operational_warnings w on w.warning_id = d.warning_id
    where d.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(d.xid, since) and d.method = 'in_app'
        and 'staff:' || d.staff_id = any (actors) and d.staff_id in (select social.warning_readers())
    order by d.created_at, d.delivery_id
$$;
comment on function social.warned_since(varchar[], pg_snapshot) is 'The operational warnings of which these actors were told in the app and that this snapshot does not see.';

grant execute on function social.warning_readers() to recoverly_social_worker;
grant execute on function social.warned_since(varchar[], pg_snapshot) to recoverly_social, recoverly_social_worker;
