with prof as (
    select u.user_id as id, u.external_id, u.display_name, u.notes,
        exists (select from core.consents c where c.user_id = u.user_id and c.purpose = 'biometrics'
            and c.recipient = 'programme' and c.revoked_at is null
            and coalesce(c.expires_at > clock_timestamp(), true)) as consent_for_biometrics,
        u.created_at, u.updated_at
    from core.users u where u.user_id = $1
),
prefs as (
    select p.id, p.kind, p.category, p.value, p.source_session_id, p.created_at
    from core.stated_preferences p where p.user_id = $1
),
recent_sessions as (
    select s.id, s.session_key, s.employee_id, s.client_id, s.metadata, s.created_at
    from core.interaction_sessions s
    where s.client_id = $1
    order by s.created_at desc
    limit $2
)
select
    (select row_to_json(prof.*) from prof) as profile,
    (select coalesce(json_agg(row_to_json(prefs.*)), '[]'::json) from prefs) as preferences,
    (select coalesce(json_agg(row_to_json(rs.*)), '[]'::json) from recent_sessions rs) as recent_sessions
