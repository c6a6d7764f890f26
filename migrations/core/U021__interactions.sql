drop table core.voice_events, core.provider_events, core.coaching_notes, core.transcript_chunks, core.interaction_sessions;
drop function core.forget_session_client(), core.take_session_client(), core.give_session_client();
