//! What has happened is told to all who watch: asked for once in a round, whoever and however many they are, and not at
//! all while nobody does. A round that finds nothing has made one query.
//!
//! It is asked for, and not announced by `NOTIFY`: in every write that would have Postgres commit them one after the other.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use crate::domain::stream::{self, Place};
use crate::error::Error;
use crate::ops::tell::{self, MAX_EVENTS};
use crate::state::State;
use crate::store::stream::{Moment, happened_to, moment};
use crate::streams::{Feed, Stream};

/// How often a stream that has nothing to tell says so, in seconds. Proxies cut what is silent for longer.
const HEARTBEAT_SECONDS: i64 = 15;
/// How long a token is believed of which no revocation was heard, in seconds, as for every request.
const BELIEVED_SECONDS: i64 = 30;

/// Tells what is new and closes what may go on no longer; returns how many streams were told something.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let mut feed = state.streams.feed().await;
    let oldest = feed
        .streams
        .iter()
        .map(|stream| &stream.seen)
        .min_by_key(|seen| seen.age());
    let Some(since) = oldest.cloned() else {
        return Ok(0);
    };
    let now = moment(&state.db, Some(&since), state.clock.fixed()).await?;
    if now.place.seen.age() < since.age() {
        // Another Postgres: nobody knows what was told of it.
        feed.streams.clear();
        return Ok(0);
    }
    close_ended(state, &mut feed, now.now).await?;
    let mut place = now.place.clone();
    let mut told = 0;
    if now.has_happened {
        let mut actors: Vec<String> = feed.streams.iter().map(|stream| stream.actor.clone()).collect();
        actors.sort_unstable();
        actors.dedup();
        let (behind, happened) = happened_to(&state.db, &actors, &since, MAX_EVENTS + 1).await?;
        place = behind;
        let telling = feed.streams.iter().map(|stream| {
            let happened = happened.get(&stream.actor).map_or(&[][..], Vec::as_slice);
            tell::text((&stream.caller, stream.watcher), happened, &stream.seen, &place)
        });
        let texts = join_all(telling).await;
        told = send(&mut feed, texts);
    }
    for stream in &mut feed.streams {
        stream.seen = place.seen.clone();
    }
    beat(&mut feed, &now, &place);
    Ok(told)
}

/// Each gets its text; one that cannot take it, or of which nothing could be put on record, is closed.
fn send(feed: &mut Feed, texts: Vec<Result<Option<String>, web::Problem>>) -> u64 {
    let mut told = 0;
    let mut texts = texts.into_iter();
    feed.streams.retain(|stream| match texts.next() {
        Some(Ok(Some(text))) => {
            let goes_on = stream.send(text);
            told += u64::from(goes_on);
            goes_on
        }
        Some(Ok(None)) => true,
        Some(Err(_)) | None => false,
    });
    told
}

/// Closes the streams whose tokens hold no more, or for somebody who is now another: with other roles, say.
async fn close_ended(state: &State, feed: &mut Feed, now: DateTime<Utc>) -> Result<(), Error> {
    let is_over = |stream: &Stream| stream.caller.principal.expires_at.is_some_and(|end| end <= now);
    feed.streams.retain(|stream| !is_over(stream));
    let heard = state.streams.tokens.heard();
    let is_known = feed.tokens_asked.is_some_and(|(at, heard_then)| {
        heard.is_some() && heard == heard_then && now - at < TimeDelta::seconds(BELIEVED_SECONDS)
    });
    if is_known {
        return Ok(());
    }
    let hashes: Vec<[u8; 32]> = feed.streams.iter().map(|stream| stream.token).collect();
    let holders = state.streams.tokens.holders(&hashes).await?;
    feed.streams
        .retain(|stream| holders.get(&stream.token) == Some(&*stream.caller.principal));
    feed.tokens_asked = Some((now, heard));
    Ok(())
}

fn beat(feed: &mut Feed, now: &Moment, place: &Place) {
    let is_due = feed
        .beat_at
        .is_none_or(|at| now.clock - at >= TimeDelta::seconds(HEARTBEAT_SECONDS));
    if is_due {
        feed.streams
            .retain(|stream| stream.send(stream::heartbeat(place)));
        feed.beat_at = Some(now.clock);
    }
}
