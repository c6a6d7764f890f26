-- What goes first when its term is over. Predictions, actions and nudges are found by their ids, which costs no write.
create index idx_notification_deliveries_created on social.notification_deliveries (created_at);
create index idx_escalations_resolved on social.escalations (resolved_at) where resolved_at is not null;
