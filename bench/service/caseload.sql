select page.*, u.display_name, open.escalations as open_escalations, contact.last as last_contact
from (
            select p.user_id, p.last_updated, p.short_avg_risk_score, p.short_max_risk_score, p.short_avg_isolation,
p.short_high_risk_count, p.short_toxic_incidents, p.medium_avg_risk_score, p.medium_max_risk_score,
p.medium_avg_isolation, p.risk_trend, p.isolation_trend, p.current_risk_label, p.risk_label_since,
p.total_messages_7d, p.buddy_messages_7d, p.counselor_messages_7d, p.last_message_time,
p.days_since_last_buddy_msg, p.reasons, p.policy_version, p.computed_at, p.model_risk_level, p.model_level_since, p.model_predicted_at, p.model_name, p.model_version, label.urgency, coalesce(p.short_avg_risk_score, -1) as mean_risk
            from social.user_risk_profiles p
            cross join lateral (select array_position(
                array['HIGH_RISK', 'MODERATE_RISK', 'ISOLATION_ONLY', 'UNKNOWN', 'LOW_RISK'],
                p.current_risk_label::text) as urgency) as label
            where p.user_id = any ((select core.visible_clients())::varchar[]) and not p.is_drill
                and ($1::varchar is null or p.current_risk_label = $1)
                and ($2::varchar is null or p.risk_trend = $2)
                and ($3::int4 is null or (label.urgency, -coalesce(p.short_avg_risk_score, -1), p.user_id)
                    > ($3, -($4::float8), $5::varchar))
            order by label.urgency, mean_risk desc, p.user_id
            limit $6
) as page
left join lateral (
            select d.display_name from core.users d where d.user_id = page.user_id
) as u on true
left join lateral (
            select coalesce(jsonb_agg(jsonb_build_object(
                'escalation_id', e.escalation_id, 'escalation_type', e.escalation_type, 'urgency', e.urgency,
                'status', e.status, 'timestamp', e.timestamp, 'trigger_count', e.trigger_count,
                'acknowledged_by', e.acknowledged_by)), '[]') as escalations
            from (
                select o.escalation_id, o.escalation_type, o.urgency, o.status, o.timestamp, o.trigger_count,
                    o.acknowledged_by
                from social.escalations o
                where o.user_id = page.user_id and o.status in ('pending', 'notified', 'acknowledged')
                order by o.timestamp desc limit 6) as e
) as open on true
left join lateral (
            select jsonb_build_object('at', c.at, 'staff_id', c.staff_id, 'method', c.method, 'outcome', c.outcome) as last
            from social.contacts c
            where c.client_id = page.user_id
            order by c.at desc limit 1
) as contact on true
order by page.urgency, page.mean_risk desc, page.user_id
