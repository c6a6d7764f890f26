-- What a companion remembers of every client, each with a consent to it. psql variables: memories, dims, users.
--
-- Embeddings cluster around a hundred topics, as those of texts do, and the kit's queries lie near the topics. The index
-- is built when the rows are there, by the definition that the migration gave it: row by row takes ten times as long.
\set ON_ERROR_STOP on
set synchronous_commit = off;
set statement_timeout = 0;
set maintenance_work_mem = '1GB';
set max_parallel_maintenance_workers = 1;
select pg_get_indexdef('core.idx_memory_embeddings_text_1536'::regclass) as definition \gset
drop index core.idx_memory_embeddings_text_1536;

insert into core.consents (user_id, purpose) select bench.uid(u), 'memory' from generate_series(1, :users) u;
insert into core.memories (id, user_id, memory_type, entry_type, content)
select gen_random_uuid(), bench.uid(1 + i % :users), 'personal', 'nugget', 'Memory nugget ' || i || ' about topic ' || i % 100
from generate_series(1, :memories) i;

create table bench.topics as
select c, array_agg((bench.h(c * 10000 + d, 31) - 0.5)::real order by d)::public.vector as v
from generate_series(0, 99) c, generate_series(1, :dims) d group by c;
-- Noise as large as the topic: a walk must not find its way by the topics alone.
create function bench.near(topic public.vector, seed bigint) returns public.vector language sql immutable parallel safe as $$
    select public.l2_normalize(topic + array_agg((bench.h(seed * 10000 + d, 33) - 0.5)::real order by d)::public.vector)
    from generate_series(1, public.vector_dims(topic)) d $$;
insert into core.memory_embeddings (memory_entry_id, user_id, embedding_model, embedding_dimensions, embedding)
select m.id, m.user_id, 'text-1536', :dims, bench.near(t.v, split_part(m.content, ' ', 3)::bigint)
from core.memories m join bench.topics t on t.c = split_part(m.content, ' ', 6)::int;
-- In its row: pgbench's statement would fetch it anew for each row that it is compared with, ours has it as a parameter.
create table bench.queries (q integer, embedding public.vector);
alter table bench.queries alter column embedding set storage plain;
insert into bench.queries select q, bench.near(t.v, -q) from generate_series(1, 128) q join bench.topics t on t.c = q % 100;
:definition;
grant usage on schema bench to recoverly_core;
grant select on bench.queries to recoverly_core;
vacuum (analyze) core.memories, core.memory_embeddings, core.consents, core.embedding_leases;
checkpoint;
