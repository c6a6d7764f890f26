//! Pages leave for staff. Each is taken for a time, sent with nothing held in the database, and settled: whoever dies in
//! between leaves it to the next worker, who sends it with the same id.

use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use crate::domain::page::{self, MAX_ATTEMPTS};
use crate::error::Error;
use crate::paging::Failed;
use crate::state::State;
use crate::store::deliveries::{self, Attempted, Claimed};

/// Pages that are being sent at a time.
const MAX_AT_ONCE: usize = 32;
/// Pages of one round. It goes on to take new ones while others wait for a receiver that is slow.
const MAX_PAGES: usize = 500;
/// How often it looks for new ones while it waits, in milliseconds.
const LOOK_MILLISECONDS: u64 = 250;
/// After so many seconds another worker may take a page over: longer than any sending takes.
const LEASE_SECONDS: i64 = 60;

/// Sends what is due; returns how many attempts were made.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let mut sending = FuturesUnordered::new();
    let mut taken = 0;
    loop {
        let room = (MAX_AT_ONCE - sending.len()).min(MAX_PAGES - taken);
        for claimed in claim(state, room).await? {
            taken += 1;
            sending.push(attempt(state, claimed));
        }
        if sending.is_empty() {
            return Ok(taken as u64);
        }
        let look = Duration::from_millis(LOOK_MILLISECONDS);
        if let Ok(Some(first)) = tokio::time::timeout(look, sending.next()).await {
            let mut ended = vec![first];
            while let Some(Some(next)) = sending.next().now_or_never() {
                ended.push(next);
            }
            settle(state, &ended).await?;
        }
    }
}

async fn claim(state: &State, room: usize) -> Result<Vec<Claimed>, Error> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(room).unwrap_or(1);
    let tx = state.db.begin_worker().await?;
    let claimed = deliveries::claim(&tx, state.clock.fixed(), (limit, LEASE_SECONDS)).await?;
    tx.commit().await?;
    Ok(claimed)
}

async fn settle(state: &State, ended: &[Attempted]) -> Result<(), Error> {
    let tx = state.db.begin_worker().await?;
    deliveries::settle(&tx, ended, state.clock.fixed()).await?;
    tx.commit().await?;
    Ok(())
}

/// Sends a page that was taken.
async fn attempt(state: &State, claimed: Claimed) -> Attempted {
    let Claimed { page, attempt, .. } = &claimed;
    let ended = |status, error| Attempted {
        delivery_id: page.delivery_id,
        attempt: *attempt,
        status,
        pause_milliseconds: page::pause(page.delivery_id, *attempt).num_milliseconds(),
        error,
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
    paging.page(place, &claimed.page).await
}
