-- Undoes V008.
drop trigger check_duty on social.escalations;
drop table social.oncall_overrides, social.oncall_shifts, social.oncall_rotation_members, social.oncall_rotations,
    social.oncall_schedules;
drop function social.actor_holds(varchar[]), social.refill_rotations(), social.check_duty(), social.settle_duty(timestamptz),
    social.on_duty(timestamptz), social.oncall_at(bigint, timestamptz),
    social.staff_on_call(varchar[]);
