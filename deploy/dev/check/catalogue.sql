-- The catalogue of the five schemas as one JSON document: what docs/SCHEMA.md is made of, and what must be the same
-- again after all migrations were undone and applied anew. Nothing in it depends on object ids or on time.

with schemas as (
    select n.oid, n.nspname as name, obj_description(n.oid, 'pg_namespace') as comment
    from pg_namespace n
    where n.nspname in ('core', 'social', 'risk', 'reco', 'causal')
),
relations as (
    select c.oid, c.relnamespace, c.relname, c.relkind, c.relacl, c.relowner, c.relrowsecurity, c.relforcerowsecurity
    from pg_class c
    join schemas s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
),
columns as (
    select a.attrelid, json_agg(json_build_object(
        'name', a.attname,
        'type', format_type(a.atttypid, a.atttypmod),
        'nullable', not a.attnotnull,
        'default', pg_get_expr(d.adbin, d.adrelid),
        'identity', nullif(a.attidentity, ''),
        'generated', nullif(a.attgenerated, ''),
        'comment', col_description(a.attrelid, a.attnum)
    ) order by a.attnum) as list
    from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped
    group by a.attrelid
),
constraints as (
    select k.conrelid, json_agg(json_build_object(
        'name', k.conname,
        'kind', k.contype,
        'columns', (select json_agg(a.attname order by u.place)
                    from unnest(k.conkey) with ordinality u (attnum, place)
                    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum),
        'refers_to', case when k.confrelid <> 0 then k.confrelid::regclass::text end,
        'definition', pg_get_constraintdef(k.oid, true),
        'comment', obj_description(k.oid, 'pg_constraint')
    ) order by position(k.contype::text in 'pufxct'), k.conname) as list
    from pg_constraint k
    where k.conrelid <> 0 and k.contype <> 'n'
    group by k.conrelid
),
indexes as (
    select i.indrelid, json_agg(json_build_object(
        'name', c.relname,
        'definition', pg_get_indexdef(i.indexrelid),
        'valid', i.indisvalid,
        'comment', obj_description(i.indexrelid, 'pg_class')
    ) order by c.relname) as list
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.conrelid = i.indrelid)
    group by i.indrelid
),
policies as (
    select p.polrelid, json_agg(json_build_object(
        'name', p.polname,
        'command', p.polcmd,
        'permissive', p.polpermissive,
        'roles', (select json_agg(coalesce(r.rolname, 'public') order by r.rolname)
                  from unnest(p.polroles) as u (oid) left join pg_roles r on r.oid = u.oid),
        'using', pg_get_expr(p.polqual, p.polrelid),
        'check', pg_get_expr(p.polwithcheck, p.polrelid)
    ) order by p.polname) as list
    from pg_policy p
    group by p.polrelid
),
triggers as (
    select t.tgrelid, json_agg(json_build_object(
        'name', t.tgname, 'definition', pg_get_triggerdef(t.oid, true)
    ) order by t.tgname) as list
    from pg_trigger t
    where not t.tgisinternal
    group by t.tgrelid
),
table_grants as (
    select r.oid, g.grantee, null::name as column_name, g.privilege_type
    from relations r, aclexplode(r.relacl) g
    where g.grantee <> r.relowner
    union all
    select r.oid, g.grantee, a.attname, g.privilege_type
    from relations r
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped,
    aclexplode(a.attacl) g
    where g.grantee <> r.relowner
),
grants as (
    select oid, json_agg(json_build_object('role', role, 'privilege', lower(privilege_type), 'columns', column_names)
                         order by role, privilege_type) as list
    from (select t.oid, coalesce(r.rolname, 'public') as role, t.privilege_type,
              json_agg(t.column_name order by t.column_name) filter (where t.column_name is not null) as column_names
          from table_grants t left join pg_roles r on r.oid = t.grantee
          group by t.oid, coalesce(r.rolname, 'public'), t.privilege_type) t
    group by oid
),
tables as (
    select r.relnamespace, json_agg(json_build_object(
        'name', r.relname,
        'kind', r.relkind,
        'comment', obj_description(r.oid, 'pg_class'),
        'definition', case when r.relkind in ('v', 'm') then pg_get_viewdef(r.oid, true) end,
        'row_security', r.relrowsecurity,
        'row_security_forced', r.relforcerowsecurity,
        'columns', coalesce(columns.list, '[]'),
        'constraints', coalesce(constraints.list, '[]'),
        'indexes', coalesce(indexes.list, '[]'),
        'policies', coalesce(policies.list, '[]'),
        'triggers', coalesce(triggers.list, '[]'),
        'grants', coalesce(grants.list, '[]')
    ) order by r.relname) as list
    from relations r
    left join columns on columns.attrelid = r.oid
    left join constraints on constraints.conrelid = r.oid
    left join indexes on indexes.indrelid = r.oid
    left join policies on policies.polrelid = r.oid
    left join triggers on triggers.tgrelid = r.oid
    left join grants on grants.oid = r.oid
    group by r.relnamespace
),
functions as (
    select p.pronamespace, json_agg(json_build_object(
        'name', p.proname,
        'arguments', pg_get_function_identity_arguments(p.oid),
        'returns', pg_get_function_result(p.oid),
        'definer', p.prosecdef,
        'volatility', p.provolatile,
        'settings', p.proconfig,
        'comment', obj_description(p.oid, 'pg_proc'),
        'body', md5(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)),
        'executable_by', (select json_agg(coalesce(r.rolname, 'public') order by r.rolname)
                          from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
                          left join pg_roles r on r.oid = g.grantee
                          where g.grantee <> p.proowner)
    ) order by p.proname, pg_get_function_identity_arguments(p.oid)) as list
    from pg_proc p
    join schemas s on s.oid = p.pronamespace
    group by p.pronamespace
)
select json_agg(json_build_object(
    'name', s.name,
    'comment', s.comment,
    'tables', coalesce(tables.list, '[]'),
    'functions', coalesce(functions.list, '[]')
) order by position(s.name in 'core social risk reco causal'))
from schemas s
left join tables on tables.relnamespace = s.oid
left join functions on functions.pronamespace = s.oid;
