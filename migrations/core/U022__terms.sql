drop index core.idx_transcript_chunks_created;
comment on column core.messages.anonymized_at is 'When its identifiers were removed.';
drop trigger want_again on core.consents;
drop trigger want_no_more on core.consents;
drop trigger want_of_all on core.embedding_models;
drop function core.want_again(), core.want_no_more(), core.want_of_all();
-- As V020 made it.
create or replace function core.want_embeddings() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into core.embedding_leases (memory_entry_id, embedding_model)
    select s.id, m.name
    from stored s cross join core.embedding_models m
    where s.superseded_by is null and m.active and m.purpose = 'text'
    on conflict do nothing;
    return null;
end $$;
alter table core.embedding_leases drop column wanted_until;
comment on table core.embedding_leases is 'Embeddings that are wanted, and which pipeline is computing them. A row goes with its embedding.';
insert into core.embedding_leases (memory_entry_id, embedding_model)
select m.id, o.name
from core.memories m cross join core.embedding_models o
where m.superseded_by is null and o.active and o.purpose = 'text'
  and not exists (select from core.memory_embeddings e where e.memory_entry_id = m.id and e.embedding_model = o.name)
on conflict do nothing;
