//! Escalating what cannot wait for a profile, in the transaction that stores it.

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::SenderRole;
use common::contracts::SafetyFlagged;
use db::Tx;

use super::raise::raise;
use crate::domain::escalation::Trigger;
use crate::domain::safety::{Finding, Screener};
use crate::error::Error;
use crate::store::safety_events::{self, SafetyEvent};
use crate::store::screener_answers::{self, Answered};
use crate::store::{profiles, word};

/// What stands, and whether it was stored now.
pub(crate) type Standing<T> = (T, bool);

/// Stores what a check found of a client's own message, and escalates where it must. The same again finds what stands.
pub(crate) async fn flag(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    message_id: i64,
    finding: &Finding,
) -> Result<Standing<SafetyEvent>, Error> {
    let author = tx.query_opt(safety_events::AUTHOR, &[&message_id]).await?;
    let author = author.ok_or(Error::NotFound)?;
    if word::<SenderRole>(&author, "sender_role")? != SenderRole::User {
        return Err(Error::NotOwnMessage);
    }
    let user_id: String = author.try_get("user_id").map_err(db::Error::from)?;
    profiles::lock(tx, &[&user_id]).await?;
    let Some(mut event) = safety_events::insert(tx, message_id, &user_id, finding, now).await? else {
        return standing(tx, message_id, finding).await;
    };
    if let Some(trigger) = finding.trigger(&user_id, message_id) {
        let (escalation_id, mut events) = escalate(tx, trigger, now).await?;
        safety_events::name_escalation(tx, event.id, escalation_id).await?;
        event.escalation_id = Some(escalation_id);
        let flagged = SafetyFlagged {
            safety_event_id: event.id,
            message_id,
            user_id: user_id.clone(),
            flagged_at: event.created_at,
            escalation_id,
        };
        events.push(NewEvent::of(Some(user_id), &flagged)?);
        outbox.enqueue(tx, events);
    }
    Ok((event, true))
}

async fn standing(tx: &Tx, message_id: i64, finding: &Finding) -> Result<Standing<SafetyEvent>, Error> {
    let stands = tx.query_opt(&safety_events::find_sql(), &[&message_id]).await?;
    let stands = safety_events::from_row(&stands.ok_or(Error::NotFound)?)?;
    if stands.finding == *finding {
        Ok((stands, false))
    } else {
        Err(Error::FindingDiffers)
    }
}

/// Stores a client's answers to the screener, and escalates where it must. The same again finds what stands.
pub(crate) async fn screen(
    tx: &Tx,
    outbox: &Outbox,
    now: Option<DateTime<Utc>>,
    user_id: &str,
    screener: &Screener,
) -> Result<Standing<Answered>, Error> {
    profiles::lock(tx, &[user_id]).await?;
    let Some(mut answered) = screener_answers::insert(tx, user_id, screener).await? else {
        let stands = screener_answers::find(tx, user_id, screener.answered_at).await?;
        let stands = stands.ok_or(Error::NotFound)?;
        return if stands.screener == *screener {
            Ok((stands, false))
        } else {
            Err(Error::AnswersDiffer)
        };
    };
    if let Some(trigger) = screener.trigger(user_id) {
        let (escalation_id, events) = escalate(tx, trigger, now).await?;
        screener_answers::name_escalation(tx, answered.id, escalation_id).await?;
        answered.escalation_id = Some(escalation_id);
        outbox.enqueue(tx, events);
    }
    Ok((answered, true))
}

/// The episode that a trigger opened or joined, and what the others must be told.
async fn escalate(
    tx: &Tx,
    trigger: Trigger,
    now: Option<DateTime<Utc>>,
) -> Result<(i64, Vec<NewEvent>), Error> {
    let client = trigger.user_id.clone();
    let raised = raise(tx, &[trigger], now).await?;
    let episode = raised.about(&client).ok_or(Error::NotFound)?;
    Ok((episode.escalation_id, raised.events))
}
