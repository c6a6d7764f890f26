alter table social.risk_policies drop column settled_at;
