-- What a stream shows of what has happened, and to whom.
--
-- A place in it is a snapshot of Postgres: which transactions somebody has seen. Ids and times are no such place, since what
-- was begun earlier may be committed later; and waiting until nothing older is open would let one forgotten session hold up
-- every page. Events are those of the outbox, so that the stream tells what the broker is told, and after a restart too.

-- Predictions, which are most of what happens, have no entry.
create index idx_outbox_stream on social.outbox (xid)
    where event_type like 'social.escalation.%' or event_type like 'social.nudge.%' or event_type = 'social.profile.changed';

-- Pages in the app are no event of their own: who is told is nobody else's to know. Those from before have none.
alter table social.notification_deliveries add column xid xid8;
alter table social.notification_deliveries alter column xid set default pg_current_xact_id();
comment on column social.notification_deliveries.xid is 'The writing transaction: what a stream has not seen yet.';
create index idx_notification_deliveries_stream on social.notification_deliveries (xid) where method = 'in_app';

-- As the owner: behind the row policy everybody's escalations would be read for every page.
create function social.pages_since(since pg_snapshot)
returns table (xid xid8, delivery_id uuid, staff_id varchar, escalation_id bigint, user_id varchar, urgency varchar)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select d.xid, d.delivery_id, d.staff_id, d.escalation_id, e.user_id, e.urgency
    from social.notification_deliveries d
    -- A join would read all escalations: Postgres does not know how few pages are new.
    cross join lateral (
        select o.user_id, o.urgency from social.escalations o where o.escalation_id = d.escalation_id offset 0) as e
    where d.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(d.xid, since) and d.method = 'in_app'
    order by d.created_at, d.delivery_id
$$;
comment on function social.pages_since(pg_snapshot) is 'The pages in the app that this snapshot does not see, and about whom they are.';

create function social.has_happened(since pg_snapshot) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return exists (
            select from social.outbox o
            where o.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(o.xid, since)
              and (o.event_type like 'social.escalation.%' or o.event_type like 'social.nudge.%'
                or o.event_type = 'social.profile.changed'))
        or exists (
            select from social.notification_deliveries d
            where d.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(d.xid, since) and d.method = 'in_app');
end $$;
comment on function social.has_happened(pg_snapshot) is 'Whether there is anything that a stream may show and that this snapshot does not see.';

-- Asked for all who watch in one statement. Stable, so that everybody's rows are of the snapshot of the statement that asks,
-- which is where they go on from. Each actor is set in turn, and the row policy on profiles decides whom they see, the same as
-- on escalations and nudges. Whoever sees none of these clients is done after that.
create function social.happened_to(actors varchar[], since pg_snapshot, most integer)
returns table (actor varchar, xid xid8, event_id uuid, event_type varchar, data jsonb, in_crisis_only boolean)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    clients varchar[] := array(
        select distinct o.subject from social.outbox o
        where o.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(o.xid, since)
          and (o.event_type like 'social.escalation.%' or o.event_type like 'social.nudge.%'
            or o.event_type = 'social.profile.changed'));
    told varchar[];
    paged varchar[];
    seen varchar[];
    crises varchar[];
    watcher varchar;
    own varchar;
begin
    select array_agg(distinct g.staff_id), array_agg(distinct g.user_id) into told, paged
    from social.pages_since(since) g;
    clients := clients || paged;
    foreach watcher in array actors loop
        perform set_config('recoverly.actor', watcher, true);
        seen := array(select p.user_id from social.user_risk_profiles p where p.user_id = any (clients));
        continue when seen = '{}';
        crises := array(select core.crisis_clients());
        return query
            select watcher, o.xid, o.event_id, o.event_type, o.data, o.subject = any (crises)
            from social.outbox o
            where o.subject = any (seen) and o.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(o.xid, since)
              and (o.event_type like 'social.escalation.%' or o.event_type like 'social.nudge.%'
                or o.event_type = 'social.profile.changed')
            order by o.id limit most;
        own := substr(watcher, length('staff:') + 1);
        if watcher = 'staff:' || own and own = any (told) then
            return query
                select watcher, g.xid, g.delivery_id, 'social.page.sent'::varchar,
                    jsonb_build_object('escalation_id', g.escalation_id, 'user_id', g.user_id, 'urgency', g.urgency), false
                from social.pages_since(since) g
                where g.staff_id = own and g.user_id = any (seen)
                limit most;
        end if;
    end loop;
    perform set_config('recoverly.actor', '', true);
end $$;
comment on function social.happened_to(varchar[], pg_snapshot, integer) is 'What each of these actors may see of what this snapshot does not, the oldest first.';

grant execute on function social.pages_since(pg_snapshot), social.has_happened(pg_snapshot),
    social.happened_to(varchar[], pg_snapshot, integer)
    to recoverly_social, recoverly_social_worker;
