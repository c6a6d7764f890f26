-- Undoes V002.
drop table core.temporary_access, core.caseload_assignments, core.access_tokens, core.api_clients, core.staff_roles, core.users;
drop function core.visible_clients(), core.crisis_clients(), core.authenticate(bytea), core.forget_tokens(), core.crisis_staff(varchar[]),
    core.grant_temporary_access(varchar[], varchar[], varchar, bigint[]), core.end_temporary_access(varchar, bigint[]),
    core.end_temporary_access(varchar, varchar[], bigint[]),
    core.settle_temporary_access(varchar, varchar[], varchar[], bigint[], timestamptz[]);
