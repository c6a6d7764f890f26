-- What decides who somebody is and whom they see is the worker's alone: no transaction of a person reads or writes it. The
-- functions that answer for it (core.authenticate, core.visible_clients and those beside them) run as the owner.
revoke all on core.access_tokens, core.api_clients, core.staff_roles, core.caseload_assignments, core.temporary_access,
    core.teams, core.team_members
    from recoverly_core;

alter table core.access_tokens enable row level security;
alter table core.access_tokens force row level security;
create policy worker on core.access_tokens to recoverly_worker using (true) with check (true);
create policy owner on core.access_tokens to recoverly_owner using (true) with check (true);
alter table core.api_clients enable row level security;
alter table core.api_clients force row level security;
create policy worker on core.api_clients to recoverly_worker using (true) with check (true);
create policy owner on core.api_clients to recoverly_owner using (true) with check (true);
alter table core.staff_roles enable row level security;
alter table core.staff_roles force row level security;
create policy worker on core.staff_roles to recoverly_worker using (true) with check (true);
create policy owner on core.staff_roles to recoverly_owner using (true) with check (true);
alter table core.caseload_assignments enable row level security;
alter table core.caseload_assignments force row level security;
create policy worker on core.caseload_assignments to recoverly_worker using (true) with check (true);
create policy owner on core.caseload_assignments to recoverly_owner using (true) with check (true);
alter table core.temporary_access enable row level security;
alter table core.temporary_access force row level security;
create policy worker on core.temporary_access to recoverly_worker using (true) with check (true);
create policy owner on core.temporary_access to recoverly_owner using (true) with check (true);
alter table core.teams enable row level security;
alter table core.teams force row level security;
create policy worker on core.teams to recoverly_worker using (true) with check (true);
create policy owner on core.teams to recoverly_owner using (true) with check (true);
alter table core.team_members enable row level security;
alter table core.team_members force row level security;
create policy worker on core.team_members to recoverly_worker using (true) with check (true);
create policy owner on core.team_members to recoverly_owner using (true) with check (true);
