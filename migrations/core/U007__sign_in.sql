-- Undoes V007.
drop table core.sign_in_tickets, core.recovery_codes, core.totp_secrets, core.password_resets, core.sign_in_failures,
    core.refresh_tokens, core.credentials;
drop index core.idx_access_tokens_family;
alter table core.access_tokens drop column family;
