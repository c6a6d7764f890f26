-- Undoes V018.
delete from social.operational_warnings where kind = 'coverage_gap';
alter table social.operational_warnings
    drop constraint ck_operational_warnings_kind,
    add constraint ck_operational_warnings_kind check (kind in ('pipeline_silent', 'staff_unreachable', 'outbox_lag', 'delivery_lag', 'drill_failed'));
comment on column social.operational_warnings.kind is 'pipeline_silent, staff_unreachable, outbox_lag, delivery_lag or drill_failed.';
comment on column social.operational_warnings.measure is 'How bad it was when it was last seen: minutes that something waits, or people of whom it is so.';
drop function social.some_lack_a_counselor();
alter table social.escalation_policies drop column forecast_at;
drop table social.coverage_gaps;
