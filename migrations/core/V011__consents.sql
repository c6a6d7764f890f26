-- What clients consented to, what was disclosed on the strength of it, and what they prefer.

create table core.consents (
    consent_id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    purpose varchar(30) not null,
    recipient varchar(255) not null default 'programme',
    scope varchar(100),
    -- Not now(): a grant may have waited for a revocation, and begins after it.
    granted_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    granted_by_request_id varchar(128),
    revoked_by_request_id varchar(128),
    evidence jsonb,
    constraint pk_consents primary key (consent_id),
    constraint ck_consents_purpose check (purpose in ('biometrics', 'family_share', 'meeting', 'memory', 'research', 'escalation_contact')),
    constraint ck_consents_recipient check (recipient <> ''),
    constraint ck_consents_times check (expires_at > granted_at and revoked_at >= granted_at),
    -- At no time do two consents to the same hold: also not beside one that has run out and that nobody revoked, which
    -- no partial index could tell from one that lasts. Neither id nor purpose has a slash.
    constraint ex_consents_active exclude using gist (
        int8range(hashtextextended(user_id || '/' || purpose || '/' || recipient, 0),
            hashtextextended(user_id || '/' || purpose || '/' || recipient, 0), '[]') with &&,
        tstzrange(granted_at, least(expires_at, revoked_at)) with &&)
);

comment on table core.consents is 'What clients consented to, with its history. This table alone decides; others only add detail.';
comment on column core.consents.consent_id is 'Row id.';
comment on column core.consents.user_id is 'The client.';
comment on column core.consents.purpose is 'biometrics, family_share, meeting, memory, research or escalation_contact.';
comment on column core.consents.recipient is 'Who may receive what; programme where it stays within the programme.';
comment on column core.consents.scope is 'How much of it, in the words of who asked; null for all that the purpose needs.';
comment on column core.consents.granted_at is 'From when on it holds.';
comment on column core.consents.expires_at is 'Until when; null while nobody revokes it.';
comment on column core.consents.revoked_at is 'When the client took it back.';
comment on column core.consents.granted_by_request_id is 'The request that granted it, as in the audit.';
comment on column core.consents.revoked_by_request_id is 'The request that revoked it.';
comment on column core.consents.evidence is 'What shows that the client consented, such as the form that was signed.';

create index idx_consents_subject on core.consents (user_id, purpose, recipient);

-- The history stands for every writer, also for one with a SQL prompt.
create function core.check_consent_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    to_revoke constant text[] := array['revoked_at', 'revoked_by_request_id'];
begin
    if old.revoked_at is null and new.revoked_at is not null and to_jsonb(old) - to_revoke = to_jsonb(new) - to_revoke then
        -- Whatever was said: nobody takes back in the past what was disclosed in between.
        new.revoked_at := clock_timestamp();
        return new;
    end if;
    raise exception 'a consent is only ever revoked, and once'
        using errcode = 'check_violation', constraint = 'ck_consents_history';
end $$;
comment on function core.check_consent_change() is 'Refuses every change of a consent but its revocation, as constraint ck_consents_history.';

create trigger check_change before update on core.consents
    for each row execute function core.check_consent_change();

-- The one question. It sees what the caller sees: in a person's transaction only the consents of visible clients.
-- Without a time it asks for the present, and then no clock decides whether a consent was revoked: a transaction that
-- began before the revocation must not find itself before it.
create function core.has_consent(of_user varchar, for_purpose varchar, to_recipient varchar, as_of timestamptz default null)
returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    return exists (
        select from core.consents c
        where c.user_id = of_user and c.purpose = for_purpose and c.recipient = to_recipient
          and coalesce(c.granted_at <= as_of, true)
          and coalesce(c.revoked_at > as_of, c.revoked_at is null)
          and coalesce(c.expires_at > coalesce(as_of, clock_timestamp()), true));
end $$;
comment on function core.has_consent(varchar, varchar, varchar, timestamptz) is 'Whether the client has consented to the purpose for the recipient, now or as of a time.';

-- Security definer: to hold a row one must be allowed to change it, and only core may revoke. The client comes first, as
-- for an erasure, which goes on to the client's rows: whoever held one of these would wait for it, and it for them.
create function core.hold_consent(of_user varchar, for_purpose varchar, to_recipient varchar) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    held bigint;
begin
    perform from core.users u where u.user_id = of_user for key share;
    select c.consent_id into held
    from core.consents c
    where c.user_id = of_user and c.purpose = for_purpose and c.recipient = to_recipient
      and c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true)
    for share;
    return held;
end $$;
comment on function core.hold_consent(varchar, varchar, varchar) is 'The consent that holds now, kept from being revoked until the transaction ends; null where there is none. What discloses asks this.';

grant execute on function core.has_consent(varchar, varchar, varchar, timestamptz) to
    recoverly_core, recoverly_core_worker, recoverly_social, recoverly_social_worker, recoverly_risk, recoverly_risk_worker,
    recoverly_reco, recoverly_reco_worker, recoverly_causal, recoverly_causal_worker;
grant execute on function core.hold_consent(varchar, varchar, varchar) to
    recoverly_core, recoverly_core_worker, recoverly_social, recoverly_social_worker;

alter table core.consents enable row level security;
alter table core.consents force row level security;
create policy visible on core.consents using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.consents to recoverly_worker using (true) with check (true);
create policy owner on core.consents to recoverly_owner using (true) with check (true);

-- A consent goes with its person and not before, and begins when it is stored: no service names its times.
revoke insert, update, delete on core.consents from recoverly_core, recoverly_core_worker;
grant insert (user_id, purpose, recipient, scope, expires_at, granted_by_request_id, evidence) on core.consents
    to recoverly_core, recoverly_core_worker;
grant update (revoked_at, revoked_by_request_id) on core.consents to recoverly_core, recoverly_core_worker;
-- Without the evidence, which only core needs.
grant select (consent_id, user_id, purpose, recipient, scope, granted_at, expires_at, revoked_at) on core.consents to
    recoverly_social, recoverly_social_worker, recoverly_risk, recoverly_risk_worker, recoverly_reco, recoverly_reco_worker,
    recoverly_causal, recoverly_causal_worker;

create table core.disclosures (
    disclosure_id bigint generated always as identity,
    user_id varchar(255) references core.users (user_id) on delete set null,
    consent_id bigint references core.consents (consent_id) on delete set null,
    recipient varchar(255),
    what varchar(2000),
    at timestamptz not null,
    disclosed_by varchar(255) references core.users (user_id) on delete set null,
    notice text not null,
    constraint pk_disclosures primary key (disclosure_id),
    constraint ck_disclosures_outside check (recipient <> 'programme'),
    constraint ck_disclosures_whole check (user_id is null or recipient is not null and what is not null)
);

comment on table core.disclosures is 'What was disclosed outside the programme (42 CFR Part 2); kept three years, also without its person.';
comment on column core.disclosures.disclosure_id is 'Row id.';
comment on column core.disclosures.user_id is 'The client; null once erased.';
comment on column core.disclosures.consent_id is 'The consent that it rests on; null once erased.';
comment on column core.disclosures.recipient is 'Who received it; null once the client is erased.';
comment on column core.disclosures.what is 'What was disclosed, described; null once the client is erased.';
comment on column core.disclosures.at is 'When, while the consent was held.';
comment on column core.disclosures.disclosed_by is 'The staff user who disclosed it.';
comment on column core.disclosures.notice is 'The notice of redisclosure that went with it.';

create index idx_disclosures_at on core.disclosures (at desc, disclosure_id desc);
create index idx_disclosures_person on core.disclosures (user_id, at desc, disclosure_id desc) where user_id is not null;
create index idx_disclosures_consent on core.disclosures (consent_id) where consent_id is not null;
create index idx_disclosures_by on core.disclosures (disclosed_by) where disclosed_by is not null;

-- No disclosure without a consent, whoever writes it: the consent holds, and is held until the row is committed.
create function core.check_disclosure() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    its_purpose varchar;
begin
    select c.purpose into its_purpose from core.consents c where c.consent_id = new.consent_id;
    if core.hold_consent(new.user_id, its_purpose, new.recipient) = new.consent_id then
        new.at := coalesce(new.at, clock_timestamp());
        return new;
    end if;
    raise exception 'no consent covers the disclosure'
        using errcode = 'check_violation', constraint = 'ck_disclosures_consent';
end $$;
comment on function core.check_disclosure() is 'Refuses a disclosure that no consent covers, as constraint ck_disclosures_consent.';

create trigger check_consent before insert on core.disclosures
    for each row execute function core.check_disclosure();

-- The ledger is written once. All that goes is whom it names, when they are erased, and rows whose term is over.
create function core.check_disclosure_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'DELETE' and old.at < now() - interval '3 years' then
        return old;
    elsif tg_op = 'UPDATE' and (new.disclosure_id, new.at, new.notice) = (old.disclosure_id, old.at, old.notice)
        and (new.user_id is null or (new.user_id, new.recipient, new.what) = (old.user_id, old.recipient, old.what))
        and (new.consent_id is not distinct from old.consent_id or new.consent_id is null
            and not exists (select from core.consents c where c.consent_id = old.consent_id))
        and (new.disclosed_by is not distinct from old.disclosed_by or new.disclosed_by is null
            and (old.disclosed_by = current_setting('recoverly.erasing', true)
                or not exists (select from core.users u where u.user_id = old.disclosed_by))) then
        if new.user_id is null then
            new.recipient := null;
            new.what := null;
        end if;
        return new;
    end if;
    raise exception 'a disclosure stays as it was entered'
        using errcode = 'check_violation', constraint = 'ck_disclosures_ledger';
end $$;
comment on function core.check_disclosure_change() is 'Refuses changes of the ledger but erasure and the end of a term, as constraint ck_disclosures_ledger.';

create trigger check_change before update or delete on core.disclosures
    for each row execute function core.check_disclosure_change();

alter table core.disclosures enable row level security;
alter table core.disclosures force row level security;
create policy visible on core.disclosures using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.disclosures to recoverly_worker using (true) with check (true);
create policy owner on core.disclosures to recoverly_owner using (true) with check (true);

-- No service says when it was; the worker deletes what has had its term.
revoke insert, update, delete on core.disclosures from recoverly_core;
revoke insert, update on core.disclosures from recoverly_core_worker;
grant insert (user_id, consent_id, recipient, what, disclosed_by, notice) on core.disclosures
    to recoverly_core, recoverly_core_worker;

create table core.user_preferences (
    id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    custom_hours jsonb,
    theme varchar(50),
    communication_preferences jsonb not null default '{}',
    onboarding_completed boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pk_user_preferences primary key (id),
    constraint uq_user_preferences_user unique (user_id)
);

comment on table core.user_preferences is 'How a client wants the app to be; one row a client at most.';
comment on column core.user_preferences.id is 'Row id.';
comment on column core.user_preferences.user_id is 'The client.';
comment on column core.user_preferences.custom_hours is 'The hours in which to be reached: start and end in local time, and on which weekdays; null for no preference.';
comment on column core.user_preferences.theme is 'Look of the app, in its own words.';
comment on column core.user_preferences.communication_preferences is 'Channels that the client chose or declined: in_app, email, push, sms.';
comment on column core.user_preferences.onboarding_completed is 'Whether the client has been through the introduction.';
comment on column core.user_preferences.created_at is 'When they were first stated.';
comment on column core.user_preferences.updated_at is 'When they were last stated.';

create table core.user_profiles (
    id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    profile_key varchar(255) not null,
    profile_value text not null,
    is_sensitive boolean not null default false,
    source varchar(100),
    metadata jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint pk_user_profiles primary key (id),
    constraint uq_user_profiles_user_key unique (user_id, profile_key),
    constraint ck_user_profiles_key check (profile_key ~ '^[A-Za-z0-9_-]{1,255}$'),
    constraint ck_user_profiles_value check (octet_length(profile_value) between 1 and 8192)
);

comment on table core.user_profiles is 'What is durably known of a client, one row a key.';
comment on column core.user_profiles.id is 'Row id.';
comment on column core.user_profiles.user_id is 'The client.';
comment on column core.user_profiles.profile_key is 'What it is about.';
comment on column core.user_profiles.profile_value is 'What is known, 1 to 8,192 bytes.';
comment on column core.user_profiles.is_sensitive is 'Whether it is for the client and the app only; staff do not see that it is there.';
comment on column core.user_profiles.source is 'Where it comes from.';
comment on column core.user_profiles.metadata is 'Additional data.';
comment on column core.user_profiles.created_at is 'When the key was first written.';
comment on column core.user_profiles.updated_at is 'When it was last written.';

create table core.stated_preferences (
    id bigint generated always as identity,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    kind varchar(20) not null,
    category varchar(100) not null,
    value varchar(500) not null,
    weight double precision not null default 1,
    role varchar(255),
    source_session_id varchar(255),
    created_at timestamptz not null default now(),
    constraint pk_stated_preferences primary key (id),
    -- The same thing is liked or disliked, in one role, and not both.
    constraint uq_stated_preferences_thing unique nulls not distinct (user_id, category, value, role),
    constraint ck_stated_preferences_kind check (kind in ('like', 'dislike')),
    constraint ck_stated_preferences_weight check (weight >= 0 and weight <= 1),
    constraint ck_stated_preferences_role check (role ~ '^[A-Za-z0-9_-]{1,255}$')
);

comment on table core.stated_preferences is 'What clients said they like and dislike.';
comment on column core.stated_preferences.id is 'Row id.';
comment on column core.stated_preferences.user_id is 'The client.';
comment on column core.stated_preferences.kind is 'like or dislike.';
comment on column core.stated_preferences.category is 'What sort of thing.';
comment on column core.stated_preferences.value is 'The thing.';
comment on column core.stated_preferences.weight is 'How much it counts, 0 to 1.';
comment on column core.stated_preferences.role is 'The role of the companion it was said to; null for all.';
comment on column core.stated_preferences.source_session_id is 'The session in which it was said.';
comment on column core.stated_preferences.created_at is 'When it was stored.';

create index idx_stated_preferences_person on core.stated_preferences (user_id, id desc);

alter table core.user_preferences enable row level security;
alter table core.user_preferences force row level security;
create policy visible on core.user_preferences using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.user_preferences to recoverly_worker using (true) with check (true);
create policy owner on core.user_preferences to recoverly_owner using (true) with check (true);

alter table core.user_profiles enable row level security;
alter table core.user_profiles force row level security;
create policy visible on core.user_profiles using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.user_profiles to recoverly_worker using (true) with check (true);
create policy owner on core.user_profiles to recoverly_owner using (true) with check (true);

alter table core.stated_preferences enable row level security;
alter table core.stated_preferences force row level security;
create policy visible on core.stated_preferences using (user_id in (select unnest(core.visible_clients())));
create policy worker on core.stated_preferences to recoverly_worker using (true) with check (true);
create policy owner on core.stated_preferences to recoverly_owner using (true) with check (true);

grant select on core.user_preferences to recoverly_social, recoverly_social_worker;
