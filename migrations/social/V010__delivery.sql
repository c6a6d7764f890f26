-- How staff are reached outside the app, and what sending a page needs to know.

create table social.contact_methods (
    contact_method_id bigint generated always as identity,
    staff_id varchar(255) not null references core.users (user_id) on delete cascade,
    method varchar(20) not null,
    position integer not null,
    address varchar(2048) not null,
    secret_sealed bytea,
    created_at timestamptz not null default now(),
    verified_at timestamptz,
    code_hash bytea,
    code_expires_at timestamptz,
    code_tries integer not null default 0,
    code_sends integer not null default 0,
    code_due_at timestamptz,
    code_error text,
    constraint pk_contact_methods primary key (contact_method_id),
    constraint uq_contact_methods_method unique (staff_id, method),
    constraint ck_contact_methods_method check (method in ('email', 'webhook')),
    constraint ck_contact_methods_position check (position between 1 and 9),
    constraint ck_contact_methods_secret check (method <> 'webhook' or secret_sealed is not null)
);

comment on table social.contact_methods is 'How a staff user is reached outside the app; in the app everybody is. Pages go to verified ones only.';
comment on column social.contact_methods.contact_method_id is 'Contact method id.';
comment on column social.contact_methods.staff_id is 'Who is reached by it.';
comment on column social.contact_methods.method is 'email or webhook; a person has one of each.';
comment on column social.contact_methods.position is 'The lower, the earlier it is used.';
comment on column social.contact_methods.address is 'An e-mail address, or the URL of a webhook.';
comment on column social.contact_methods.secret_sealed is 'What signs the webhook, sealed with a key that is not in the database.';
comment on column social.contact_methods.created_at is 'When it was stored.';
comment on column social.contact_methods.verified_at is 'When its owner sent the code back that had been sent there.';
comment on column social.contact_methods.code_hash is 'SHA-256 of the code that was sent there last.';
comment on column social.contact_methods.code_expires_at is 'Until when that code is good.';
comment on column social.contact_methods.code_tries is 'How many wrong codes were sent back since.';
comment on column social.contact_methods.code_sends is 'How many times the sending of a code was begun.';
comment on column social.contact_methods.code_due_at is 'When a code is sent there; null while none is to be.';
comment on column social.contact_methods.code_error is 'Why the last code was not taken there.';

create index idx_contact_methods_code_due on social.contact_methods (code_due_at) where code_due_at is not null;

alter table social.contact_methods enable row level security;
alter table social.contact_methods force row level security;
create policy own on social.contact_methods using ('staff:' || staff_id = current_setting('recoverly.actor', true));
create policy worker on social.contact_methods to recoverly_worker using (true) with check (true);
create policy owner on social.contact_methods to recoverly_owner using (true) with check (true);

create or replace function social.methods_of(staff varchar, wanted varchar) returns setof varchar
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select 'in_app'::varchar
    union all
    (select c.method from social.contact_methods c
     where c.staff_id = staff and c.verified_at is not null
     order by c.method is not distinct from wanted desc, c.position, c.method limit 1)
$$;
comment on function social.methods_of(varchar, varchar) is 'By which ways a page goes to a staff user at first: in the app, and by the verified method that is wanted, else by the first.';

-- No address and no code: an admin sees who cannot be reached, not where the others are.
create function social.contact_methods_held()
returns table (staff_id varchar, method varchar, created_at timestamptz, verified_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c.staff_id, c.method, c.created_at, c.verified_at
    from social.contact_methods c
    where (select social.actor_holds(array['admin']))
$$;
comment on function social.contact_methods_held() is 'Which methods staff have, to an admin; nothing to others.';
grant execute on function social.contact_methods_held() to recoverly_social;

alter table social.notification_deliveries alter column attempt set default 0;
comment on column social.notification_deliveries.attempt is 'How many attempts were begun; in the app none is needed.';
comment on column social.notification_deliveries.next_attempt_at is 'When it is tried next; while it is being tried, when another worker may take it over.';
comment on column social.notification_deliveries.error is 'Why the last attempt failed, in words that hold no address.';
comment on column social.notification_deliveries.status is 'pending, sent, delivered, failed or withdrawn. In-app is sent once it is stored: the queue shows it. A webhook that was taken is delivered. What waits when its episode ends is withdrawn.';

alter table social.notification_deliveries drop constraint ck_notification_deliveries_status;
alter table social.notification_deliveries add constraint ck_notification_deliveries_status
    check (status in ('pending', 'sent', 'delivered', 'failed', 'withdrawn'));

create index idx_notification_deliveries_due on social.notification_deliveries (next_attempt_at) where status = 'pending';

-- Deliveries name staff, not clients: admins see all of them although they see no client.
create policy admins on social.notification_deliveries for select using ((select social.actor_holds(array['admin'])));
