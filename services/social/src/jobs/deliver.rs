//! Pages leave for staff. Each is taken for a time, sent with nothing held in the database, and settled: whoever dies in
//! between leaves it to the next worker, who sends it with the same id.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use crate::domain::page::{self, MAX_ATTEMPTS};
use crate::error::Error;
use crate::paging::Failed;
use crate::state::State;
use crate::store::deliveries::{self, Attempted, Claim, Claimed, Receiver};

/// Pages that are being sent at a time.
const MAX_AT_ONCE: usize = 32;
/// Pages of one round. It goes on to take new ones while others wait for a receiver that is slow.
const MAX_PAGES: usize = 500;
/// How often it looks for new ones while it waits, in milliseconds.
const LOOK_MILLISECONDS: u64 = 250;
/// Pages that are on their way to one address at a time: a receiver that is slow holds up its own alone.
const MAX_TO_ONE: usize = 4;
/// How long a page is sent before it counts as not taken.
const SENDING: Duration = Duration::from_secs(12);
/// After so many seconds another worker may take a page over: longer than any sending takes.
const LEASE_SECONDS: i64 = 15;

/// Sends what is due; returns how many attempts were made.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let mut sending = FuturesUnordered::new();
    let mut on_the_way: HashMap<Receiver, usize> = HashMap::new();
    let mut taken = 0;
    // Nothing new is begun then, and what is on its way comes to its end.
    let mut failed = None;
    loop {
        if failed.is_none() {
            let room = (MAX_AT_ONCE - sending.len()).min(MAX_PAGES - taken);
            match claim(state, room, &on_the_way).await {
                Ok(claimed) => {
                    for page in claimed {
                        taken += 1;
                        *on_the_way.entry(page.receiver.clone()).or_default() += 1;
                        sending.push(attempt(state, page));
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        if sending.is_empty() {
            return failed.map_or(Ok(taken as u64), Err);
        }
        let look = Duration::from_millis(LOOK_MILLISECONDS);
        if let Ok(Some(first)) = tokio::time::timeout(look, sending.next()).await {
            let mut ended = vec![first];
            while let Some(Some(next)) = sending.next().now_or_never() {
                ended.push(next);
            }
            let (receivers, ended): (Vec<Receiver>, Vec<Attempted>) = ended.into_iter().unzip();
            for receiver in receivers {
                on_the_way.entry(receiver).and_modify(|pages| *pages -= 1);
            }
            failed = settle(state, &ended).await.err().or(failed);
        }
    }
}

/// Takes pages to whom not too many are on their way.
async fn claim(
    state: &State,
    room: usize,
    on_the_way: &HashMap<Receiver, usize>,
) -> Result<Vec<Claimed>, Error> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let held_up = on_the_way.iter().filter(|(_, pages)| **pages > 0);
    let claim = Claim {
        limit: room,
        at_most_to_one: MAX_TO_ONE,
        lease_seconds: LEASE_SECONDS,
        on_the_way: held_up.map(|(receiver, pages)| (receiver, *pages)).collect(),
    };
    let tx = state.db.begin_worker().await?;
    let claimed = deliveries::claim(&tx, state.clock.fixed(), &claim).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// Once more where it does not work at first: what was taken by its receiver would be sent again.
async fn settle(state: &State, ended: &[Attempted]) -> Result<(), Error> {
    match settle_once(state, ended).await {
        Ok(()) => Ok(()),
        Err(_) => settle_once(state, ended).await,
    }
}

async fn settle_once(state: &State, ended: &[Attempted]) -> Result<(), Error> {
    let tx = state.db.begin_worker().await?;
    deliveries::settle(&tx, ended, state.clock.fixed()).await?;
    tx.commit().await?;
    Ok(())
}

/// Sends a page that was taken.
async fn attempt(state: &State, claimed: Claimed) -> (Receiver, Attempted) {
    let Claimed { page, attempt, .. } = &claimed;
    let ended = |status, error| {
        let attempted = Attempted {
            delivery_id: page.delivery_id,
            attempt: *attempt,
            status,
            pause_milliseconds: page::pause(page.delivery_id, *attempt).num_milliseconds(),
            error,
        };
        (claimed.receiver.clone(), attempted)
    };
    if !claimed.is_wanted {
        return ended("withdrawn", None);
    }
    match send(state, &claimed).await {
        Ok(status) => ended(status, None),
        Err(failed) => {
            let is_last = failed.is_for_good || *attempt >= MAX_ATTEMPTS;
            tracing::warn!(
                delivery_id = %page.delivery_id, attempt, is_last, error = failed.words,
                "a page was not taken"
            );
            ended(if is_last { "failed" } else { "pending" }, Some(failed.words))
        }
    }
}

async fn send(state: &State, claimed: &Claimed) -> Result<&'static str, Failed> {
    if claimed.attempt > MAX_ATTEMPTS {
        return Err(Failed::for_good("the last attempt was begun and not ended"));
    }
    let paging = state.paging.as_ref();
    let paging = paging.ok_or_else(|| Failed::for_good("pages outside the app are not configured"))?;
    let place = claimed.place.as_ref();
    let place =
        place.ok_or_else(|| Failed::for_good("the contact method is gone, or the account suspended"))?;
    let sent = tokio::time::timeout(SENDING, paging.page(place, &claimed.page)).await;
    sent.unwrap_or_else(|_| Err(Failed::for_now("the receiver took too long")))
}
