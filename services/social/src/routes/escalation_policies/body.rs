//! What staff say of a policy.

use common::EscalationType;
use utoipa::ToSchema;
use web::{Fields, Read, read};

use crate::store::escalation_policies::{Said, Target, Tier};

const MAX_NAME_BYTES: usize = 255;
const MAX_TIERS: usize = 20;
const MAX_TARGETS: usize = 20;
/// Of the wait before a tier.
const MAX_DELAY_MINUTES: i32 = 9_000;
const MAX_REPEATS: i32 = 10;
const MAX_ACK_MINUTES: i32 = 1_440;
const ACK_DEFAULT_MINUTES: i32 = 30;
const REPEAT_DEFAULT_MINUTES: i32 = 15;
const LAST_RESORTS: &[&str] = &["oncall", "supervisor"];
const TARGETS: &[&str] = &["staff", "schedule", "counselors"];
const METHODS: &[&str] = &["in_app", "email", "webhook"];

/// A policy: its tiers in the order in which they are told.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Said is what it is read into")]
pub(super) struct PolicyBody {
    /// Unique.
    #[schema(max_length = 255)]
    name: String,
    /// profile_risk, model_risk, safety, manual, silence or drill; absent: every type without a policy of its own.
    escalation_type: Option<String>,
    /// How long an acknowledgement holds without contact, 1 to 1,440; 30 by default.
    ack_minutes: Option<i32>,
    /// How often all tiers are told again before the last resort is, 0 to 10; 0 by default.
    repeats: Option<i32>,
    /// How long after the last tier they are told again, or the last resort is, and again, 1 to 9,000; 15 by default.
    repeat_minutes: Option<i32>,
    /// oncall or supervisor: everybody with this role is told when no tier has answered, until somebody does.
    last_resort: String,
    /// 1 to 20. One that has nobody at the time is passed at once.
    tiers: Vec<TierBody>,
}

/// Who is told at the same time.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Tier is what it is read into")]
struct TierBody {
    /// How long after the tier before, 0 to 9,000; 0 by default, and for the first tier: a crisis waits for nobody.
    delay_minutes: Option<i32>,
    /// 1 to 20.
    targets: Vec<TargetBody>,
}

/// Whom a tier tells.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Target is what it is read into")]
struct TargetBody {
    /// staff, schedule, or counselors: those of the client.
    target: String,
    /// For staff: who.
    staff_id: Option<String>,
    /// For schedule: whoever is on duty on it; absent, whoever is on duty at all.
    schedule_id: Option<i64>,
    /// in_app, email or webhook: by which way first, besides the app; absent, by the first that they have.
    method: Option<String>,
}

impl Read for Said {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", read::words(1..=MAX_NAME_BYTES));
        let escalation_type = fields.optional(
            "escalation_type",
            read::parsed(
                |word| word.parse::<EscalationType>().ok(),
                "one of profile_risk, model_risk, safety, manual, silence, drill",
            ),
        );
        let ack_minutes = fields.optional("ack_minutes", read::integer(1..=MAX_ACK_MINUTES));
        let repeats = fields.optional("repeats", read::integer(0..=MAX_REPEATS));
        let repeat_minutes = fields.optional("repeat_minutes", read::integer(1..=MAX_DELAY_MINUTES));
        let last_resort = fields.required("last_resort", read::one_of(LAST_RESORTS));
        let tiers = fields.nested_list::<Tier>("tiers", 1..=MAX_TIERS);
        if let Some(tiers) = &tiers
            && tiers.first().is_some_and(|first| first.delay_minutes > 0)
        {
            fields.fault(
                "tiers",
                "must begin with a tier without delay_minutes: a crisis waits for nobody",
            );
            return None;
        }
        Some(Self {
            name: name?,
            escalation_type: escalation_type?,
            ack_minutes: ack_minutes?.unwrap_or(ACK_DEFAULT_MINUTES),
            repeats: repeats?.unwrap_or_default(),
            repeat_minutes: repeat_minutes?.unwrap_or(REPEAT_DEFAULT_MINUTES),
            last_resort: last_resort?,
            tiers: tiers?,
        })
    }
}

impl Read for Tier {
    const MAX_BODY_BYTES: usize = 64 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let delay_minutes = fields.optional("delay_minutes", read::integer(0..=MAX_DELAY_MINUTES));
        let targets = fields.nested_list("targets", 1..=MAX_TARGETS);
        Some(Self {
            delay_minutes: delay_minutes?.unwrap_or_default(),
            targets: targets?,
        })
    }
}

impl Read for Target {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let target = fields.required("target", read::one_of(TARGETS));
        let staff_id = fields.optional("staff_id", read::identifier);
        let schedule_id = fields.optional("schedule_id", read::integer(1..=i64::MAX));
        let method = fields.optional("method", read::one_of(METHODS));
        let (target, staff_id, schedule_id) = (target?, staff_id?, schedule_id?);
        if (target == "staff") != staff_id.is_some() {
            fields.fault("staff_id", "is required for the target staff, and for that alone");
            return None;
        }
        if target != "schedule" && schedule_id.is_some() {
            fields.fault("schedule_id", "is for the target schedule alone");
            return None;
        }
        Some(Self {
            target,
            staff_id,
            schedule_id,
            method: method?,
        })
    }
}
