//! Nudges whose time has come are sent: in the app they can be read from then on. What was looked at when they were made is
//! looked at once more; those that came too late expire.

use std::collections::HashMap;

use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::contracts::{NudgeChanged, nudge};
use serde_json::json;

use crate::domain::nudge::{Circumstances, Release, Source, Withheld, release};
use crate::error::Error;
use crate::ops::decide::decided;
use crate::state::State;
use crate::store::actions;
use crate::store::nudges::{self, Due};

/// Clients of one round, and so of one transaction; few have more than one nudge that is due.
const MAX_CLIENTS: i64 = 500;

/// Sends, holds, withholds or expires what is due; returns how many.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let tx = state.db.begin_worker().await?;
    let (due, circumstances) = nudges::lock_due(&tx, state.clock.fixed(), MAX_CLIENTS).await?;
    let settled = settle(&due, circumstances);
    let Some(now) = settled.now else {
        tx.rollback().await?;
        return Ok(0);
    };
    nudges::settle(&tx, &settled.releases, now).await?;
    let mut events = settled.sent()?;
    let decisions = settled.decisions(now);
    let action_ids = actions::insert(&tx, &decisions).await?;
    for (decision, action_id) in decisions.iter().zip(action_ids) {
        events.push(decided(decision, action_id)?);
    }
    state.outbox.enqueue(&tx, events);
    tx.commit().await?;
    Ok(settled.releases.len() as u64)
}

/// What becomes of nudges.
struct Settled<'a> {
    /// `None` where there are none.
    now: Option<DateTime<Utc>>,
    /// By the place of its nudge in `due`.
    releases: Vec<(i64, Release)>,
    due: Vec<&'a Due>,
}

/// One after the other: what one client got now counts for the next.
fn settle(due: &[Due], mut circumstances: HashMap<String, Circumstances>) -> Settled<'_> {
    let mut settled = Settled {
        now: None,
        releases: Vec::new(),
        due: Vec::new(),
    };
    for due in due {
        let Some(of) = circumstances.get_mut(&due.nudge.user_id) else {
            continue;
        };
        let release = release(of, (due.source, due.label), due.nudge.expires_at);
        if matches!(release, Release::Send(_)) && due.source != Source::Meeting {
            of.reached.push(of.now);
        }
        settled.now = Some(of.now);
        settled.releases.push((due.nudge.nudge_id, release));
        settled.due.push(due);
    }
    settled
}

impl Settled<'_> {
    fn each(&self) -> impl Iterator<Item = (&Due, Release)> {
        let releases = self.releases.iter().map(|(_, release)| *release);
        self.due.iter().copied().zip(releases)
    }

    /// What the others must be told.
    fn sent(&self) -> Result<Vec<NewEvent>, Error> {
        self.each()
            .filter_map(|(due, release)| match release {
                Release::Send(channel) => Some((&due.nudge, channel)),
                Release::Hold(_) | Release::Expire | Release::Withhold(_) => None,
            })
            .map(|(sent, channel)| {
                let data = NudgeChanged {
                    nudge_id: sent.nudge_id,
                    user_id: sent.user_id.clone(),
                    nudge_type: sent.nudge_type.clone(),
                    status: "sent".to_owned(),
                    user_response: None,
                    channel: Some(channel.as_str().to_owned()),
                    recommendation_id: sent.recommendation_id,
                };
                Ok(NewEvent::new(nudge::SENT, Some(sent.user_id.clone()), &data)?)
            })
            .collect()
    }

    /// What was decided anew: to withhold what had been meant to be sent.
    fn decisions(&self, now: DateTime<Utc>) -> Vec<actions::Insert> {
        self.each()
            .filter_map(|(due, release)| match release {
                Release::Withhold(reason) => Some(withheld(due, reason, now)),
                Release::Send(_) | Release::Hold(_) | Release::Expire => None,
            })
            .collect()
    }
}

fn withheld(due: &Due, reason: Withheld, now: DateTime<Utc>) -> actions::Insert {
    let kind = &due.nudge.nudge_type;
    actions::Insert {
        user_id: due.nudge.user_id.clone(),
        decided_at: now,
        action_type: "none",
        risk_level: due.label,
        chosen: "none".to_owned(),
        action_data: json!({"nudge_id": due.nudge.nudge_id, "recommendation_id": due.nudge.recommendation_id}),
        status: "withheld",
        ai_reasoning: format!("A nudge that was waiting is not sent: {}.", reason.as_str()),
        // What the client wants, and what they got, is known.
        confidence_score: 1.0,
        policy_version: due.policy_version.clone(),
        eligible: vec![kind.clone()],
        probability: None,
        withheld_reason: Some(reason.as_str()),
        source: due.source,
        arms: vec![actions::Arm {
            arm: kind.clone(),
            eligible: true,
            reason: None,
        }],
        seed: None,
    }
}
