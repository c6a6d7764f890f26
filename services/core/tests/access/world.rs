//! Five services on one database, every kind of principal, and clients of whom each has one of everything.

use std::collections::HashMap;

use core_service::Config;
use secrecy::SecretString;
use serde_json::Value;
use service::{Clock, Service, Settings};
use sha2::{Digest, Sha256};
use telemetry::Metrics;
use testkit::{Client, TestDb};

use crate::Cell;
use crate::table::Row;

/// A principal of the matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    /// Its letter in the table; a blank for nobody's.
    pub(crate) letter: char,
    pub(crate) reach: Reach,
}

/// Whose rows a principal sees, where a route is open to its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reach {
    /// The client who is its own, and no other.
    Own,
    /// Nobody of the clients of the matrix.
    Nobody,
    /// Every client there is.
    Everybody,
}

/// With no token at all.
pub(crate) const NOBODY: Caller = caller("nobody", ' ', Reach::Nobody);
/// With one each.
pub(crate) const CALLERS: [Caller; 15] = [
    caller("person", 'S', Reach::Own),
    caller("other_person", 'S', Reach::Nobody),
    caller("app", 'A', Reach::Everybody),
    caller("counselor", 'C', Reach::Own),
    caller("counselor_other", 'C', Reach::Nobody),
    caller("oncall", 'O', Reach::Own),
    caller("oncall_untold", 'O', Reach::Nobody),
    caller("supervisor", 'V', Reach::Own),
    caller("supervisor_other", 'V', Reach::Nobody),
    caller("admin", 'M', Reach::Everybody),
    caller("auditor", 'U', Reach::Everybody),
    caller("staff_without_role", 'N', Reach::Nobody),
    caller("pipeline", 'P', Reach::Everybody),
    caller("service", 'R', Reach::Everybody),
    // A good token of somebody whose account was suspended since.
    caller("suspended", '!', Reach::Nobody),
];

const fn caller(name: &'static str, letter: char, reach: Reach) -> Caller {
    Caller { name, letter, reach }
}

/// Parameters of paths and bodies that lead to a client.
pub(crate) const OF_A_CLIENT: &[&str] = &[
    "{user_id}",
    "{client_id}",
    "{message_id}",
    "{reply_id}",
    "{nudge_id}",
    "{escalation_id}",
    "{consent_id}",
    "{card_id}",
    "{preference_id}",
    "{grant_id}",
    "{face_id}",
    "{session_key}",
    "{memory_id}",
    "{collection_id}",
    "{meeting_id}",
    "{prediction_id}",
];
/// Parameters that lead to nobody in particular.
const OTHERS: &[(&str, &str)] = &[
    // Of none of the callers.
    ("{contact_method_id}", "999999999"),
    ("{staff_id}", "staff-suspended"),
    ("{code}", "invalid"),
    ("{id}", "1"),
    ("{key}", "color"),
    ("{model}", "tiny-3"),
    ("{role}", "counselor"),
    ("{thread_id}", "main"),
    ("{team_id}", "1"),
    ("{policy_id}", "1"),
    ("{program_id}", "program-spare"),
    ("{resource_id}", "1"),
    // The text of crisis resources for everybody.
    ("{template_id}", "1"),
    ("{schedule_id}", "1"),
    ("{rotation_id}", "1"),
    ("{shift_id}", "999999999"),
    ("{override_id}", "999999999"),
    ("{swap_id}", "999999999"),
    ("{version}", "fusion_v2"),
    ("{model_name}", "relapse-7d"),
];

/// The client whom only strangers care for.
pub(crate) const OTHER: &str = "client-of-strangers";
/// Nobody has this id, and nothing this number.
const ABSENT: &str = "nobody-at-all";
const ABSENT_NUMBER: &str = "999999999";
const ABSENT_UUID: &str = "00000000-0000-4000-8000-000000000000";

/// The five services and what is in their database.
pub(crate) struct World {
    pub(crate) database: TestDb,
    /// Kept alive.
    _services: HashMap<&'static str, Service>,
    /// Callers without a token, one for each service.
    anonymous: HashMap<&'static str, Client>,
    /// Client and parameter → what stands for it.
    things: HashMap<(String, &'static str), String>,
}

impl World {
    /// Starts with these clients: each of them is seen by every caller who sees an own one, or is a stranger's.
    pub(crate) async fn with_clients(clients: &[String]) -> Self {
        let database = TestDb::new().await;
        let admin = database.superuser().await;
        admin.run(&principals()).await;
        admin.run(&people(clients)).await;
        admin.run(&belongings()).await;
        let services = start(&database);
        let mut world = Self {
            anonymous: services
                .iter()
                .map(|(name, service)| (*name, Client::new(&service.base_url())))
                .collect(),
            _services: services,
            database,
            things: HashMap::new(),
        };
        world.remember().await;
        world
    }

    /// Who calls in a cell; the app says for whom.
    pub(crate) fn client(&self, cell: &Cell, about: Option<&str>) -> Client {
        let anonymous = self.anonymous[cell.row.service].clone();
        let caller = &cell.caller;
        match caller.name {
            "nobody" => anonymous,
            "person" => anonymous.with_token(&token(&own_client(&cell.row, caller))),
            "app" => anonymous
                .with_token(&token(caller.name))
                .with_header("x-on-behalf-of", about.unwrap_or(ABSENT)),
            name => anonymous.with_token(&token(name)),
        }
    }

    /// The path and the body of a row, about this client or about nobody who is there.
    pub(crate) fn filled(&self, text: &str, client: Option<&str>) -> String {
        let mut filled = text.to_owned();
        for &name in OF_A_CLIENT {
            let absent = match name {
                "{user_id}" | "{client_id}" => ABSENT,
                "{memory_id}" | "{collection_id}" => ABSENT_UUID,
                _ => ABSENT_NUMBER,
            };
            let value = client.map_or(absent, |client| &self.things[&(client.to_owned(), name)]);
            filled = filled.replace(name, value);
        }
        let filled = filled.replace("{face}", &format!("{:?}", [1; 512]));
        OTHERS
            .iter()
            .fold(filled, |text, (name, value)| text.replace(name, value))
    }

    /// The documents of all services: service → OpenAPI.
    pub(crate) fn documents() -> Vec<(&'static str, Value)> {
        [
            ("core", core_service::openapi()),
            ("social", social_service::openapi()),
            ("risk", risk_service::openapi()),
            ("reco", reco_service::openapi()),
            ("causal", causal_service::openapi()),
        ]
        .map(|(name, document)| (name, serde_json::to_value(document).unwrap()))
        .into()
    }

    async fn remember(&mut self) {
        for (name, sql) in THINGS {
            for row in self.database.query(sql).await {
                self.things.insert((row.get("user_id"), name), row.get("thing"));
            }
        }
    }
}

/// What a path may name, and whose each is.
const THINGS: &[(&str, &str)] = &[
    (
        "{user_id}",
        "select user_id, user_id::text as thing from core.users where kind = 'client'",
    ),
    (
        "{client_id}",
        "select user_id, user_id::text as thing from core.users where kind = 'client'",
    ),
    (
        "{message_id}",
        "select user_id, min(message_id)::text as thing from core.messages group by user_id",
    ),
    (
        "{reply_id}",
        "select user_id, min(message_id)::text as thing from core.messages
         where sender_role = 'assistant' group by user_id",
    ),
    (
        "{nudge_id}",
        "select user_id, min(nudge_id)::text as thing from social.nudges group by user_id",
    ),
    (
        "{meeting_id}",
        "select user_id, min(meeting_id)::text as thing from social.meetings group by user_id",
    ),
    (
        "{prediction_id}",
        "select user_id, min(prediction_id)::text as thing from risk.model_predictions group by user_id",
    ),
    (
        "{escalation_id}",
        "select user_id, min(escalation_id)::text as thing from social.escalations group by user_id",
    ),
    (
        "{consent_id}",
        "select user_id, min(consent_id)::text as thing from core.consents group by user_id",
    ),
    (
        "{card_id}",
        "select user_id, min(card_id)::text as thing from social.family_share_cards group by user_id",
    ),
    (
        "{grant_id}",
        "select client_id as user_id, min(grant_id)::text as thing from core.break_glass_grants group by client_id",
    ),
    (
        "{preference_id}",
        "select user_id, min(id)::text as thing from core.stated_preferences group by user_id",
    ),
    (
        "{face_id}",
        "select user_id, min(id)::text as thing from core.face_embeddings group by user_id",
    ),
    (
        "{session_key}",
        "select client_id as user_id, min(session_key) as thing from core.interaction_sessions group by client_id",
    ),
    (
        "{memory_id}",
        "select user_id, id::text as thing from core.memories",
    ),
    (
        "{collection_id}",
        "select user_id, id::text as thing from core.memory_collections",
    ),
];

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_file(anchor(&self.database)).ok();
    }
}

/// Every caller has a token, and so has every client who is somebody's own.
fn token(holder: &str) -> String {
    format!("rcv_matrix_{holder}")
}

fn anchor(database: &TestDb) -> std::path::PathBuf {
    let name = Sha256::digest(secrecy::ExposeSecret::expose_secret(&database.owner_url()));
    std::env::temp_dir().join(format!("recoverly-anchor-{}", hex::encode(&name[..8])))
}

fn start(database: &TestDb) -> HashMap<&'static str, Service> {
    let nowhere = || SecretString::from("amqp://127.0.0.1:1/none");
    let settings = |name| Settings::for_testing(name, database.url(name), nowhere());
    let metrics = |name| Metrics::isolated(name).unwrap();
    let config = Config::for_testing(anchor(database));
    HashMap::from([
        (
            "core",
            core_service::start(&settings("core"), config, metrics("core")).unwrap(),
        ),
        (
            "social",
            social_service::start(
                &settings("social"),
                &social_service::Config::default(),
                Clock::database(),
                metrics("social"),
            )
            .unwrap(),
        ),
        (
            "risk",
            risk_service::start(
                &settings("risk"),
                &risk_service::Config::default(),
                Clock::database(),
                metrics("risk"),
            )
            .unwrap(),
        ),
        (
            "reco",
            reco_service::start(&settings("reco"), metrics("reco")).unwrap(),
        ),
        (
            "causal",
            causal_service::start(&settings("causal"), metrics("causal")).unwrap(),
        ),
    ])
}

/// Staff, programs and two people who are nobody's client, with a token each.
fn principals() -> String {
    let staff = "('staff-counselor', 'counselor'), ('staff-counselor_other', 'counselor'), ('staff-oncall', 'oncall'),
        ('staff-oncall_untold', 'oncall'), ('staff-supervisor', 'supervisor'), ('staff-supervisor_other', 'supervisor'),
        ('staff-admin', 'admin'), ('staff-auditor', 'auditor'), ('staff-staff_without_role', null), ('staff-suspended', 'admin'),
        ('staff-stranger', 'counselor'), ('staff-strangersupervisor', 'supervisor')";
    format!(
        "create temp table planted (user_id varchar, role varchar);
         insert into planted values {staff};
         insert into core.users (user_id, kind, username, display_name, status)
         select user_id, 'staff', user_id, user_id, case user_id when 'staff-suspended' then 'suspended' else 'active' end
         from planted;
         insert into core.staff_roles (user_id, role) select user_id, role from planted where role is not null;
         insert into core.teams (name) values ('theirs'), ('strangers');
         insert into core.team_members (team_id, staff_id, part) values (1, 'staff-supervisor', 'supervisor'),
             (1, 'staff-counselor', 'member'), (2, 'staff-strangersupervisor', 'supervisor'), (2, 'staff-stranger', 'member');
         insert into core.users (user_id, kind, username) values
             ('person-person', 'client', 'person-person'), ('person-other_person', 'client', 'person-other_person');
         insert into core.api_clients (client_id, kind, name)
         select 'program-' || kind, kind, kind from unnest(array['app', 'pipeline', 'service']) kind;
         insert into core.access_tokens (token_hash, subject, expires_at)
         select sha256(convert_to('rcv_matrix_' || split_part(user_id, '-', 2), 'UTF8')), user_id, now() + interval '1 hour'
         from core.users;
         insert into core.access_tokens (token_hash, client_id, expires_at)
         select sha256(convert_to('rcv_matrix_' || kind, 'UTF8')), client_id, now() + interval '1 hour'
         from core.api_clients;
         insert into core.api_clients (client_id, kind, name) values ('program-spare', 'app', 'spare');"
    )
}

/// Clients with a token each, and who sees them.
fn people(clients: &[String]) -> String {
    let ids: Vec<String> = clients.iter().map(|id| format!("('{id}')")).collect();
    format!(
        "create temp table listed (user_id varchar);
         insert into listed values ('{OTHER}'), {};
         create temp table own as select user_id from listed where user_id not like '{OTHER}%';
         create temp table strangers as select user_id from listed where user_id like '{OTHER}%';
         insert into core.users (user_id, kind, username, full_name)
         select user_id, 'client', user_id, 'name-of-' || user_id from listed;
         insert into core.access_tokens (token_hash, subject, expires_at)
         select sha256(convert_to('rcv_matrix_' || user_id, 'UTF8')), user_id, now() + interval '1 hour' from own;
         insert into core.caseload_assignments (client_id, staff_id)
         select user_id, 'staff-counselor' from own union all
         select user_id, 'staff-suspended' from listed union all
         select user_id, 'staff-stranger' from strangers;",
        ids.join(",")
    )
}

/// One of everything for every client: a message, a prediction, a nudge that was sent, an escalation that on-call was told
/// of. Each holds a marker that names its owner.
fn belongings() -> String {
    [OF_SOCIAL, OF_RISK, OF_CORE].concat()
}

const OF_SOCIAL: &str = "
    create temp table planted_clients as
         select user_id from core.users where kind = 'client' and user_id not like 'person-%';
     insert into core.messages (user_id, message_text, timestamp, conversation_type)
     select user_id, 'text-of-' || user_id, now() - interval '1 hour', 'buddy' from planted_clients;
     insert into social.user_risk_profiles (user_id, policy_version)
     select user_id, 'fusion_v2' from planted_clients;
     insert into social.message_predictions (message_id, user_id, timestamp, message_timestamp, p_craving, p_relapse,
         p_negative_mood, p_neutral, p_toxic, p_isolation, risk_score, conversation_type, model_version)
     select message_id, user_id, timestamp, timestamp, 0.1, 0.1, 0.1, 0.7, 0, 0.1, 0.1, 'buddy', 'm1' from core.messages;
     insert into social.safety_events (message_id, user_id, risk_level, show_crisis_banner)
     select message_id, user_id, 'low', false from core.messages where sender_role = 'user';
     insert into social.screener_answers (user_id, answered_at, wish_to_be_dead, suicidal_thoughts, thoughts_of_method, intent,
        plan_with_intent, behaviour, urgency)
     select user_id, '2026-06-15T08:00:00Z', true, false, false, false, false, 'never', 'medium' from planted_clients;
     insert into social.crisis_resources (name, phone, hours) values ('Line', '142', 'at any hour');
     insert into social.nudges (user_id, nudge_type, nudge_message, risk_level, source, status, send_after, expires_at)
     select user_id, 'check_in', 'nudge-of-' || user_id, 'LOW_RISK', 'rule', 'sent', now(), now() + interval '1 day'
     from planted_clients;
     insert into social.escalations (user_id, escalation_type, urgency, risk_level, trigger_reason, status)
     select user_id, 'profile_risk', 'high', 'HIGH_RISK', 'reason-of-' || user_id, 'notified' from planted_clients;
     insert into core.temporary_access (staff_id, client_id, cause, reference, until)
     select 'staff-oncall', e.user_id, 'escalation', e.escalation_id, 'infinity'
     from social.escalations e where e.user_id not like 'client-of-strangers%';
     insert into core.break_glass_grants (staff_id, client_id, reason, created_at, expires_at)
     select 'staff-suspended', user_id, 'reason-of-' || user_id, now() - interval '2 hours', now() - interval '1 hour'
     from planted_clients;
     insert into core.staff_roles (user_id, role) values ('staff-stranger', 'oncall');
     insert into social.oncall_schedules (name, timezone) values ('first line', 'UTC');
     insert into social.oncall_rotations (schedule_id, name, kind, shift_days, starts_on) values (1, 'weekly', 'weekly', 7, '2026-01-05');
     insert into core.consents (user_id, purpose, recipient) select user_id, 'family_share', 'contact-1' from planted_clients;
     insert into social.family_share_consents (consent_id, user_id, contact_label, consent_scope)
     select consent_id, user_id, 'my sister', 'summary_card' from core.consents;
     insert into social.family_share_cards (consent_id, user_id, title, body)
     select consent_id, user_id, 'card-of-' || user_id, 'text' from core.consents;";

const OF_RISK: &str = "
     insert into risk.feature_sets (version, features, created_by)
     values ('fusion_v2', '[{\"name\": \"sleeps\", \"type\": \"boolean\", \"nullable\": false, \"subgroup\": false, \"texts\": {}}]', 'x');
     insert into risk.model_versions (model_name, version, feature_set_version, stage_by, threshold_moderate, threshold_high,
        threshold_very_high, registered_by)
     values ('relapse-7d', 'fusion_v2', 'fusion_v2', 'x', 0.3, 0.5, 0.8, 'pipeline:program-pipeline');
     insert into risk.feature_snapshots (user_id, captured_at, feature_set_version, features, source, features_hash)
     select user_id, now() - interval '1 hour', 'fusion_v2', '{\"sleeps\": true}', 'features-of-' || user_id, sha256('')
     from planted_clients;
     insert into risk.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at, horizon_days,
        probability, risk_level, threshold, stage, metadata)
     select user_id, snapshot_id, 'relapse-7d', 'fusion_v2', captured_at, 7, 0.1, 'LOW', 0.8, 'shadow',
        jsonb_build_object('of', 'metadata-of-' || user_id)
     from risk.feature_snapshots;
     insert into risk.outcomes (user_id, kind, occurred_at, source)
     select p.user_id, 'abstinent', '2026-01-15T12:00:00Z', s.source
     from planted_clients p, (values ('counselor'), ('pipeline')) as s (source);
     insert into risk.prediction_reviews (prediction_id, user_id, staff_id, decision, reason)
     select prediction_id, user_id, 'staff-counselor', 'accept', 'reason-of-' || user_id from risk.model_predictions;";

const OF_CORE: &str = "
     insert into core.user_preferences (user_id, theme) select user_id, 'dark' from planted_clients;
     insert into core.user_profiles (user_id, profile_key, profile_value)
     select user_id, 'color', 'color-of-' || user_id from planted_clients;
     insert into core.stated_preferences (user_id, kind, category, value)
     select user_id, 'like', 'drink', 'drink-of-' || user_id from planted_clients;
     insert into core.chat_threads (id, user_id, role, thread_id, title)
     select gen_random_uuid(), user_id, 'counselor', 'main', 'title-of-' || user_id from planted_clients;
     insert into core.messages (user_id, message_text, conversation_type, sender_role, thread_pk)
     select user_id, 'reply-of-' || user_id, 'assistant', 'assistant', id from core.chat_threads;
     insert into core.message_ai_metadata (message_id, user_id, ai_core_version, is_mistake)
     select message_id, user_id, '2.1', 1 from core.messages where sender_role = 'assistant';
     insert into core.consents (user_id, purpose) select user_id, 'biometrics' from planted_clients;
     insert into core.face_embeddings (user_id, embedding, model_name, idempotency_hash)
     select user_id, (array[row_number() over ()]::real[] || array_fill(1::real, array[511]))::vector, 'face-512',
        'face-of-' || user_id
     from planted_clients;
     insert into core.interaction_sessions (id, session_key, employee_id, client_id)
     select gen_random_uuid(), 'session-' || md5(user_id), 'staff-counselor', user_id from planted_clients;
     insert into core.transcript_chunks (session_id, chunk_index, content)
     select id, 0, 'said-by-' || client_id from core.interaction_sessions;
     insert into core.coaching_notes (session_id, note)
     select id, 'note-on-' || client_id from core.interaction_sessions;
     insert into core.consents (user_id, purpose) select user_id, 'memory' from planted_clients;
     insert into core.embedding_models (name, dimensions, purpose) values ('tiny-3', 3, 'text');
     insert into core.memories (id, user_id, memory_type, entry_type, content)
     select gen_random_uuid(), user_id, 'personal', 'nugget', 'memory-of-' || user_id from planted_clients;
     update core.embedding_leases set leased_by = 'program-pipeline', lease_until = now() + interval '1 hour';
     insert into core.memory_collections (id, user_id, collection_type, name, created_by, updated_by)
     select gen_random_uuid(), user_id, 'goal', 'goal-of-' || user_id, 'self', 'self' from planted_clients;
     insert into core.memory_collection_items (collection_id, memory_id, user_id, added_by)
     select c.id, m.id, m.user_id, 'self'
     from core.memories m join core.memory_collections c on c.user_id = m.user_id;
     insert into core.consents (user_id, purpose) select user_id, 'meeting' from planted_clients;
     insert into social.meetings (user_id, meeting_type, scheduled_time, ends_at, user_consent, status, notes)
     select user_id, 'session', at, at + interval '30 minutes', true, 'proposed', 'met-with-' || user_id
     from planted_clients, (select now() + interval '90 days' as at) as later;";

/// What a stranger's client would be known by in an answer.
pub(crate) fn shows_the_other(answer: &str) -> bool {
    answer.contains(OTHER)
}

/// The own client of a cell; one for each, so that one cell's write is not in the way of another's.
pub(crate) fn own_client(row: &Row, caller: &Caller) -> String {
    format!("c-{}", cell_name(row, caller))
}

/// A client of strangers whom a cell may write to all the same.
pub(crate) fn reached_stranger(row: &Row, caller: &Caller) -> String {
    format!("{OTHER}-{}", cell_name(row, caller))
}

fn cell_name(row: &Row, caller: &Caller) -> String {
    let route = hex::encode(&Sha256::digest(format!("{} {}", row.service, row.route()))[..6]);
    format!("{route}-{}", caller.name.replace('_', "-"))
}
