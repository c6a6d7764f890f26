//! What happens, as it happens, for pages that stay open.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use common::PrincipalKind;
use db::Actor;
use futures::stream::unfold;
use web::{Allowed, Caller, NOBODY_ELSE, Problem, Query, token_shown};

use crate::domain::stream::{self, Place, Watcher};
use crate::error::Error;
use crate::ops::tell::{self, MAX_EVENTS};
use crate::state::State;
use crate::store::caseload;
use crate::store::stream::{happened_to, moment};
use crate::streams::{Opening, Reader};

const WATCH: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);

const EVENT_STREAM: &str = "text/event-stream";
/// From where a reader goes on that was here before.
const LAST_EVENT_ID: &str = "last-event-id";
/// Longer than any place is.
const MAX_PLACE_BYTES: usize = 32 * 1024;
/// Gateways that gather answers must not gather this one.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// Server-Sent Events of what the caller may see, as it happens: ids, types and urgency, never text. Staff get escalations,
/// pages to themselves, changes of profiles, and nudges where they care for the client; clients and their app that help is
/// coming, and the own nudges. What was in sight once and is no more is not told. With `Last-Event-ID` it goes on from
/// there, also after a restart; after a day, or a thousand events, it begins with `reset`: ask for the lists again. An event
/// may be told twice, with the same `event_id`. A reader that is too slow is cut off, and so is everybody whose token has
/// ended.
#[utoipa::path(
    tag = "stream",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last `id` that was read")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 429, description = "Eight streams of the caller are open already"),
        (status = 503, description = "Too many streams are open, or Postgres is away")
    ),
    extensions(("x-principals" = json!(WATCH)))
)]
#[get("/v1/stream")]
pub(crate) async fn watch(
    state: Data<State>,
    request: HttpRequest,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&WATCH)?;
    let actor = caller.actor()?;
    let from = last_place(&request)?;
    if let (Actor::Client(client), Some(_)) = (&actor, &caller.on_behalf_of) {
        let found = state.db.read(&actor, caseload::IS_CLIENT, &[client]).await?;
        found.first().ok_or(Error::NotFound)?;
    }
    let who = Opening {
        token: token_shown(&request).ok_or_else(Problem::unauthenticated)?,
        actor: actor.to_string(),
        watcher: Watcher::of(&caller.principal.kinds().collect::<Vec<_>>()),
        seat: state.streams.seat(&caller)?,
        caller,
    };
    who.caller.on_record(NOBODY_ELSE).await?;
    let (place, first) = begin(&state, &who, from).await?;
    let reader = state.streams.open(who, &place, first);
    let stopping = state.readiness.clone();
    let body = unfold(
        (reader, stopping),
        async |(mut reader, stopping): (Reader, web::Readiness)| {
            let next = tokio::select! {
                next = reader.next() => next,
                // Nobody waits for a stream to end by itself.
                () = stopping.stopped() => None,
            };
            Some((Ok::<_, actix_web::Error>(next?), (reader, stopping)))
        },
    );
    Ok(HttpResponse::Ok()
        .content_type(EVENT_STREAM)
        .insert_header(UNBUFFERED)
        .streaming(Box::pin(body)))
}

/// From where it goes on, and what it begins with.
async fn begin(state: &State, who: &Opening, from: Option<Place>) -> Result<(Place, String), Error> {
    let now = moment(&state.db, None, None).await?.place;
    let Some(from) = from else {
        let hello = stream::hello(&now);
        return Ok((now, hello));
    };
    if !from.can_be_resumed(&now) {
        let text = stream::hello(&now) + &stream::reset(&now);
        return Ok((now, text));
    }
    let actors = [who.actor.clone()];
    let (place, mut happened) = happened_to(&state.db, &actors, &from.seen, MAX_EVENTS + 1).await?;
    let happened = happened.remove(&who.actor).unwrap_or_default();
    let missed = tell::text((&who.caller, who.watcher), &happened, &from.seen, &place).await?;
    // The place first as it was: what follows is told again should the connection break within it.
    let text = stream::hello(&from) + &missed.unwrap_or_default();
    Ok((place, text))
}

fn last_place(request: &HttpRequest) -> Result<Option<Place>, Problem> {
    let mut shown = request.headers().get_all(LAST_EVENT_ID);
    let Some(header) = shown.next() else {
        return Ok(None);
    };
    let place = header
        .to_str()
        .ok()
        .filter(|text| shown.next().is_none() && text.len() <= MAX_PLACE_BYTES)
        .and_then(|text| text.parse().ok());
    let fault = || Problem::bad_request("The header Last-Event-ID must be an id that this stream sent.");
    place.map(Some).ok_or_else(fault)
}
