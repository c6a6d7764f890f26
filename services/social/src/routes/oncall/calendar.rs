//! The calendar of a schedule: a feed behind a secret link, for programs that cannot show a token.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use web::{Answer, Granted, Guess, Id, Named, Params, Query, ReadQuery, Stranger, Write, read};

use super::MANAGE;
use crate::domain::calendar::{Entry, feed};
use crate::domain::duty::with_stand_ins;
use crate::error::Error;
use crate::state::State;
use crate::store::{oncall_calendar, oncall_schedules};

/// Everybody who has the link.
const EVERYBODY: [&str; 1] = ["everybody"];
/// Whoever shows a link, as the audit names it.
const HOLDER: Named<'_> = Named::elsewhere("calendar");
/// The feed reaches so far back, and so far ahead as shifts are written.
const BACK_DAYS: i64 = 14;
const AHEAD_DAYS: i64 = 90;
/// As unguessable as a key of the strongest cipher.
const SECRET_BYTES: usize = 32;
/// The longest secret that is looked at.
const MAX_SECRET_BYTES: usize = 255;

fn new_secret() -> String {
    let secret: [u8; SECRET_BYTES] = rand::random();
    URL_SAFE_NO_PAD.encode(secret)
}

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// A new calendar link. It is shown here and never again.
#[derive(Serialize, ToSchema)]
struct CalendarLink {
    /// What to put behind the address of this service.
    #[schema(example = "/v1/oncall-schedules/1/calendar.ics?secret=…")]
    path: String,
    secret: String,
}

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
        let secret = new_secret();
        let hash = hash(&secret);
        if !oncall_schedules::set_calendar(tx, **schedule_id, Some(&hash)).await? {
            return Err(Error::NotFound);
        }
        Ok(Answer::ok(&CalendarLink {
            path: format!(
                "/v1/oncall-schedules/{}/calendar.ics?secret={secret}",
                **schedule_id
            ),
            secret,
        })?)
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

/// The proof that somebody was given the link.
struct SecretQuery(SecretString);

impl ReadQuery for SecretQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let secret = params.required("secret", read::text(1..=MAX_SECRET_BYTES))?;
        Some(Self(secret.into()))
    }
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
    Query(SecretQuery(secret)): Query<SecretQuery>,
) -> Result<HttpResponse, Error> {
    let guess = Guess::begin(&request, &format!("calendar {}", **schedule_id))?;
    let tx = state.db.begin_worker().await?;
    let hash = hash(secret.expose_secret());
    let shown = oncall_calendar::find(&tx, **schedule_id, &hash, state.clock.fixed()).await?;
    let Some(shown) = shown else {
        tx.rollback().await?;
        guess.was_wrong();
        return Err(Error::NotFound);
    };
    let (back, ahead) = (TimeDelta::days(BACK_DAYS), TimeDelta::days(AHEAD_DAYS));
    let (shifts, stand_ins) =
        oncall_calendar::read(&tx, **schedule_id, shown.now - back, shown.now + ahead).await?;
    let duties = with_stand_ins(shifts, &stand_ins);
    let mut staff: Vec<&str> = duties.iter().map(|duty| duty.staff_id.as_str()).collect();
    staff.sort_unstable();
    staff.dedup();
    let names = oncall_calendar::names(&tx, &staff).await?;
    tx.rollback().await?;
    from.on_record(HOLDER, names.keys().cloned().collect()).await?;
    let entries: Vec<Entry> = duties
        .into_iter()
        .filter_map(|duty| {
            let name = names.get(&duty.staff_id)?.clone();
            Some(Entry { duty, name })
        })
        .collect();
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/calendar; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "private, no-store"))
        .body(feed(**schedule_id, &shown.name, &entries, shown.now)))
}
