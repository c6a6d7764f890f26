-- Undoes V014.
alter table social.user_risk_profiles drop constraint ck_user_risk_profiles_drill, drop column is_drill;
drop table social.operational_warnings;
drop table social.meeting_calendars;
drop function social.counsels(varchar, varchar), social.is_counselor(varchar);
drop trigger check_move on social.meetings;
drop function social.check_meeting_move();
alter table social.meetings
    drop constraint ex_meetings_client,
    drop constraint ck_meetings_confirmed,
    add constraint ck_meetings_confirmed check (status <> 'confirmed' or user_consent),
    drop column follow_up_of,
    drop column reminded_at,
    drop column cancel_reason;
comment on column social.meetings.status is 'proposed, scheduled, confirmed, completed, no_show or cancelled.';
comment on column social.meetings.user_consent is 'Whether the user agreed.';
comment on column social.meetings.scheduled_time is 'When it takes place; null while it is only proposed.';
