//! Computing profiles anew after something was written or time went by, and acting on what they have become.

use std::collections::{HashMap, HashSet};

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::contracts::ProfileChanged;
use db::{Row, Tx};

use super::decide::{self, Decisions};
use crate::domain::intervention;
use crate::domain::policy::Policy;
use crate::domain::profile::{Profile, Standing};
use crate::domain::readings::Readings;
use crate::error::Error;
use crate::store::{policies, profiles, windows};

/// What is computed, and why.
pub(crate) struct Recompute {
    pub(crate) policy: Policy,
    /// Locked profiles as they stand.
    pub(crate) standings: Vec<Standing>,
    /// What their windows are counted from, read once they were locked.
    pub(crate) readings: HashMap<String, Readings>,
    /// Clients about whom something high-risk was just stored.
    pub(crate) high_risk_evidence: HashSet<String>,
}

impl Recompute {
    /// Locks clients, then reads all that their profiles are made of, in one round trip.
    pub(crate) async fn lock(
        tx: &Tx,
        user_ids: &[&str],
        now: Option<DateTime<Utc>>,
    ) -> Result<Self, db::Error> {
        let clients: db::Params<'_> = &[&user_ids];
        let counted: db::Params<'_> = &[&user_ids, &now];
        let [messages, scored] = windows::of_clients().with(counted);
        let statements = [
            (profiles::LOCK, clients),
            messages,
            scored,
            (policies::ACTIVE, &[]),
        ];
        Self::from_rows(&tx.pipeline(&statements).await?)
    }

    /// From the results of a lock, of the two statements on windows, and of the active policy.
    pub(crate) fn from_rows(results: &[Vec<Row>]) -> Result<Self, db::Error> {
        let [locked, messages, scored, policy] = results else {
            return Err(db::Error::Row("a profile is read by four statements".to_owned()));
        };
        Ok(Self {
            policy: policies::from_rows(policy)?,
            standings: locked
                .iter()
                .map(profiles::standing_from_row)
                .collect::<Result<_, _>>()?,
            readings: windows::from_rows(messages, scored)?,
            high_risk_evidence: HashSet::new(),
        })
    }
}

/// The profiles as they are now, and what was decided on them.
pub(crate) struct Recomputed {
    pub(crate) profiles: HashMap<String, Profile>,
    pub(crate) decisions: Decisions,
}

/// Computes, decides, and writes profiles, history, decisions and events, `events` among them. Set-based: its statements
/// do not grow in number with the clients. Where there is nothing to decide, all of it goes with the commit.
pub(crate) async fn recompute(
    tx: &Tx,
    outbox: &Outbox,
    mut what: Recompute,
    mut events: Vec<NewEvent>,
) -> Result<Recomputed, Error> {
    let computed: Vec<(Profile, &Standing)> = what
        .standings
        .iter()
        .filter_map(|standing| {
            let readings = what.readings.remove(&standing.user_id)?;
            let windows = readings.count(&what.policy.thresholds);
            Some((Profile::compute(standing, windows, &what.policy), standing))
        })
        .collect();
    let due: Vec<decide::Due<'_>> = computed
        .iter()
        .map(|(profile, standing)| {
            (
                profile,
                standing,
                what.high_risk_evidence.contains(&profile.user_id),
            )
        })
        .filter(|(profile, standing, evidence)| intervention::is_due(profile, *evidence, standing))
        .map(|(profile, _, high_risk_evidence)| decide::Due {
            profile,
            high_risk_evidence,
        })
        .collect();
    let mut decisions = decide::decide(tx, &due).await?;
    let decided: HashSet<&str> = due.iter().map(|due| due.profile.user_id.as_str()).collect();
    let saves: Vec<profiles::Save<'_>> = computed
        .iter()
        .map(|(profile, standing)| {
            save(
                profile,
                standing,
                decided.contains(profile.user_id.as_str()),
                &decisions,
            )
        })
        .collect();
    let relabelled: Vec<&Profile> = computed
        .iter()
        .map(|(profile, _)| profile)
        .filter(|profile| profile.label_changed())
        .collect();
    events.append(&mut decisions.events);
    for (profile, _) in computed.iter().filter(|(profile, _)| profile.has_changed()) {
        events.push(profile_changed(profile)?);
    }
    profiles::save(tx, &saves);
    profiles::record_label_changes(tx, &relabelled);
    outbox.enqueue(tx, events);
    let profiles = computed
        .into_iter()
        .map(|(profile, _)| (profile.user_id.clone(), profile))
        .collect();
    Ok(Recomputed { profiles, decisions })
}

/// What is stored of a profile: what was decided now, or else stands from before.
fn save<'a>(
    profile: &'a Profile,
    standing: &Standing,
    is_decided: bool,
    decisions: &Decisions,
) -> profiles::Save<'a> {
    let (last_decision_at, nudge_reconsider_at) = if is_decided {
        (
            Some(profile.windows.now),
            decisions.reconsider_at.get(&profile.user_id).copied(),
        )
    } else {
        (standing.last_decision_at, standing.nudge_reconsider_at)
    };
    profiles::Save {
        profile,
        last_decision_at,
        nudge_reconsider_at,
        next_recompute_at: intervention::next_recompute_at(profile, last_decision_at, nudge_reconsider_at),
    }
}

fn profile_changed(profile: &Profile) -> Result<NewEvent, Error> {
    let data = ProfileChanged {
        user_id: profile.user_id.clone(),
        current_risk_label: profile.label,
        previous_risk_label: profile.previous_label,
        risk_trend: profile.risk_trend,
        short_avg_risk_score: profile.windows.short.mean_risk(),
        computed_at: profile.windows.now,
    };
    Ok(NewEvent::of(Some(profile.user_id.clone()), &data)?)
}
