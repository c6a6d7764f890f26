-- Undoes V023.
drop index core.idx_messages_turns;
