with 
    person as materialized (select true as consented),
    scope as materialized (select array(
        select c.user_id
        from core.consents c
        where c.user_id = any ((select core.visible_clients())::varchar[])
          and c.purpose = 'memory' and c.recipient = 'programme'
          and c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true)
          and c.user_id <> all (array(select core.crisis_clients()))) as clients),
size as materialized (
                select count(*) > 2000 as is_large
                from (select from core.memory_embeddings e
                      where e.user_id = any ((select s.clients from scope s)::varchar[]) and e.embedding_model = 'text-1536'
                      limit 2000 + 1) c),
             walked as materialized (
                select m.id, e.embedding operator(public.<=>) $8::public.vector as distance
                from core.memory_embeddings e
                join core.memories m on m.id = e.memory_entry_id
                where (select s.is_large from size s) and e.embedding_model = 'text-1536'
                  and case when e.user_id = any ((select s.clients from scope s)::varchar[]) then true else false end and 
    case when m.superseded_by is null and (m.expires_at is null or m.expires_at > now()) and (not m.is_sensitive or $2)
        and ($3::varchar is null or m.role is null or m.role = $3) and ($4::varchar is null or m.memory_type = $4)
        and m.valid_from >= $6 and m.valid_from < $7
        and ($5::uuid is null or exists (
            select from core.memory_collection_items i where i.collection_id = $5 and i.memory_id = m.id))
    then true else false end
                order by (e.embedding::public.halfvec(1536)) operator(public.<=>) ($8::public.vector::public.halfvec(1536))
                limit 20),
             compares as materialized (
                select not (select s.is_large from size s) or (select count(*) from walked) < $1 as it_does),
             compared as materialized (
                select m.id, e.embedding operator(public.<=>) $8::public.vector as distance
                from core.memory_embeddings e
                join core.memories m on m.id = e.memory_entry_id
                where (select c.it_does from compares c) and e.user_id = any ((select s.clients from scope s)::varchar[]) and e.embedding_model = 'text-1536'
                  and 
    case when m.superseded_by is null and (m.expires_at is null or m.expires_at > now()) and (not m.is_sensitive or $2)
        and ($3::varchar is null or m.role is null or m.role = $3) and ($4::varchar is null or m.memory_type = $4)
        and m.valid_from >= $6 and m.valid_from < $7
        and ($5::uuid is null or exists (
            select from core.memory_collection_items i where i.collection_id = $5 and i.memory_id = m.id))
    then true else false end
                order by distance
                limit 20),
             nearest as materialized (
                select f.id, f.distance, row_number() over (order by f.distance, f.id) as place
                from (select c.id, c.distance from compared c
                      union all
                      select w.id, w.distance from walked w where not (select c.it_does from compares c)) f),
words as (select null::uuid as id, null::bigint as place where false),
             ranked as (
                select coalesce(n.id, w.id) as id, n.distance, n.place as vector_rank, w.place as text_rank,
                    coalesce(1.0::float8 / (60 + n.place), 0) + coalesce(1.0::float8 / (60 + w.place), 0)
                        as score
                from nearest n full join words w on w.id = n.id),
             chosen as materialized (
                select r.id, r.distance, r.vector_rank, r.text_rank, r.score
                from ranked r
                order by r.score desc, r.distance, r.id
                limit $1)
             select p.consented, m.id, m.user_id, m.role, m.thread_id, m.memory_type, m.entry_type, m.content, m.is_sensitive, m.write_reason,
    m.source_provider, m.source_session_id, m.metadata, m.idempotency_hash, m.created_at, m.accessed_at, m.valid_from,
    m.superseded_by, m.expires_at, r.distance, r.vector_rank, r.text_rank, r.score
             from person p
             left join (chosen r join core.memories m on m.id = r.id) on true
             order by r.score desc, r.distance, r.id
