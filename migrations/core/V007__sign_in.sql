-- Signing in: passwords, refresh tokens, and how often somebody has failed.

create table core.credentials (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    password_hash varchar(255) not null,
    updated_at timestamptz not null default now(),
    constraint pk_credentials primary key (user_id)
);

comment on table core.credentials is 'Passwords of clients and staff, as hashes only.';
comment on column core.credentials.user_id is 'The person.';
comment on column core.credentials.password_hash is 'Argon2id as a PHC string; a bcrypt hash of an older system is made one at the next sign-in.';
comment on column core.credentials.updated_at is 'When the hash was written.';

create table core.refresh_tokens (
    token_hash bytea not null,
    family uuid not null,
    parent bytea references core.refresh_tokens (token_hash) on delete set null,
    subject varchar(255) not null references core.users (user_id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    revoked_at timestamptz,
    constraint pk_refresh_tokens primary key (token_hash),
    -- A token has one successor, whoever asks at once.
    constraint uq_refresh_tokens_parent unique (parent),
    constraint ck_refresh_tokens_hash check (octet_length(token_hash) = 32)
);

comment on table core.refresh_tokens is 'Tokens that are exchanged, once each, for new ones; stored as hashes only.';
comment on column core.refresh_tokens.token_hash is 'SHA-256 of the token.';
comment on column core.refresh_tokens.family is 'The sign-in it descends from; the access tokens of that sign-in carry it too.';
comment on column core.refresh_tokens.parent is 'The token it was given for; null for the first, or once that one is forgotten.';
comment on column core.refresh_tokens.subject is 'The person it was given to.';
comment on column core.refresh_tokens.created_at is 'When it was made.';
comment on column core.refresh_tokens.expires_at is 'From when on it is refused.';
comment on column core.refresh_tokens.used_at is 'When it was exchanged; shown once more, it ends its family.';
comment on column core.refresh_tokens.revoked_at is 'When its family was ended.';

create index idx_refresh_tokens_family on core.refresh_tokens (family);
create index idx_refresh_tokens_subject on core.refresh_tokens (subject);
create index idx_refresh_tokens_expires on core.refresh_tokens (expires_at);

alter table core.access_tokens add column family uuid;
comment on column core.access_tokens.family is 'The sign-in it belongs to and ends with; null for tokens that an operator or a program asked for.';
create index idx_access_tokens_family on core.access_tokens (family) where family is not null;

-- Not columns of core.credentials: an account that is not there must be counted like one that is.
create table core.sign_in_failures (
    subject_hash bytea not null,
    user_id varchar(255) references core.users (user_id) on delete cascade,
    is_of_names boolean not null default false,
    failed_attempts integer not null default 0,
    blocked_until timestamptz,
    under_way timestamptz[] not null default '{}',
    updated_at timestamptz not null default now(),
    constraint pk_sign_in_failures primary key (subject_hash),
    constraint ck_sign_in_failures_hash check (octet_length(subject_hash) = 32),
    constraint ck_sign_in_failures_count check (failed_attempts >= 0)
);

comment on table core.sign_in_failures is 'Failed attempts by account and by address, and names that clients ask for; a row is forgotten after a day without one.';
comment on column core.sign_in_failures.subject_hash is 'HMAC of the account, of the name that is none, or of the address.';
comment on column core.sign_in_failures.user_id is 'The account, where it is one; null for addresses and unknown names.';
comment on column core.sign_in_failures.is_of_names is 'Whether it counts names that a client asked for: a new password does not end it.';
comment on column core.sign_in_failures.failed_attempts is 'Attempts that failed, or names that were asked for.';
comment on column core.sign_in_failures.blocked_until is 'Until when every attempt is refused unread.';
comment on column core.sign_in_failures.under_way is 'Attempts that are being made: from when on each of them is a failure. No more are let than may fail.';
comment on column core.sign_in_failures.updated_at is 'When the last attempt failed, or the first began; of names, the first.';

create index idx_sign_in_failures_user on core.sign_in_failures (user_id) where user_id is not null;
create index idx_sign_in_failures_updated on core.sign_in_failures (updated_at);

create table core.password_resets (
    token_hash bytea not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint pk_password_resets primary key (token_hash),
    constraint ck_password_resets_hash check (octet_length(token_hash) = 32)
);

comment on table core.password_resets is 'Tokens that were mailed to set a new password; stored as hashes only.';
comment on column core.password_resets.token_hash is 'SHA-256 of the token.';
comment on column core.password_resets.user_id is 'Whose password it sets.';
comment on column core.password_resets.created_at is 'When it was made.';
comment on column core.password_resets.expires_at is 'From when on it is refused.';
comment on column core.password_resets.used_at is 'When it, or another one of the person, was used.';

create index idx_password_resets_user on core.password_resets (user_id, created_at);
create index idx_password_resets_expires on core.password_resets (expires_at);

create table core.totp_secrets (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    secret_sealed bytea not null,
    created_at timestamptz not null default now(),
    confirmed_at timestamptz,
    last_step bigint not null default 0,
    constraint pk_totp_secrets primary key (user_id)
);

comment on table core.totp_secrets is 'What the authenticator apps of staff count with, sealed by a key outside the database.';
comment on column core.totp_secrets.user_id is 'The member of staff.';
comment on column core.totp_secrets.secret_sealed is 'The shared secret, by AES-256-GCM for this person: nonce, then what it sealed.';
comment on column core.totp_secrets.created_at is 'When it was made.';
comment on column core.totp_secrets.confirmed_at is 'When a code showed that the app has it; until then, signing in asks for none.';
comment on column core.totp_secrets.last_step is 'The time step of the last code that was taken; none up to it is taken again.';

create table core.recovery_codes (
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    code_hash bytea not null,
    created_at timestamptz not null default now(),
    used_at timestamptz,
    constraint pk_recovery_codes primary key (user_id, code_hash),
    constraint ck_recovery_codes_hash check (octet_length(code_hash) = 32)
);

comment on table core.recovery_codes is 'Codes for who has lost the authenticator app; stored as hashes only.';
comment on column core.recovery_codes.user_id is 'Whose code it is.';
comment on column core.recovery_codes.code_hash is 'SHA-256 of the code.';
comment on column core.recovery_codes.created_at is 'When it was made.';
comment on column core.recovery_codes.used_at is 'When it was used; it works once.';

create table core.sign_in_tickets (
    token_hash bytea not null,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    constraint pk_sign_in_tickets primary key (token_hash),
    constraint ck_sign_in_tickets_hash check (octet_length(token_hash) = 32)
);

comment on table core.sign_in_tickets is 'Staff who have shown their password and still owe a code; stored as hashes only.';
comment on column core.sign_in_tickets.token_hash is 'SHA-256 of the ticket.';
comment on column core.sign_in_tickets.user_id is 'Who has shown it.';
comment on column core.sign_in_tickets.created_at is 'When.';
comment on column core.sign_in_tickets.expires_at is 'From when on it is refused.';
comment on column core.sign_in_tickets.used_at is 'When it was exchanged for tokens; it works once.';

create index idx_sign_in_tickets_user on core.sign_in_tickets (user_id);
create index idx_sign_in_tickets_expires on core.sign_in_tickets (expires_at);

-- Nobody sees these rows as an actor, not even the person: only the service itself, as its worker.
alter table core.credentials enable row level security;
alter table core.credentials force row level security;
create policy worker on core.credentials to recoverly_worker using (true) with check (true);
create policy owner on core.credentials to recoverly_owner using (true) with check (true);
alter table core.refresh_tokens enable row level security;
alter table core.refresh_tokens force row level security;
create policy worker on core.refresh_tokens to recoverly_worker using (true) with check (true);
create policy owner on core.refresh_tokens to recoverly_owner using (true) with check (true);
alter table core.sign_in_failures enable row level security;
alter table core.sign_in_failures force row level security;
create policy worker on core.sign_in_failures to recoverly_worker using (true) with check (true);
create policy owner on core.sign_in_failures to recoverly_owner using (true) with check (true);
alter table core.password_resets enable row level security;
alter table core.password_resets force row level security;
create policy worker on core.password_resets to recoverly_worker using (true) with check (true);
create policy owner on core.password_resets to recoverly_owner using (true) with check (true);
alter table core.totp_secrets enable row level security;
alter table core.totp_secrets force row level security;
create policy worker on core.totp_secrets to recoverly_worker using (true) with check (true);
create policy owner on core.totp_secrets to recoverly_owner using (true) with check (true);
alter table core.recovery_codes enable row level security;
alter table core.recovery_codes force row level security;
create policy worker on core.recovery_codes to recoverly_worker using (true) with check (true);
create policy owner on core.recovery_codes to recoverly_owner using (true) with check (true);
alter table core.sign_in_tickets enable row level security;
alter table core.sign_in_tickets force row level security;
create policy worker on core.sign_in_tickets to recoverly_worker using (true) with check (true);
create policy owner on core.sign_in_tickets to recoverly_owner using (true) with check (true);
