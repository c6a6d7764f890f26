-- What nudges say, where they come from, and why one is not sent.

create table social.nudge_templates (
    template_id bigint generated always as identity,
    nudge_type varchar(100) not null,
    locale varchar(35) not null,
    message text not null,
    active boolean not null default true,
    updated_at timestamptz not null default now(),
    constraint pk_nudge_templates primary key (template_id),
    constraint ck_nudge_templates_type check (nudge_type ~ '^[a-z0-9_]+$'),
    constraint ck_nudge_templates_locale check (locale ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$'),
    constraint ck_nudge_templates_message check (octet_length(message) between 1 and 2048)
);

comment on table social.nudge_templates is 'What a kind of nudge says, by language. The programme keeps the texts; none of them is in the code.';
comment on column social.nudge_templates.template_id is 'Row id.';
comment on column social.nudge_templates.nudge_type is 'The kind of nudge; family_notice_title and family_notice are what a card of the rules says to the family.';
comment on column social.nudge_templates.locale is 'BCP 47 language tag, such as de or de-AT; en is for everybody without one of their own.';
comment on column social.nudge_templates.message is 'The text, with placeholders: {name} of the client, {crisis_line} of the region. Up to 2,048 bytes.';
comment on column social.nudge_templates.active is 'Whether it is used; one is for each kind and language.';
comment on column social.nudge_templates.updated_at is 'When it was last written.';

create unique index uq_nudge_templates_active on social.nudge_templates (nudge_type, lower(locale)) where active;

-- A starter set. It says nothing that a bystander could take a diagnosis from.
insert into social.nudge_templates (nudge_type, locale, message) values
    ('crisis_resources', 'en', 'You do not have to go through this alone. Help is one tap away, at any hour.'),
    ('buddy_connection', 'en', 'Your buddy would be glad to hear from you. A short message is enough.'),
    ('counselor_encouragement', 'en', 'Your counselor is there for you. Would you like to write a few lines?'),
    ('coping_exercise', 'en', 'Five minutes for yourself: shall we do a breathing exercise together?'),
    ('buddy_suggestion', 'en', 'It has been quiet. Who would you like to say hello to today?'),
    ('group_activity', 'en', 'There is something on with your group this week. Have a look?'),
    ('wellness_check', 'en', 'How are you today? One word is fine.'),
    ('positive_reinforcement', 'en', 'You are keeping at it, day after day. That counts.'),
    ('recommendation', 'en', 'There is something new for you to try. Have a look?'),
    -- Says neither when nor with whom: it may be read over somebody's shoulder.
    ('meeting_reminder', 'en', 'You have a meeting coming up. Open the app to see when it begins.'),
    -- Goes to somebody else, who is told no more than to be in touch.
    ('family_notice_title', 'en', 'A short note'),
    ('family_notice', 'en', 'Please be in touch when you can.'),
    ('crisis_resources', 'de', 'Du musst da nicht allein durch. Hilfe ist nur einmal Tippen entfernt, zu jeder Stunde.'),
    ('buddy_connection', 'de', 'Dein Buddy würde sich freuen, von dir zu hören. Eine kurze Nachricht genügt.'),
    ('counselor_encouragement', 'de', 'Deine Beraterin oder dein Berater ist für dich da. Magst du ein paar Zeilen schreiben?'),
    ('coping_exercise', 'de', 'Fünf Minuten für dich: Machen wir zusammen eine Atemübung?'),
    ('buddy_suggestion', 'de', 'Es war still. Wem magst du heute Hallo sagen?'),
    ('group_activity', 'de', 'In deiner Gruppe ist diese Woche etwas los. Schaust du hinein?'),
    ('wellness_check', 'de', 'Wie geht es dir heute? Ein Wort genügt.'),
    ('positive_reinforcement', 'de', 'Du bleibst dran, Tag für Tag. Das zählt.'),
    ('recommendation', 'de', 'Es gibt etwas Neues für dich. Magst du es ansehen?'),
    ('meeting_reminder', 'de', 'Du hast bald einen Termin. In der App steht, wann er beginnt.'),
    ('family_notice_title', 'de', 'Eine kurze Nachricht'),
    ('family_notice', 'de', 'Bitte melde dich, wenn du kannst.');

-- Where help is can be told to everybody at any time: this text is always there, and needs nothing filled in.
create function social.check_crisis_template() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (select from social.nudge_templates t
        where t.active and t.nudge_type = 'crisis_resources' and lower(t.locale) = 'en' and strpos(t.message, '{') = 0) then
        raise exception 'the text of crisis resources for everybody is always there' using errcode = 'check_violation',
            constraint = 'ck_nudge_templates_crisis';
    end if;
    return null;
end $$;
comment on function social.check_crisis_template() is 'Refuses to be left without an active text of crisis_resources in en without placeholders, as constraint ck_nudge_templates_crisis.';

create trigger check_crisis after update or delete on social.nudge_templates
    for each row when (old.nudge_type = 'crisis_resources') execute function social.check_crisis_template();

-- Of the programme: written by the worker for those who keep the texts, and read by everybody who sends one.
revoke insert, update, delete on social.nudge_templates from recoverly_social;

alter table social.nudges
    add column channel varchar(20) not null default 'in_app',
    add column withheld_reason varchar(20),
    add column recommendation_id bigint,
    drop constraint ck_nudges_source,
    add constraint ck_nudges_source check (source in ('rule', 'reco', 'staff', 'meeting')),
    add constraint ck_nudges_channel check (channel in ('in_app', 'push')),
    add constraint ck_nudges_withheld check ((status = 'withheld') = (withheld_reason is not null)),
    add constraint ck_nudges_withheld_reason check (withheld_reason in ('channels', 'daily_limit', 'spacing', 'quiet_hours', 'crisis')),
    add constraint ck_nudges_recommendation check (recommendation_id is null or source = 'reco');
comment on column social.nudges.source is 'rule, reco, staff, or meeting: a reminder, which no limit counts.';
comment on column social.nudges.channel is 'in_app: it waits in the app; push: the app calls for attention as well.';
comment on column social.nudges.withheld_reason is 'Why it was not sent: channels, daily_limit, spacing, quiet_hours or crisis.';
comment on column social.nudges.recommendation_id is 'The recommendation that it offers.';
comment on column social.nudges.dedup_key is 'At most one nudge of a user has this key: its source and what that calls it.';

alter table social.actions
    add column source varchar(20) not null default 'rule',
    add column arms jsonb not null default '[]',
    add column seed bigint,
    add constraint ck_actions_source check (source in ('rule', 'reco', 'staff', 'meeting')),
    -- What is drawn can be drawn again, and nothing is drawn for somebody in a crisis.
    add constraint ck_actions_seed check (seed is null or (seed >= 0 and probability is not null)),
    add constraint ck_actions_crisis check (
        num_nonnulls(probability, seed) = 0 or (action_type = 'nudge' and risk_level <> 'HIGH_RISK'));
comment on column social.actions.source is 'rule, reco, staff or meeting: who wanted it.';
comment on column social.actions.arms is 'What there was to choose from, each with whether it was eligible and else why not.';
comment on column social.actions.seed is 'What was drawn with: of n eligible the one at place seed modulo n, from 0. Null where nothing was drawn here.';
comment on column social.actions.eligible is 'What could have been chosen, in the order in which it was drawn from.';
comment on column social.actions.probability is 'With what probability this was chosen, here or by who recommended it; null where nothing was randomised.';
comment on column social.actions.confidence_score is 'How much data the decision rests on: predictions of the last 30 days over 5, at most 1; 1 where it was not the rules''.';
