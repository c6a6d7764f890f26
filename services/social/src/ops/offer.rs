//! Nudges that others than the rules want a client to have: a counselor, or a recommendation. They are bound by the same
//! limits, hours and channels, and decided on record like the rules' own.

use std::collections::HashMap;

use bus::{NewEvent, Outbox};
use chrono::{DateTime, TimeDelta, Utc};
use common::RiskLabel;
use common::contracts::{NudgeChanged, nudge};
use db::Tx;
use serde_json::json;

use super::decide::decided;
use crate::domain::intervention::plan;
use crate::domain::nudge::{Channel, Circumstances, Slot, Source, Withheld};
use crate::domain::profile::Standing;
use crate::domain::template::{Templates, Text};
use crate::error::Error;
use crate::store::nudges::{self, Nudge};
use crate::store::{actions, circumstances, policies, profiles};

/// A nudge that somebody wants a client to have.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) user_id: String,
    pub(crate) source: Source,
    pub(crate) nudge_type: String,
    /// The kind as which it is told of where there is no text of its own.
    pub(crate) otherwise: Option<&'static str>,
    /// What a person wrote; else the text of its kind.
    pub(crate) message: Option<String>,
    /// Not before this time.
    pub(crate) send_after: Option<DateTime<Utc>>,
    pub(crate) lasts: Lasts,
    /// What its source calls it: it is offered once.
    pub(crate) key: Option<String>,
    /// With what probability its source chose it.
    pub(crate) probability: Option<f64>,
    pub(crate) recommendation_id: Option<i64>,
    /// Why, in words.
    pub(crate) reason: String,
}

/// When a nudge is out of date.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lasts {
    Until(DateTime<Utc>),
    /// So long from when it can first be sent.
    For(TimeDelta),
}

impl Offer {
    fn dedup_key(&self) -> Option<String> {
        let key = self.key.as_deref()?;
        Some(format!("{}/{key}", self.source.as_str()))
    }

    fn kinds(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.nudge_type.as_str()).chain(self.otherwise)
    }

    /// Whether a nudge that stands under its key is what it wants.
    fn repeats(&self, stands: &Nudge) -> bool {
        let message = self.message.as_ref();
        self.kinds().any(|kind| kind == stands.nudge_type)
            && message.is_none_or(|message| *message == stands.nudge_message)
    }
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// The nudge that was made now, also one that was withheld.
    Made(i64),
    /// The nudge that stands under this key.
    Stands(i64),
    /// Another nudge stands under this key.
    Differs,
    /// There is no such client.
    Nobody,
    /// There is no text of this kind.
    NoText,
}

/// Decides on offers in the order given, and writes. Its statements do not grow in number with them.
pub(crate) async fn offer(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    offers: &[Offer],
) -> Result<Vec<Offered>, Error> {
    let known = Known::read(tx, now, offers).await?;
    let policy_version = policies::active(tx).await?.version;
    let Judged {
        fates,
        rows,
        mut decisions,
    } = known.judge(offers, &policy_version);
    let ids = nudges::insert(tx, &rows).await?;
    let mut events = Vec::new();
    for (row, nudge_id) in rows
        .iter()
        .zip(&ids)
        .filter(|(row, _)| row.withheld_reason.is_none())
    {
        events.push(nudge_changed(nudge::CREATED, *nudge_id, row)?);
    }
    for (decision, row) in &mut decisions {
        let nudge_id = row.and_then(|row| ids.get(row));
        if let (Some(nudge_id), Some(data)) = (nudge_id, decision.action_data.as_object_mut()) {
            data.insert("nudge_id".to_owned(), json!(nudge_id));
        }
    }
    let decisions: Vec<actions::Insert> = decisions.into_iter().map(|(decision, _)| decision).collect();
    let action_ids = actions::insert(tx, &decisions).await?;
    for (decision, action_id) in decisions.iter().zip(action_ids) {
        events.push(decided(decision, action_id)?);
    }
    outbox.enqueue(tx, events);
    let fate = |fate| match fate {
        Fate::Row(row) => ids.get(row).map_or(Offered::Nobody, |id| Offered::Made(*id)),
        Fate::Known(offered) => offered,
    };
    Ok(fates.into_iter().map(fate).collect())
}

/// What decisions on offers rest on, read once the profiles of their clients are locked.
struct Known {
    standings: HashMap<String, Standing>,
    circumstances: HashMap<String, Circumstances>,
    templates: Templates,
    /// Client and key → the nudge that stands.
    stands: HashMap<(String, String), Nudge>,
}

/// What is to be written.
struct Judged {
    /// By the place of its offer.
    fates: Vec<Fate>,
    rows: Vec<nudges::Insert>,
    /// Each with the place of its nudge among the rows.
    decisions: Vec<(actions::Insert, Option<usize>)>,
}

enum Fate {
    /// The place of its nudge among those that are stored now.
    Row(usize),
    Known(Offered),
}

impl Known {
    async fn read(tx: &Tx, now: Option<DateTime<Utc>>, offers: &[Offer]) -> Result<Self, db::Error> {
        let clients: Vec<&str> = offers.iter().map(|offer| offer.user_id.as_str()).collect();
        let locked = profiles::lock_standings(tx, &clients).await?;
        let standings: HashMap<String, Standing> = locked
            .into_iter()
            .map(|standing| (standing.user_id.clone(), standing))
            .collect();
        let asked: Vec<circumstances::Asked<'_>> = standings
            .values()
            .map(|standing| (standing.user_id.as_str(), standing.label_since))
            .collect();
        let (circumstances, templates) = circumstances::read(tx, &asked, now).await?;
        let keys: Vec<(&str, String)> = offers
            .iter()
            .filter_map(|offer| Some((offer.user_id.as_str(), offer.dedup_key()?)))
            .collect();
        let stands = nudges::of_keys(tx, &keys).await?;
        Ok(Self {
            standings,
            circumstances,
            templates,
            stands: stands
                .into_iter()
                .map(|(key, nudge)| ((nudge.user_id.clone(), key), nudge))
                .collect(),
        })
    }

    /// One offer after the other: what one took is not there for the next of the same client.
    fn judge(mut self, offers: &[Offer], policy_version: &str) -> Judged {
        let mut judged = Judged {
            fates: Vec::new(),
            rows: Vec::new(),
            decisions: Vec::new(),
        };
        let mut given: HashMap<(&str, String), usize> = HashMap::new();
        for offer in offers {
            let fate = self.judge_one(offer, policy_version, &mut given, &mut judged);
            judged.fates.push(fate);
        }
        judged
    }

    fn judge_one<'a>(
        &mut self,
        offer: &'a Offer,
        policy_version: &str,
        given: &mut HashMap<(&'a str, String), usize>,
        judged: &mut Judged,
    ) -> Fate {
        let key = offer.dedup_key();
        if let Some(key) = &key {
            if let Some(stands) = self.stands.get(&(offer.user_id.clone(), key.clone())) {
                let offered = if offer.repeats(stands) {
                    Offered::Stands(stands.nudge_id)
                } else {
                    Offered::Differs
                };
                return Fate::Known(offered);
            }
            if let Some(row) = given.get(&(offer.user_id.as_str(), key.clone())) {
                return Fate::Row(*row);
            }
        }
        let (Some(standing), Some(of)) = (
            self.standings.get(&offer.user_id),
            self.circumstances.get_mut(&offer.user_id),
        ) else {
            return Fate::Known(Offered::Nobody);
        };
        let decision = Decision::on(offer, standing.label, of, &self.templates);
        let row = decision.row(offer, of).map(|row| {
            judged.rows.push(row);
            judged.rows.len() - 1
        });
        if let Ok(slot) = decision.slot {
            of.reached.push(slot.send_after);
        }
        judged
            .decisions
            .push((decision.record(offer, of.now, policy_version), row));
        if let (Some(key), Some(row)) = (key, row) {
            given.insert((&offer.user_id, key), row);
        }
        row.map_or(Fate::Known(Offered::NoText), Fate::Row)
    }
}

/// What was decided on one offer.
struct Decision {
    label: RiskLabel,
    /// What it is and says; `None` where there is no text for any of its kinds.
    said: Option<(String, Text)>,
    slot: Result<Slot, Withheld>,
    send_after: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Decision {
    fn on(offer: &Offer, label: RiskLabel, of: &Circumstances, templates: &Templates) -> Self {
        let send_after = offer.send_after.map_or(of.now, |at| at.max(of.now));
        let written = offer.message.as_ref().map(|message| Text {
            message: message.clone(),
            template_id: None,
        });
        let said = offer.kinds().find_map(|kind| {
            let text = written.clone().or_else(|| templates.text(kind, &of.reader))?;
            Some((kind.to_owned(), text))
        });
        let is_crisis = label == RiskLabel::High || of.in_crisis;
        let (expires_at, free) = match offer.lasts {
            Lasts::Until(at) => (at, of.slot(&plan(label), send_after, at)),
            Lasts::For(time) => {
                let free = of.slot(&plan(label), send_after, DateTime::<Utc>::MAX_UTC);
                let from = free.map_or(send_after, |slot| slot.send_after);
                (from + time, free)
            }
        };
        let slot = match (&said, offer.source) {
            (None, _) => Err(Withheld::NoTemplate),
            // Somebody drew what is recommended, and it is not what is needed now.
            (Some(_), Source::Reco) if is_crisis => Err(Withheld::Crisis),
            (Some(_), Source::Reco | Source::Rule | Source::Staff | Source::Meeting) => free,
        };
        Self {
            label,
            said,
            slot,
            send_after,
            expires_at,
        }
    }

    fn row(&self, offer: &Offer, of: &Circumstances) -> Option<nudges::Insert> {
        let (nudge_type, text) = self.said.as_ref()?;
        Some(nudges::Insert {
            user_id: offer.user_id.clone(),
            nudge_type: nudge_type.clone(),
            nudge_message: text.message.clone(),
            risk_level: self.label,
            source: offer.source,
            created_at: of.now,
            send_after: self.slot.map_or(self.send_after, |slot| slot.send_after),
            expires_at: self.expires_at,
            channel: self.slot.map_or(Channel::InApp, |slot| slot.channel),
            withheld_reason: self.slot.err(),
            dedup_key: offer.dedup_key(),
            recommendation_id: offer.recommendation_id,
        })
    }

    fn record(&self, offer: &Offer, now: DateTime<Utc>, policy_version: &str) -> actions::Insert {
        let (kind, template_id) = match &self.said {
            Some((kind, text)) => (kind, text.template_id),
            None => (&offer.nudge_type, None),
        };
        let is_eligible = self.said.is_some();
        let reason = self.slot.err().map(Withheld::as_str);
        let is_sent = reason.is_none();
        actions::Insert {
            user_id: offer.user_id.clone(),
            decided_at: now,
            action_type: if is_sent { "nudge" } else { "none" },
            risk_level: self.label,
            chosen: if is_sent { kind } else { "none" }.to_owned(),
            action_data: json!({
                "send_after": self.slot.ok().map(|slot| slot.send_after), "template_id": template_id,
                "recommendation_id": offer.recommendation_id,
            }),
            status: if is_sent { "done" } else { "withheld" },
            ai_reasoning: reason
                .map_or_else(|| offer.reason.clone(), |reason| format!("No nudge: {reason}.")),
            // Whoever wants it has reasons of their own.
            confidence_score: 1.0,
            policy_version: policy_version.to_owned(),
            eligible: is_eligible.then(|| kind.clone()).into_iter().collect(),
            probability: offer.probability.filter(|_| is_sent),
            withheld_reason: reason,
            source: offer.source,
            arms: vec![actions::Arm {
                arm: kind.clone(),
                eligible: is_eligible,
                reason: (!is_eligible).then(|| Withheld::NoTemplate.as_str()),
            }],
            seed: None,
        }
    }
}

/// Tells of a nudge that is stored now.
pub(crate) fn nudge_changed(
    event_type: &'static str,
    nudge_id: i64,
    row: &nudges::Insert,
) -> Result<NewEvent, Error> {
    let data = NudgeChanged {
        nudge_id,
        user_id: row.user_id.clone(),
        nudge_type: row.nudge_type.clone(),
        status: row.status().to_owned(),
        user_response: None,
        channel: Some(row.channel.as_str().to_owned()),
        recommendation_id: row.recommendation_id,
    };
    Ok(NewEvent::new(event_type, Some(row.user_id.clone()), &data)?)
}
