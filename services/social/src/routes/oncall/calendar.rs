//! The calendar of a schedule: a feed behind a secret link, for programs that cannot show a token.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use web::{Answer, Granted, Guess, Id, Query, Stranger, Write};

use super::{MANAGE, duties};
use crate::domain::calendar::{Entry, feed};
use crate::error::Error;
use crate::routes::calendar_link::{self, CalendarLink, EVERYBODY, HOLDER, Secret};
use crate::state::State;
use crate::store::{oncall_calendar, oncall_schedules};

/// Give a schedule a calendar link, or another one: the one before ends. Whoever has it sees who is on duty. Takes no
/// Idempotency-Key, since the answer holds a secret.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    responses((status = 200, body = CalendarLink)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/oncall-schedules/{schedule_id}/calendar-link")]
pub(crate) async fn renew_link(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, None, async |tx| {
        let secret = Secret::new();
        if !oncall_schedules::set_calendar(tx, **schedule_id, Some(&secret.hash())).await? {
            return Err(Error::NotFound);
        }
        let feed = format!("/v1/oncall-schedules/{}/calendar.ics", **schedule_id);
        Ok(Answer::ok(&CalendarLink::new(&feed, &secret))?)
    })
    .await
}

/// End the calendar link of a schedule.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path)),
    responses((status = 204, description = "There is none")),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[delete("/v1/oncall-schedules/{schedule_id}/calendar-link")]
pub(crate) async fn end_link(
    state: Data<State>,
    schedule_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        if oncall_schedules::set_calendar(tx, **schedule_id, None).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}

/// Who is on duty, for calendar programs (RFC 5545): two weeks back and 90 days ahead, with everybody who stands in. Asks
/// for no token: the link holds a secret. 404 for a link that is none.
#[utoipa::path(
    tag = "on-call",
    params(("schedule_id" = i64, Path), ("secret" = String, Query)),
    responses(
        (status = 200, description = "The feed", body = String, content_type = "text/calendar"),
        (status = 429, description = "Too many wrong secrets from this address")
    ),
    security(()),
    extensions(("x-principals" = json!(EVERYBODY)))
)]
#[get("/v1/oncall-schedules/{schedule_id}/calendar.ics")]
pub(crate) async fn show(
    state: Data<State>,
    from: Stranger,
    request: HttpRequest,
    schedule_id: Path<Id>,
    Query(secret): Query<Secret>,
) -> Result<HttpResponse, Error> {
    let guess = Guess::begin(&request, &format!("calendar {}", **schedule_id))?;
    let tx = state.db.begin_worker().await?;
    let shown = oncall_calendar::find(&tx, **schedule_id, &secret.hash(), state.clock.fixed()).await?;
    let Some(shown) = shown else {
        tx.rollback().await?;
        guess.was_wrong();
        return Err(Error::NotFound);
    };
    let duties = duties(&tx, **schedule_id, calendar_link::span(shown.now)).await?;
    let mut staff: Vec<&str> = duties.iter().map(|duty| duty.staff_id.as_str()).collect();
    staff.sort_unstable();
    staff.dedup();
    let names = oncall_calendar::names(&tx, &staff).await?;
    tx.rollback().await?;
    from.on_record(HOLDER, names.keys().cloned().collect()).await?;
    let entries: Vec<Entry> = duties
        .iter()
        .filter_map(|duty| {
            let name = names.get(&duty.staff_id)?.clone();
            Some(Entry::of_duty(**schedule_id, duty, name))
        })
        .collect();
    Ok(calendar_link::answer(feed(&shown.name, entries, shown.now)))
}
