//! Acting on profiles for which a decision is due: nudges, escalations, a meeting proposed, and a record of each
//! decision, also of the one to do nothing.

use std::collections::HashMap;

use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::contracts::{ActionDecided, nudge};
use common::{EscalationStatus, EscalationType};
use db::Tx;
use serde_json::json;

use super::offer::nudge_changed;
use super::raise::{self, Raised};
use crate::domain::escalation::Trigger;
use crate::domain::family::{self, NotTold, Notice, Told};
use crate::domain::intervention::{self, escalates, plan};
use crate::domain::nudge::{NudgeChoice, NudgeDecision, Source, Withheld, choose_nudge, reconsider_at};
use crate::domain::profile::Profile;
use crate::error::Error;
use crate::store::escalations::Escalation;
use crate::store::{actions, circumstances, family as family_store, meetings, nudges};

/// A profile on which the rules decide now.
pub(crate) struct Due<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) high_risk_evidence: bool,
}

/// What was decided.
#[derive(Default)]
pub(crate) struct Decisions {
    /// The actions of each client, as answers tell of them.
    pub(crate) actions: HashMap<String, Vec<Action>>,
    /// The episode of each client that opened or joined one.
    pub(crate) escalations: HashMap<String, i64>,
    /// When a client's withheld nudge is thought of again.
    pub(crate) reconsider_at: HashMap<String, DateTime<Utc>>,
    /// What the others must be told.
    pub(crate) events: Vec<NewEvent>,
}

/// One decision, as the answer to a prediction tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) action_id: i64,
    pub(crate) action_type: &'static str,
    pub(crate) chosen: String,
    pub(crate) status: &'static str,
    pub(crate) withheld_reason: Option<&'static str>,
}

/// Decides and writes. Its statements do not grow in number with the clients.
pub(crate) async fn decide(tx: &Tx, due: &[Due<'_>]) -> Result<Decisions, Error> {
    let Some(first) = due.first() else {
        return Ok(Decisions::default());
    };
    let now = first.profile.windows.now;
    let profiles: Vec<&Profile> = due.iter().map(|due| due.profile).collect();
    let chosen = choose(tx, &profiles).await?;
    let triggers: Vec<Trigger> = due
        .iter()
        .filter(|due| escalates(due.profile, due.high_risk_evidence))
        .map(|due| trigger(due.profile))
        .collect();
    let sent = sendable(&chosen);
    let nudge_ids = nudges::insert(tx, &sent).await?;
    let nudges: HashMap<&str, Sent<'_>> = sent
        .iter()
        .zip(nudge_ids)
        .map(|(row, nudge_id)| (row.user_id.as_str(), Sent { nudge_id, row }))
        .collect();
    let raised = raise::raise(tx, &triggers, Some(now)).await?;
    let opened = raised
        .episodes
        .iter()
        .filter(|episode| episode.trigger_count == 1);
    let clients_of_opened: Vec<&str> = opened.filter_map(|episode| episode.user_id.as_deref()).collect();
    meetings::propose_urgent(tx, &clients_of_opened, now).await?;
    let family = tell_family(tx, &clients_of_opened, &chosen, now).await?;
    let rows: Vec<actions::Insert> = chosen
        .iter()
        .flat_map(
            |Chosen {
                 profile, decision, ..
             }| {
                records(
                    profile,
                    decision,
                    nudges.get(profile.user_id.as_str()),
                    (&raised, &family),
                )
            },
        )
        .collect();
    let ids = actions::insert(tx, &rows).await?;
    let mut decisions = Decisions {
        escalations: raised
            .episodes
            .iter()
            .filter_map(|episode| Some((episode.user_id.clone()?, episode.escalation_id)))
            .collect(),
        events: raised.events,
        actions: HashMap::new(),
        reconsider_at: chosen
            .iter()
            .filter_map(|chosen| Some((chosen.profile.user_id.clone(), chosen.reconsider_at?)))
            .collect(),
    };
    for Sent { nudge_id, row } in nudges.values() {
        let created = nudge_changed(nudge::CREATED, *nudge_id, row)?;
        decisions.events.push(created);
    }
    for (row, action_id) in rows.iter().zip(ids) {
        decisions.events.push(decided(row, action_id)?);
        decisions
            .actions
            .entry(row.user_id.clone())
            .or_default()
            .push(answer(row, action_id));
    }
    Ok(decisions)
}

/// A client's nudge as it was chosen.
struct Chosen<'a> {
    profile: &'a Profile,
    decision: NudgeDecision,
    reconsider_at: Option<DateTime<Utc>>,
    /// What family is told, where it is.
    notice: Option<Notice>,
}

/// A nudge that was made.
struct Sent<'a> {
    nudge_id: i64,
    row: &'a nudges::Insert,
}

/// Chooses each client's nudge from what they got already and what time it is for them.
async fn choose<'a>(tx: &Tx, profiles: &[&'a Profile]) -> Result<Vec<Chosen<'a>>, db::Error> {
    let asked: Vec<circumstances::Asked<'_>> = profiles
        .iter()
        .map(|profile| (profile.user_id.as_str(), profile.label_since))
        .collect();
    let now = profiles.first().map(|profile| profile.windows.now);
    let (found, templates) = circumstances::read(tx, &asked, now).await?;
    let choices = profiles.iter().filter_map(|profile| {
        let of = found.get(&profile.user_id)?;
        let decision = choose_nudge(profile, of, &templates);
        let reconsider_at = reconsider_at(profile, &decision, of);
        Some(Chosen {
            profile,
            decision,
            reconsider_at,
            notice: family::notice(&templates, &of.reader),
        })
    });
    Ok(choices.collect())
}

/// Tells the family of those for whom an episode was opened, as far as they consented. Where none was, nothing is asked.
async fn tell_family(
    tx: &Tx,
    opened: &[&str],
    chosen: &[Chosen<'_>],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Told>, db::Error> {
    if opened.is_empty() {
        return Ok(HashMap::new());
    }
    let of_opened = chosen
        .iter()
        .filter(|chosen| opened.contains(&chosen.profile.user_id.as_str()));
    let asked: Vec<(&str, Option<&Notice>)> = of_opened
        .map(|chosen| (chosen.profile.user_id.as_str(), chosen.notice.as_ref()))
        .collect();
    family_store::notify(tx, &asked, now).await
}

fn sendable(chosen: &[Chosen<'_>]) -> Vec<nudges::Insert> {
    chosen
        .iter()
        .filter_map(
            |Chosen {
                 profile, decision, ..
             }| match &decision.choice {
                NudgeChoice::Send {
                    nudge,
                    text,
                    slot,
                    expires_at,
                } => Some(nudges::Insert {
                    user_id: profile.user_id.clone(),
                    nudge_type: nudge.as_str().to_owned(),
                    nudge_message: text.message.clone(),
                    risk_level: profile.label,
                    source: Source::Rule,
                    created_at: profile.windows.now,
                    send_after: slot.send_after,
                    expires_at: *expires_at,
                    channel: slot.channel,
                    withheld_reason: None,
                    // One instant decides once.
                    dedup_key: Some(format!("rule/{}", profile.windows.now.timestamp_micros())),
                    recommendation_id: None,
                }),
                NudgeChoice::Withhold(_) => None,
            },
        )
        .collect()
}

fn trigger(profile: &Profile) -> Trigger {
    let reasons: Vec<&str> = profile
        .reasons
        .iter()
        .map(|reason| reason.text.as_str())
        .collect();
    Trigger {
        user_id: profile.user_id.clone(),
        escalation_type: EscalationType::ProfileRisk,
        urgency: plan(profile.label).urgency,
        risk_score: profile.windows.short_max.map(common::Probability::as_f64),
        risk_level: profile.label.as_str().to_owned(),
        reason: reasons.join(" "),
        data: json!(profile.reasons),
    }
}

/// The rows in `social.actions` of one client's decision: what was done, and what was deliberately not.
fn records(
    profile: &Profile,
    decision: &NudgeDecision,
    sent: Option<&Sent<'_>>,
    (raised, family): (&Raised, &HashMap<String, Told>),
) -> Vec<actions::Insert> {
    let row = |action_type, chosen: &str, action_data, ai_reasoning: String| actions::Insert {
        action_type,
        chosen: chosen.to_owned(),
        action_data,
        ai_reasoning,
        ..done(profile, decision)
    };
    let because = |what: &str| format!("{} because the label is {}.", what, profile.label);
    let withheld = |row: actions::Insert, reason| actions::Insert {
        status: "withheld",
        withheld_reason: Some(reason),
        ..row
    };
    let mut rows = vec![match &decision.choice {
        NudgeChoice::Send {
            nudge, text, slot, ..
        } => {
            let data = json!({
                "nudge_id": sent.map(|sent| sent.nudge_id), "send_after": slot.send_after,
                "template_id": text.template_id, "channel": slot.channel.as_str(),
            });
            row("nudge", nudge.as_str(), data, because("A nudge"))
        }
        NudgeChoice::Withhold(reason) => {
            let text = format!("No nudge: {}.", reason.as_str());
            withheld(row("none", "none", json!({}), text), reason.as_str())
        }
    }];
    let Some(episode) = raised.about(&profile.user_id) else {
        return rows;
    };
    let fixed = |row: actions::Insert| actions::Insert {
        eligible: Vec::new(),
        probability: None,
        arms: Vec::new(),
        seed: None,
        ..row
    };
    let data = json!({"escalation_id": episode.escalation_id, "trigger_count": episode.trigger_count});
    rows.push(fixed(row(
        "escalation",
        "escalation",
        data.clone(),
        told(episode),
    )));
    if episode.trigger_count == 1 {
        rows.push(fixed(row(
            "meeting",
            "urgent_meeting",
            data,
            because("An urgent meeting is proposed"),
        )));
        rows.push(fixed(match family.get(&profile.user_id) {
            Some(Told::Cards(ids)) => row(
                "family_notice",
                "family_card",
                json!({"card_ids": ids}),
                "A card that asks family to be in touch waits to be shared, under a consent for periodic updates.".to_owned(),
            ),
            not_told => {
                let reason = match not_told {
                    Some(Told::Withheld(reason)) => *reason,
                    _ => NotTold::NoConsent,
                };
                let text = format!("Family is not told: {}.", reason.words());
                withheld(row("family_notice", "none", json!({}), text), reason.as_str())
            }
        }));
    }
    rows
}

/// What became of the trigger, in words for the record.
fn told(episode: &Escalation) -> String {
    if episode.trigger_count > 1 {
        format!(
            "Trigger number {} of an episode that is open already; nobody is told again.",
            episode.trigger_count
        )
    } else if episode.status == EscalationStatus::Pending {
        "An episode was opened; nobody could be told of it yet.".to_owned()
    } else {
        "An episode was opened and staff were told of it.".to_owned()
    }
}

/// Something that was done to a client, with how their nudge was chosen.
fn done(profile: &Profile, decision: &NudgeDecision) -> actions::Insert {
    actions::Insert {
        user_id: profile.user_id.clone(),
        decided_at: profile.windows.now,
        action_type: "none",
        risk_level: profile.label,
        chosen: "none".to_owned(),
        action_data: json!({}),
        status: "done",
        ai_reasoning: String::new(),
        confidence_score: intervention::confidence(profile),
        policy_version: profile.policy_version.clone(),
        eligible: decision
            .eligible()
            .map(|nudge| nudge.as_str().to_owned())
            .collect(),
        probability: decision.drawn.map(|drawn| drawn.probability),
        withheld_reason: None,
        source: Source::Rule,
        arms: arms(decision),
        seed: decision.drawn.map(|drawn| drawn.seed),
    }
}

/// What there was to choose from.
fn arms(decision: &NudgeDecision) -> Vec<actions::Arm> {
    let arms = decision.arms.iter().map(|arm| actions::Arm {
        arm: arm.nudge.as_str().to_owned(),
        eligible: arm.text.is_some(),
        reason: arm.text.is_none().then(|| Withheld::NoTemplate.as_str()),
    });
    arms.collect()
}

/// Tells of a row of `social.actions`.
pub(crate) fn decided(row: &actions::Insert, action_id: i64) -> Result<NewEvent, Error> {
    let data = ActionDecided {
        action_id,
        user_id: row.user_id.clone(),
        decided_at: row.decided_at,
        risk_label: row.risk_level,
        chosen: row.chosen.clone(),
        eligible: row.eligible.clone(),
        probability: row.probability,
        policy_version: row.policy_version.clone(),
        source: Some(row.source.as_str().to_owned()),
        withheld_reason: row.withheld_reason.map(str::to_owned),
    };
    Ok(NewEvent::of(Some(row.user_id.clone()), &data)?)
}

fn answer(row: &actions::Insert, action_id: i64) -> Action {
    Action {
        action_id,
        action_type: row.action_type,
        chosen: row.chosen.clone(),
        status: row.status,
        withheld_reason: row.withheld_reason,
    }
}
