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
-- which is where they go on from. Each actor is set in turn, and the row policies decide: a client is seen by the own
-- profile, a page by the escalation that it is about.
create function social.happened_to(actors varchar[], since pg_snapshot, most integer)
returns table (actor varchar, xid xid8, event_id uuid, event_type varchar, data jsonb, in_crisis_only boolean)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    watcher varchar;
begin
    foreach watcher in array actors loop
        perform set_config('recoverly.actor', watcher, true);
        return query
            select watcher, o.xid, o.event_id, o.event_type, o.data, p.user_id = any (array(select core.crisis_clients()))
            from social.outbox o join social.user_risk_profiles p on p.user_id = o.subject
            where o.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(o.xid, since)
              and (o.event_type like 'social.escalation.%' or o.event_type like 'social.nudge.%'
                or o.event_type = 'social.profile.changed')
            order by o.id limit most;
        return query
            select watcher, d.xid, d.delivery_id, 'social.page.sent'::varchar,
                jsonb_build_object('escalation_id', e.escalation_id, 'user_id', e.user_id, 'urgency', e.urgency), false
            from social.notification_deliveries d join social.escalations e on e.escalation_id = d.escalation_id
            where d.xid >= pg_snapshot_xmin(since) and not pg_visible_in_snapshot(d.xid, since) and d.method = 'in_app'
              and watcher = 'staff:' || d.staff_id
            order by d.created_at, d.delivery_id limit most;
    end loop;
    perform set_config('recoverly.actor', '', true);
end $$;
comment on function social.happened_to(varchar[], pg_snapshot, integer) is 'What each of these actors may see of what this snapshot does not, the oldest first.';

grant execute on function social.has_happened(pg_snapshot), social.happened_to(varchar[], pg_snapshot, integer)
    to recoverly_social, recoverly_social_worker;
