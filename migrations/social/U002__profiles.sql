-- Undoes V002.
drop table social.risk_label_changes, social.user_risk_profiles, social.message_predictions, social.risk_policies;
