//! Sharing with family. Each step holds the consent until its transaction ends, behind the lock of the profile: whoever
//! erases the client goes the same way.

use bus::{NewEvent, Outbox};
use chrono::{DateTime, Utc};
use common::contracts::{FamilyCardChanged, family_card};
use db::Tx;
use web::Problem;

use super::flag::Standing;
use crate::domain::family::{Held, NewCard, NewShare, PENDING, SHARED};
use crate::error::Error;
use crate::store::family::{self, Card, Share};
use crate::store::profiles;

/// Stores what a consent that holds is about. The same again finds what stands.
pub(crate) async fn detail(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    user_id: &str,
    new: &NewShare,
) -> Result<Standing<Share>, Error> {
    let held = hold(tx, user_id, new.consent_id).await?;
    if !held.covers(new.consent_scope) {
        return Err(Problem::invalid_field("/consent_scope", "is not what the client consented to").into());
    }
    let is_new = family::insert_share(tx, user_id, new, now).await?;
    let stands = family::find_share(tx, user_id, new.consent_id).await?;
    let stands = stands.ok_or(Error::NotFound)?;
    if stands.contact_label == new.contact_label && stands.consent_scope == new.consent_scope {
        Ok((stands, is_new))
    } else {
        Err(Error::ShareDiffers)
    }
}

/// Stores a card that waits to be shared, on a consent that holds and whose detail is stored.
pub(crate) async fn write_card(
    tx: &Tx,
    now: Option<DateTime<Utc>>,
    user_id: &str,
    new: &NewCard,
) -> Result<Card, Error> {
    hold(tx, user_id, new.consent_id).await?;
    if family::find_share(tx, user_id, new.consent_id).await?.is_none() {
        return Err(
            Problem::invalid_field("/consent_id", "has no detail yet; post it to family-consents").into(),
        );
    }
    Ok(family::insert_card(tx, user_id, new, now).await?)
}

/// Shares a card on the consent that it rests on: it is entered in the ledger, and may go out once this is committed. One
/// that was shared on it before stays as it is.
pub(crate) async fn share(tx: &Tx, outbox: &Outbox, card_id: i64) -> Result<Card, Error> {
    let (user_id, consent_id) = family::rests_on(tx, card_id).await?.ok_or(Error::NotFound)?;
    let held = hold(tx, &user_id, consent_id).await?;
    let card = family::lock_card(tx, card_id).await?.ok_or(Error::NotFound)?;
    match card.share_status.as_str() {
        PENDING => {
            let shared = family::share(tx, &card, &held.recipient).await?;
            outbox.enqueue(tx, vec![changed(family_card::SHARED, &shared)?]);
            Ok(shared)
        }
        SHARED => Ok(card),
        _ => Err(Error::ConsentRequired),
    }
}

async fn hold(tx: &Tx, user_id: &str, consent_id: i64) -> Result<Held, Error> {
    profiles::lock(tx, &[user_id]).await?;
    family::hold(tx, user_id, consent_id)
        .await?
        .ok_or(Error::ConsentRequired)
}

/// Ends what rests on consents of these clients that are over; the cards that waited have failed, and the others are told.
pub(crate) async fn end(
    tx: &Tx,
    outbox: &Outbox,
    user_ids: &[&str],
    consent_ids: &[i64],
) -> Result<(), Error> {
    if consent_ids.is_empty() {
        return Ok(());
    }
    profiles::lock(tx, user_ids).await?;
    let failed = family::end(tx, consent_ids).await?;
    let told: Vec<NewEvent> = failed
        .iter()
        .map(|card| changed(family_card::FAILED, card))
        .collect::<Result<_, _>>()?;
    outbox.enqueue(tx, told);
    Ok(())
}

fn changed(event_type: &'static str, card: &Card) -> Result<NewEvent, Error> {
    let data = FamilyCardChanged {
        card_id: card.card_id,
        user_id: card.user_id.clone(),
        consent_id: card.consent_id,
        share_status: card.share_status.clone(),
    };
    Ok(NewEvent::new(event_type, Some(card.user_id.clone()), &data)?)
}
