-- Undoes V003.
drop table core.message_scoring, core.scoring_models, core.messages;
