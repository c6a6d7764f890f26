-- Roles of the platform. Idempotent; run as a superuser, or as a role that may create roles.
-- Plain SQL. Passwords are set by the caller (alter role ... password), never here.
--
--   recoverly_owner             owns the database, its schemas and tables; runs migrations
--   recoverly_<service>         login of one service; owns nothing, row-level security applies
--   recoverly_<service>_worker  no login; what the service's jobs, consumers and relay set as their role
--   recoverly_worker            no login; group of the five worker roles, for policies that concern all of them

set client_min_messages = warning;

do $version$
begin
    if current_setting('server_version_num')::integer < 160000 then
        raise exception 'Postgres 16 or newer is needed (17 is what we test with); this is %', current_setting('server_version');
    end if;
end
$version$;

-- A creator that is no superuser must be a member of the owner role, to create the database and schemas for it.
set createrole_self_grant = 'set, inherit';

do $roles$
declare
    service text;
    login text;
    worker text;
    harmless constant text := 'nosuperuser nocreatedb nocreaterole noreplication nobypassrls';
begin
    -- Two sessions that create the same role at once would make one of them fail.
    perform pg_advisory_xact_lock(hashtext('recoverly roles'));

    if to_regrole('recoverly_owner') is null then
        execute 'create role recoverly_owner login ' || harmless;
    end if;
    if to_regrole('recoverly_worker') is null then
        execute 'create role recoverly_worker nologin ' || harmless;
    end if;

    foreach service in array array['core', 'social', 'risk', 'reco', 'causal'] loop
        login := 'recoverly_' || service;
        worker := login || '_worker';
        if to_regrole(login) is null then
            execute format('create role %I login %s', login, harmless);
        end if;
        if to_regrole(worker) is null then
            execute format('create role %I nologin %s', worker, harmless);
        end if;
        execute format('grant recoverly_worker to %I with inherit true', worker);
        -- Not inherited: a request must not have the worker's rights; a worker connection asks for them by name.
        execute format('grant %I to %I with inherit false, set true', worker, login);
    end loop;
end
$roles$;

reset createrole_self_grant;
reset client_min_messages;
