//! What is kept for a while goes when its term is over, and not before.

use testkit::serving;

use crate::harness::Harness;

#[tokio::test]
async fn answers_events_and_receipts_go_when_their_term_is_over() {
    let h = Harness::new().await;
    serving::plant_what_ends(&h.database, "social").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 3);
    serving::keeps_what_has_not_ended(&h.database, "social").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 0, "again does nothing");
}

/// Rows of every sort whose term is over by a minute, or not by a day. Only the former are called `over`.
const OLD_AND_YOUNG: &str = "
    insert into core.messages (user_id, message_text, conversation_type)
    select 'client-a', 'text', 'buddy' from generate_series(1, 4);
    insert into social.message_predictions (message_id, user_id, timestamp, message_timestamp, p_craving, p_relapse,
        p_negative_mood, p_neutral, p_toxic, p_isolation, risk_score, conversation_type, model_version)
    select m.message_id, 'client-a', now() - p.said, now() - p.written, 0, 0, 0, 0, 0, 0, 0, 'buddy', p.name
    from (values (1, 'over', interval '365 days 1 minute', interval '365 days 1 minute'),
            (2, 'kept', interval '365 days 1 minute', interval '364 days'),
            (3, 'kept', interval '364 days', interval '400 days'),
            (4, 'over', interval '500 days', interval '400 days')) as p (place, name, said, written)
    join (select message_id, row_number() over () as place from core.messages) as m using (place);
    insert into social.actions (user_id, timestamp, action_type, risk_level, ai_reasoning, confidence_score, policy_version)
    select 'client-a', now() - a.age, 'none', a.name, '', 0, 'fusion_v2'
    from (values ('over', interval '183 days 1 minute'), ('kept', interval '182 days')) as a (name, age);
    insert into social.nudges (user_id, timestamp, nudge_type, nudge_message, risk_level, expires_at)
    select 'client-a', now() - n.age, 'check_in', '', n.name, now()
    from (values ('over', interval '183 days 1 minute'), ('kept', interval '182 days')) as n (name, age);
    insert into social.safety_events (message_id, user_id, created_at, risk_level, show_crisis_banner, policy_action)
    select m.message_id, 'client-a', now() - s.age, 'low', false, s.name
    from (values (1, 'over', interval '365 days 1 minute'), (2, 'kept', interval '364 days')) as s (place, name, age)
    join (select message_id, row_number() over () as place from core.messages) as m using (place);
    insert into social.screener_answers (user_id, answered_at, wish_to_be_dead, suicidal_thoughts, thoughts_of_method, intent,
        plan_with_intent, behaviour, urgency)
    select 'client-a', now() - a.age, true, false, false, false, false, 'never', a.urgency
    from (values ('low', interval '365 days 1 minute'), ('medium', interval '364 days')) as a (urgency, age);
    insert into social.escalations (user_id, timestamp, escalation_type, urgency, risk_level, status, outcome, resolved_at)
    select 'client-a', now() - interval '5 years', 'manual', 'high', e.name, e.status, 'spoke', now() - e.age
    from (values ('over', 'resolved', interval '731 days 1 minute'), ('kept', 'cancelled', interval '730 days'),
        ('open', 'notified', null)) as e (name, status, age);
    insert into social.notification_deliveries (delivery_id, escalation_id, staff_id, relation, tier, method, error, created_at)
    select gen_random_uuid(), e.escalation_id, 'staff-counselor', 'counselor', d.tier, 'in_app', d.name, now() - d.age
    from social.escalations e
    cross join (values (1, 'over', interval '365 days 1 minute'), (2, 'kept', interval '364 days')) as d (tier, name, age);
    insert into core.consents (user_id, purpose, recipient) values ('client-a', 'family_share', 'contact-1');
    insert into social.family_share_consents (consent_id, user_id, contact_label, consent_scope)
    select consent_id, user_id, 'my sister', 'summary_card' from core.consents;
    insert into social.family_share_cards (consent_id, user_id, title, body, created_at)
    select c.consent_id, c.user_id, a.name, 'text', now() - a.age
    from core.consents c, (values ('over', interval '1096 days 1 minute'), ('kept', interval '1095 days')) as a (name, age);
    insert into social.contacts (client_id, escalation_id, method, outcome)
    select 'client-a', e.escalation_id, 'call', 'spoke' from social.escalations e where e.risk_level = 'over'";

/// What of it is there, by table.
const THERE: &str = "
    select 'prediction ' || model_version as line from social.message_predictions
    union all select 'action ' || risk_level from social.actions
    union all select 'nudge ' || risk_level from social.nudges
    union all select 'finding ' || policy_action from social.safety_events
    union all select 'answers ' || urgency from social.screener_answers
    union all select 'card ' || title from social.family_share_cards
    union all select 'escalation ' || risk_level from social.escalations
    union all select 'delivery ' || d.error || ' of ' || e.risk_level
        from social.notification_deliveries d join social.escalations e using (escalation_id)
    union all select 'contact ' || coalesce(escalation_id::text, 'of none') from social.contacts
    order by 1";

#[tokio::test]
async fn predictions_actions_nudges_and_what_was_closed_go_when_their_term_is_over_and_not_before() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.database.superuser().await.run(OLD_AND_YOUNG).await;
    assert!(h.app.round("retention").await.unwrap() > 0);
    let rows = h.database.query(THERE).await;
    let there: Vec<&str> = rows.iter().map(|row| row.get("line")).collect();
    assert_eq!(
        there,
        [
            "action kept",
            "answers medium",
            "card kept",
            "contact of none",
            "delivery kept of kept",
            "delivery kept of open",
            "delivery over of open",
            "escalation kept",
            "escalation open",
            "finding kept",
            "nudge kept",
            "prediction kept",
            "prediction kept",
        ]
    );
    assert_eq!(h.app.round("retention").await.unwrap(), 0, "again does nothing");
}

#[tokio::test]
async fn who_was_on_duty_is_known_as_long_as_the_escalations_of_that_time() {
    let h = Harness::new().await;
    h.database
        .superuser()
        .await
        .run(
            "insert into social.oncall_schedules (name, timezone) values ('one', 'UTC');
             create temp table span (until timestamptz);
             insert into span values (now() - interval '731 days 1 minute'), (now() - interval '730 days'), (now());
             insert into social.oncall_shifts (schedule_id, staff_id, starts_at, ends_at, source)
             select 1, 'staff-oncall', until - interval '1 day', until, 'manual' from span;
             insert into social.oncall_overrides (schedule_id, staff_id, starts_at, ends_at)
             select 1, 'staff-oncall', until - interval '1 day', until from span;
             insert into social.shift_swaps (schedule_id, offered_by, starts_at, ends_at)
             select 1, 'staff-oncall', until - interval '1 day', until from span",
        )
        .await;
    assert_eq!(h.app.round("retention").await.unwrap(), 3);
    for table in ["oncall_shifts", "oncall_overrides", "shift_swaps"] {
        let left = h
            .database
            .count(&format!("select count(*) from social.{table}"))
            .await;
        assert_eq!(left, 2, "{table}");
    }
}
