-- As V012 made it.
create or replace function core.export_user(exported varchar) returns table (table_name text, row_data jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.table_name,
        case when e.table_name = 'messages' and e.row_data ->> 'recipient_id' <> exported
            then e.row_data || '{"recipient_id": null}' else e.row_data end
    from core.export_from('core', exported) e
$$;
comment on function core.export_user(varchar) is 'What core holds of an account.';
drop table core.voice_events, core.provider_events, core.coaching_notes, core.transcript_chunks, core.interaction_sessions;
drop function core.forget_session_client(), core.take_session_client(), core.give_session_client();
