-- Programs that call, and accounts that another system keeps.

comment on column core.api_clients.scopes is 'What its tokens are limited to; empty: all that its kind may.';
comment on column core.access_tokens.scopes is 'What it is limited to; empty: all that its holder may.';

-- Whether a secret has run out changes without a write, so that no index can count those that work. Two places a
-- program can: what is not revoked holds one of them, and a new secret takes the free one.
create table core.api_client_secrets (
    secret_id bigint generated always as identity,
    client_id varchar(255) not null references core.api_clients (client_id) on delete cascade,
    place smallint not null,
    secret_hash bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    last_used_at timestamptz,
    revoked_at timestamptz,
    constraint pk_api_client_secrets primary key (secret_id),
    constraint ck_api_client_secrets_place check (place in (1, 2)),
    constraint ck_api_client_secrets_hash check (octet_length(secret_hash) = 32),
    constraint ck_api_client_secrets_life check (expires_at <= created_at + interval '90 days')
);

comment on table core.api_client_secrets is 'Secrets of programs, stored as hashes only; at most two of a program are not revoked.';
comment on column core.api_client_secrets.secret_id is 'Row id.';
comment on column core.api_client_secrets.client_id is 'The program.';
comment on column core.api_client_secrets.place is '1 or 2: which of the program''s two secrets it is.';
comment on column core.api_client_secrets.secret_hash is 'SHA-256 of the secret.';
comment on column core.api_client_secrets.created_at is 'When it was made.';
comment on column core.api_client_secrets.expires_at is 'From when on it is refused; 90 days after it was made at the latest.';
comment on column core.api_client_secrets.last_used_at is 'When it last got a token, to the minute.';
comment on column core.api_client_secrets.revoked_at is 'When it was revoked.';

create unique index uq_api_client_secrets_live on core.api_client_secrets (client_id, place) where revoked_at is null;

-- Accounts at Clerk: what was received, and the newest that was said of each.
create table core.webhook_receipts (
    webhook_id varchar(255),
    received_at timestamptz not null default now(),
    constraint pk_webhook_receipts primary key (webhook_id)
);

comment on table core.webhook_receipts is 'Webhooks that were applied: one that is sent again changes nothing. Kept for 30 days.';
comment on column core.webhook_receipts.webhook_id is 'The sender''s id of the message, the same at every try.';
comment on column core.webhook_receipts.received_at is 'When it was applied.';

create index idx_webhook_receipts_received on core.webhook_receipts (received_at);

-- By hash, so that nothing of a person is left here when the account is erased and a late message must still find that
-- it was.
create table core.clerk_accounts (
    account_hash bytea not null,
    said_at timestamptz not null,
    webhook_id varchar(255) not null,
    deleted_at timestamptz,
    constraint pk_clerk_accounts primary key (account_hash),
    constraint ck_clerk_accounts_hash check (octet_length(account_hash) = 32)
);

comment on table core.clerk_accounts is 'The newest that Clerk said of each account, so that messages may come in any order.';
comment on column core.clerk_accounts.account_hash is 'SHA-256 of Clerk''s id of the account.';
comment on column core.clerk_accounts.said_at is 'When Clerk last changed the account, of what was applied.';
comment on column core.clerk_accounts.webhook_id is 'The message that said so; it decides between two of the same time.';
comment on column core.clerk_accounts.deleted_at is 'When its deletion was applied; nothing is applied after it.';

-- Nobody's request of a person sees any of it.
alter table core.api_client_secrets enable row level security;
alter table core.api_client_secrets force row level security;
create policy worker on core.api_client_secrets to recoverly_worker using (true) with check (true);
create policy owner on core.api_client_secrets to recoverly_owner using (true) with check (true);
alter table core.webhook_receipts enable row level security;
alter table core.webhook_receipts force row level security;
create policy worker on core.webhook_receipts to recoverly_worker using (true) with check (true);
create policy owner on core.webhook_receipts to recoverly_owner using (true) with check (true);
alter table core.clerk_accounts enable row level security;
alter table core.clerk_accounts force row level security;
create policy worker on core.clerk_accounts to recoverly_worker using (true) with check (true);
create policy owner on core.clerk_accounts to recoverly_owner using (true) with check (true);
