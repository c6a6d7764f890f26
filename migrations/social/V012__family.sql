-- Sharing with family: to whom and how much, and what is to be shared. core.consents decides, at each step anew.
-- Behind it, how contacts are found that were expected and did not come.

grant select (granted_by_request_id, revoked_by_request_id) on core.consents to recoverly_social, recoverly_social_worker;
-- What goes outside the programme is entered in its ledger by whoever lets it out.
grant insert (user_id, consent_id, recipient, what, disclosed_by, notice) on core.disclosures to recoverly_social;
grant select (disclosure_id, user_id, at) on core.disclosures to recoverly_social;

create table social.family_share_consents (
    consent_id bigint not null references core.consents (consent_id) on delete cascade,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    contact_label varchar(100) not null,
    consent_scope varchar(20) not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now(),
    granted_by_request_id varchar(128),
    revoked_by_request_id varchar(128),
    constraint pk_family_share_consents primary key (consent_id),
    constraint ck_family_share_consents_scope check (consent_scope in ('summary_card', 'periodic_updates')),
    constraint ck_family_share_consents_label check (contact_label <> '')
);

comment on table social.family_share_consents is 'What a client''s consent to share with family is about, in detail. The consent itself is in core and decides.';
comment on column social.family_share_consents.consent_id is 'The consent, of purpose family_share.';
comment on column social.family_share_consents.user_id is 'The client.';
comment on column social.family_share_consents.contact_label is 'What the client calls the contact.';
comment on column social.family_share_consents.consent_scope is 'summary_card or periodic_updates.';
comment on column social.family_share_consents.is_active is 'Whether the consent''s end was not heard of yet. Nothing is shared by this, only by the consent itself.';
comment on column social.family_share_consents.created_at is 'When the detail was stored.';
comment on column social.family_share_consents.granted_by_request_id is 'The request that granted the consent, as in the audit.';
comment on column social.family_share_consents.revoked_by_request_id is 'The request that took it back.';

create index idx_family_share_consents_user on social.family_share_consents (user_id, created_at desc, consent_id desc);
create index idx_family_share_consents_active on social.family_share_consents (consent_id) where is_active;

create table social.family_share_cards (
    card_id bigint generated always as identity,
    consent_id bigint not null references social.family_share_consents (consent_id) on delete cascade,
    user_id varchar(255) not null references core.users (user_id) on delete cascade,
    role varchar(255),
    thread_id varchar(255),
    title varchar(200) not null,
    body text not null,
    share_status varchar(10) not null default 'pending',
    shared_with varchar(255),
    disclosure_id bigint,
    metadata jsonb,
    created_at timestamptz not null default now(),
    shared_at timestamptz,
    constraint pk_family_share_cards primary key (card_id),
    constraint ck_family_share_cards_status check (share_status in ('pending', 'shared', 'failed')),
    constraint ck_family_share_cards_body check (octet_length(body) between 1 and 16384),
    -- Nothing is shared that the ledger does not have.
    constraint ck_family_share_cards_shared check ((share_status = 'shared')
        = (shared_with is not null and shared_at is not null and disclosure_id is not null))
);

comment on table social.family_share_cards is 'What a client shares with family. What is shared is entered as a disclosure in the same transaction.';
comment on column social.family_share_cards.card_id is 'Card id.';
comment on column social.family_share_cards.consent_id is 'What it rests on.';
comment on column social.family_share_cards.user_id is 'The client.';
comment on column social.family_share_cards.role is 'The companion''s role that it came from.';
comment on column social.family_share_cards.thread_id is 'The thread it came from.';
comment on column social.family_share_cards.title is 'What the contact reads first.';
comment on column social.family_share_cards.body is 'What the contact reads, 1 to 16,384 bytes.';
comment on column social.family_share_cards.share_status is 'pending, shared or failed; failed where the consent ended before it was shared.';
comment on column social.family_share_cards.shared_with is 'The recipient of the consent that held.';
comment on column social.family_share_cards.disclosure_id is 'The entry in the ledger, which may have had its term before.';
comment on column social.family_share_cards.metadata is 'Additional data of the app.';
comment on column social.family_share_cards.created_at is 'When it was written.';
comment on column social.family_share_cards.shared_at is 'When it was shared, while the consent was held.';

create index idx_family_share_cards_user on social.family_share_cards (user_id, created_at desc, card_id desc);
create index idx_family_share_cards_consent on social.family_share_cards (consent_id);

-- That a consent has ended only the worker hears; a card changes by being shared, and by nothing else.
revoke update, delete on social.family_share_consents from recoverly_social;
revoke update, delete on social.family_share_cards from recoverly_social;
grant update (share_status, shared_with, shared_at, disclosure_id) on social.family_share_cards to recoverly_social;

do $policies$
declare
    place text;
begin
    foreach place in array array['family_share_consents', 'family_share_cards'] loop
        execute format('alter table social.%I enable row level security', place);
        execute format('alter table social.%I force row level security', place);
        execute format('create policy visible on social.%I using (user_id in (select unnest(core.visible_clients())))', place);
        execute format('create policy worker on social.%I to recoverly_worker using (true) with check (true)', place);
        execute format('create policy owner on social.%I to recoverly_owner using (true) with check (true)', place);
    end loop;
end
$policies$;

-- Contacts that were expected are looked for by their time.
create index idx_escalations_next_contact on social.escalations (next_contact_at)
    where status = 'resolved' and next_contact_at is not null;
create index idx_meetings_expected on social.meetings (scheduled_time) where status in ('scheduled', 'confirmed');
