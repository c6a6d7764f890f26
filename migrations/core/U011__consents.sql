-- Undoes V011.
drop table core.consents;
drop function core.check_consent_change(), core.has_consent(varchar, varchar, varchar, timestamptz),
    core.hold_consent(varchar, varchar, varchar);
