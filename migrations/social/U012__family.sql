drop index social.idx_meetings_expected, social.idx_escalations_next_contact;
drop table social.family_share_cards;
drop table social.family_share_consents;
revoke select (disclosure_id, user_id, at) on core.disclosures from recoverly_social;
revoke insert (user_id, consent_id, recipient, what, disclosed_by, notice) on core.disclosures from recoverly_social;
revoke select (granted_by_request_id, revoked_by_request_id) on core.consents from recoverly_social, recoverly_social_worker;
