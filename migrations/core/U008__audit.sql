-- Undoes V008.
drop function core.audit_row_hash(core.audit_events);
drop table core.audit_seals, core.audit_pending, core.audit_events;
drop trigger users_subject_refs on core.users;
drop function core.write_audit(jsonb), core.right_to_see(varchar, varchar), core.add_audit_partition(date),
    core.drop_audit_partitions(), core.audit_kept_since(), core.refuse_change(),
    core.give_subject_refs();
drop table core.subject_refs;
