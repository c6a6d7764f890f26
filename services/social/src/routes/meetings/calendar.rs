//! The calendar of a counselor's meetings: a feed behind a secret link.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use common::MeetingStatus;
use web::{Answer, Granted, Guess, Query, Stranger, Write};

use super::HOLD;
use crate::domain::calendar::{Entry, feed};
use crate::error::Error;
use crate::routes::calendar_link::{self, CalendarLink, EVERYBODY, HOLDER, Secret};
use crate::state::State;
use crate::store::meeting_calendars;

/// What programs call the calendar.
const NAME: &str = "Meetings";
/// Where the feed is.
const FEED: &str = "/v1/meetings/calendar.ics";

/// Get a link to the calendar of the own meetings, or another one: the one before ends. Whoever has it sees when they are,
/// and not with whom. Takes no Idempotency-Key, since the answer holds a secret.
#[utoipa::path(
    tag = "meetings",
    responses((status = 200, body = CalendarLink)),
    extensions(("x-principals" = json!(HOLD)))
)]
#[post("/v1/meetings/calendar-link")]
pub(crate) async fn renew_link(state: Data<State>, request: Write<()>) -> Result<HttpResponse, Error> {
    let Granted { caller, .. } = request.allow(&HOLD)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, None, async |tx| {
        let secret = Secret::new();
        meeting_calendars::set(tx, &caller.principal.id, &secret.hash()).await?;
        Ok::<_, Error>(Answer::ok(&CalendarLink::new(FEED, &secret))?)
    })
    .await
}

/// End the link to the calendar of the own meetings.
#[utoipa::path(
    tag = "meetings",
    responses((status = 204, description = "There is none")),
    extensions(("x-principals" = json!(HOLD)))
)]
#[delete("/v1/meetings/calendar-link")]
pub(crate) async fn end_link(state: Data<State>, request: Write<()>) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&HOLD)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        meeting_calendars::end(tx, &caller.principal.id).await?;
        Ok::<_, Error>(Answer::no_content())
    })
    .await
}

/// A counselor's meetings, for calendar programs (RFC 5545): two weeks back and 90 days ahead, without a word of who is met;
/// what is not confirmed yet is tentative. Asks for no token: the link holds a secret. 404 for a link that is none.
#[utoipa::path(
    tag = "meetings",
    params(("secret" = String, Query)),
    responses(
        (status = 200, description = "The feed", body = String, content_type = "text/calendar"),
        (status = 429, description = "Too many wrong secrets from this address")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[get("/v1/meetings/calendar.ics")]
pub(crate) async fn show(
    state: Data<State>,
    from: Stranger,
    request: HttpRequest,
    Query(secret): Query<Secret>,
) -> Result<HttpResponse, Error> {
    let guess = Guess::begin(&request, "calendar of meetings")?;
    let tx = state.db.begin_worker().await?;
    let found = meeting_calendars::find(&tx, &secret.hash(), state.clock.fixed()).await?;
    let Some((staff_id, now)) = found else {
        tx.rollback().await?;
        guess.was_wrong();
        return Err(Error::NotFound);
    };
    let kept = meeting_calendars::read(&tx, &staff_id, calendar_link::span(now)).await?;
    tx.rollback().await?;
    from.on_record(HOLDER, vec![staff_id]).await?;
    let entries = kept
        .into_iter()
        .map(|one| {
            let is_confirmed = one.status != MeetingStatus::Scheduled;
            Entry::of_meeting(one.meeting_id, one.slot, is_confirmed)
        })
        .collect();
    Ok(calendar_link::answer(feed(NAME, entries, now)))
}
