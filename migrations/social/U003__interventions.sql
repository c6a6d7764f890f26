-- Undoes V003.
drop table social.meetings, social.contacts, social.notification_deliveries, social.model_triggers, social.escalations, social.nudges, social.actions;
drop function social.check_escalation_move(), social.clear_erased_escalation();
