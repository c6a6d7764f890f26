drop table social.crisis_resources;
drop table social.screener_answers;
drop table social.safety_events;
