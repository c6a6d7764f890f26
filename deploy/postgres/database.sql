-- What every database of the platform needs before its migrations. Idempotent; roles.sql must have run on the server.
-- Plain SQL for any client: also the template of the tests' databases is made with it.
-- Run as a superuser (who alone may create the extension), or as a member of recoverly_owner.

set client_min_messages = warning;

do $extension$
begin
    if not exists (select from pg_available_extensions where name = 'vector') then
        raise warning 'extension vector (pgvector) is not installed on this server: similarity search will not work';
    elsif not exists (select from pg_extension where extname = 'vector') then
        create extension vector;
    end if;
exception
    when insufficient_privilege then
        raise warning 'only a superuser may create the extension vector (pgvector) here: similarity search will not work until one does';
end
$extension$;

-- Nobody creates objects in public, and only the platform's roles find the extension's types there.
revoke all on schema public from public;
grant usage on schema public to recoverly_owner, recoverly_worker;

do $database$
declare
    service text;
    login text;
    worker text;
begin
    execute format('alter database %I owner to recoverly_owner', current_database());

    -- All functions, in every schema: each migration grants execution to those who need it.
    alter default privileges for role recoverly_owner revoke execute on functions from public;

    foreach service in array array['core', 'social', 'risk', 'reco', 'causal'] loop
        login := 'recoverly_' || service;
        worker := login || '_worker';

        execute format('create schema if not exists %I authorization recoverly_owner', service);
        execute format('grant usage on schema public to %I, %I', login, worker);
        execute format('grant usage on schema %I to %I, %I', service, login, worker);
        execute format(
            'alter default privileges for role recoverly_owner in schema %I'
            ' grant select, insert, update, delete on tables to %I, %I', service, login, worker);
        execute format(
            'alter default privileges for role recoverly_owner in schema %I'
            ' grant usage on sequences to %I, %I', service, login, worker);
    end loop;

    -- Every service checks tokens and caseloads through core's functions; tables are granted by core's migrations.
    foreach service in array array['core', 'social', 'risk', 'reco', 'causal'] loop
        execute format('grant usage on schema core to %I, %I', 'recoverly_' || service, 'recoverly_' || service || '_worker');
    end loop;
end
$database$;

reset client_min_messages;
