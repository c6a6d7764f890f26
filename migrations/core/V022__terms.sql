-- What waits for an embedding waits while the client consents to be remembered: pipelines would else pass over all that
-- nobody may embed, at every lease.

alter table core.embedding_leases add column wanted_until timestamptz not null default 'infinity';
comment on table core.embedding_leases is 'Embeddings that are wanted, and which pipeline is computing them. A row goes with its embedding, and with the client''s consent to be remembered.';
comment on column core.embedding_leases.wanted_until is 'When the consent runs out under which it is wanted.';
create index idx_embedding_leases_wanted on core.embedding_leases (wanted_until) where wanted_until < 'infinity';

create or replace function core.want_embeddings() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into core.embedding_leases (memory_entry_id, embedding_model, wanted_until)
    select s.id, m.name, coalesce(c.expires_at, 'infinity')
    from stored s
    join core.consents c on c.user_id = s.user_id and c.purpose = 'memory' and c.recipient = 'programme'
        and c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true)
    cross join core.embedding_models m
    where s.superseded_by is null and m.active and m.purpose = 'text'
    on conflict do nothing;
    return null;
end $$;

-- The update brings back what waited under a consent that has run out meanwhile.
create function core.want_again() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into core.embedding_leases as l (memory_entry_id, embedding_model, wanted_until)
    select m.id, o.name, coalesce(new.expires_at, 'infinity')
    from core.memories m cross join core.embedding_models o
    where m.user_id = new.user_id and m.superseded_by is null and o.active and o.purpose = 'text'
      and not exists (select from core.memory_embeddings e
        where e.memory_entry_id = m.id and e.embedding_model = o.name)
    on conflict (memory_entry_id, embedding_model) do update set wanted_until = excluded.wanted_until;
    return null;
end $$;
comment on function core.want_again() is 'Wants the embeddings that a client''s memories lack once the client consents to be remembered again.';

create trigger want_again after insert on core.consents
    for each row when (new.purpose = 'memory' and new.recipient = 'programme' and new.revoked_at is null)
    execute function core.want_again();

-- Whoever remembers or consents meanwhile waits: neither side would else see the other.
create function core.want_of_all() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    lock table core.consents, core.memories in share mode;
    insert into core.embedding_leases (memory_entry_id, embedding_model, wanted_until)
    select m.id, new.name, coalesce(c.expires_at, 'infinity')
    from core.memories m
    join core.consents c on c.user_id = m.user_id and c.purpose = 'memory' and c.recipient = 'programme'
        and c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true)
    where m.superseded_by is null;
    return null;
end $$;
comment on function core.want_of_all() is 'Wants embeddings of a new text model for all memories that hold under a consent.';

create trigger want_of_all after insert on core.embedding_models
    for each row when (new.active and new.purpose = 'text') execute function core.want_of_all();

create function core.want_no_more() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    delete from core.embedding_leases l using core.memories m
    where m.user_id = new.user_id and l.memory_entry_id = m.id;
    return null;
end $$;
comment on function core.want_no_more() is 'Wants no embedding of a client who took back the consent to be remembered.';

create trigger want_no_more after update of revoked_at on core.consents
    for each row when (new.purpose = 'memory' and new.recipient = 'programme' and new.revoked_at is not null)
    execute function core.want_no_more();

delete from core.embedding_leases l using core.memories m
where m.id = l.memory_entry_id and not core.has_consent(m.user_id, 'memory', 'programme');
update core.embedding_leases l set wanted_until = c.expires_at
from core.memories m
join core.consents c on c.user_id = m.user_id and c.purpose = 'memory' and c.recipient = 'programme'
    and c.revoked_at is null and c.expires_at > clock_timestamp()
where m.id = l.memory_entry_id;

-- What goes first when its term is over. Notes are found by their ids.
create index idx_transcript_chunks_created on core.transcript_chunks (created_at);
comment on column core.messages.anonymized_at is 'When its term was over: since then it is nobody''s; its text is without numbers, addresses, links, handles and what the accounts of its client and its recipient were called.';
