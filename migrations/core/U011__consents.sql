-- Undoes V011.
drop table core.stated_preferences, core.user_profiles, core.user_preferences, core.disclosures, core.consents;
drop function core.check_disclosure_change(), core.check_disclosure(), core.check_consent_change(),
    core.has_consent(varchar, varchar, varchar, timestamptz), core.hold_consent(varchar, varchar, varchar);
