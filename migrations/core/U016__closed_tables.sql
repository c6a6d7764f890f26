-- Undoes V016.
drop policy owner on core.access_tokens;
drop policy worker on core.access_tokens;
alter table core.access_tokens no force row level security;
alter table core.access_tokens disable row level security;
drop policy owner on core.api_clients;
drop policy worker on core.api_clients;
alter table core.api_clients no force row level security;
alter table core.api_clients disable row level security;
drop policy owner on core.staff_roles;
drop policy worker on core.staff_roles;
alter table core.staff_roles no force row level security;
alter table core.staff_roles disable row level security;
drop policy owner on core.caseload_assignments;
drop policy worker on core.caseload_assignments;
alter table core.caseload_assignments no force row level security;
alter table core.caseload_assignments disable row level security;
drop policy owner on core.temporary_access;
drop policy worker on core.temporary_access;
alter table core.temporary_access no force row level security;
alter table core.temporary_access disable row level security;
drop policy owner on core.teams;
drop policy worker on core.teams;
alter table core.teams no force row level security;
alter table core.teams disable row level security;
drop policy owner on core.team_members;
drop policy worker on core.team_members;
alter table core.team_members no force row level security;
alter table core.team_members disable row level security;
grant select, insert, update, delete on core.access_tokens, core.api_clients, core.staff_roles, core.caseload_assignments,
    core.temporary_access, core.teams, core.team_members
    to recoverly_core;
