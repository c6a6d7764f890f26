-- Undoes V009.
drop table core.api_client_secrets, core.webhook_receipts, core.clerk_accounts;
comment on column core.access_tokens.scopes is 'What it may do beyond the kind of its holder.';
comment on column core.api_clients.scopes is 'What its tokens may do beyond its kind.';
