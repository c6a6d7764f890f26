//! Nudges: what the client gets, and what the client answers.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use common::PrincipalKind;
use common::contracts::{NudgeChanged, nudge};
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Id, Identifier, NOBODY_ELSE, Newest, Page, Paging,
    Query, Read, Write, read,
};

use super::of_client::OfClient;
use crate::domain::nudge::{Source, is_code, is_kind};
use crate::error::Error;
use crate::ops::offer::{Lasts, Offer, Offered, offer};
use crate::state::State;
use crate::store::nudges::{self, Nudge};

const CREATE: Allowed = Allowed(&[PrincipalKind::Counselor]);
const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);
const ANSWER: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);

const MAX_KEY_BYTES: usize = 80;
const MAX_MESSAGE_BYTES: usize = 2 * 1024;
const MAX_RESPONSE_BYTES: usize = 50;
const MAX_RESPONSE_DATA_BYTES: usize = 8 * 1024;
/// A nudge of a counselor is out of date after this many hours, where the counselor does not say.
const STAFF_NUDGE_HOURS: i64 = 48;

/// A nudge.
#[derive(Serialize, ToSchema)]
struct NudgeView {
    nudge_id: i64,
    user_id: String,
    timestamp: DateTime<Utc>,
    nudge_type: String,
    nudge_message: String,
    /// The label at its creation; staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_level: Option<String>,
    /// pending, held, sent, viewed, responded, expired or withheld.
    status: String,
    /// rule, reco, staff, or meeting: a reminder.
    source: String,
    /// in_app, or push: the app calls for attention as well.
    channel: String,
    /// Why it was not sent: channels, daily_limit, spacing, quiet_hours or crisis.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld_reason: Option<String>,
    /// The recommendation that it offers.
    recommendation_id: Option<i64>,
    send_after: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    viewed_at: Option<DateTime<Utc>>,
    acted_on_at: Option<DateTime<Utc>>,
    user_response: Option<String>,
    response_data: Option<serde_json::Value>,
}

impl NudgeView {
    fn new(found: Nudge, caller: &Caller) -> Self {
        // A label is the staff's working word; the client is not shown it.
        let is_client = !is_staff(caller);
        Self {
            nudge_id: found.nudge_id,
            user_id: found.user_id,
            timestamp: found.timestamp,
            nudge_type: found.nudge_type,
            nudge_message: found.nudge_message,
            risk_level: (!is_client).then_some(found.risk_level),
            status: found.status,
            source: found.source,
            channel: found.channel,
            withheld_reason: found.withheld_reason,
            recommendation_id: found.recommendation_id,
            send_after: found.send_after,
            expires_at: found.expires_at,
            sent_at: found.sent_at,
            viewed_at: found.viewed_at,
            acted_on_at: found.acted_on_at,
            user_response: found.user_response,
            response_data: found.response_data,
        }
    }
}

/// Staff see every nudge; the client sees what was sent.
fn is_staff(caller: &Caller) -> bool {
    caller.allow(&ANSWER).is_err()
}

/// A nudge that a counselor writes.
#[derive(ToSchema)]
struct NewNudge {
    /// Its category.
    #[schema(
        max_length = 100,
        pattern = "^[a-z0-9_]+$",
        example = "counselor_encouragement"
    )]
    nudge_type: String,
    /// What the client reads, up to 2 KiB; by default the text that the programme keeps of this type.
    nudge_message: Option<String>,
    /// Not before this time; by default at once.
    #[schema(value_type = Option<DateTime<Utc>>)]
    send_after: Option<DateTime<Utc>>,
    /// The client has at most one nudge of staff under this key.
    #[schema(max_length = 80)]
    dedup_key: Option<String>,
}

impl Read for NewNudge {
    const MAX_BODY_BYTES: usize = 8 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let nudge_type = fields.required(
            "nudge_type",
            read::parsed(|word| is_kind(word).then(|| word.to_owned()), CODE),
        );
        let nudge_message = fields.optional("nudge_message", read::words(1..=MAX_MESSAGE_BYTES));
        let send_after = fields.optional("send_after", read::moment);
        let dedup_key = fields.optional("dedup_key", read::text(1..=MAX_KEY_BYTES));
        Some(Self {
            nudge_type: nudge_type?,
            nudge_message: nudge_message?,
            send_after: send_after?,
            dedup_key: dedup_key?,
        })
    }
}

/// What a category and an answer must be: they travel in events, which carry no text that somebody wrote.
const CODE: &str = "lower-case letters, digits and underscores, such as coping_exercise";

fn code(word: &str, max_bytes: usize) -> Option<String> {
    is_code(word, max_bytes).then(|| word.to_owned())
}

impl NewNudge {
    fn offer(&self, user_id: &str) -> Offer {
        Offer {
            user_id: user_id.to_owned(),
            source: Source::Staff,
            nudge_type: self.nudge_type.clone(),
            otherwise: None,
            message: self.nudge_message.clone(),
            send_after: self.send_after,
            lasts: Lasts::For(TimeDelta::hours(STAFF_NUDGE_HOURS)),
            key: self.dedup_key.clone(),
            probability: None,
            recommendation_id: None,
            reason: "A counselor wanted it.".to_owned(),
        }
    }
}

/// Write a nudge to a client of the own caseload. In quiet hours it is held until they end; it is withheld, with the
/// reason, where the client has had enough of any source or wants none. The same `dedup_key` again is 200 with the nudge
/// that stands, another nudge under it 409.
#[utoipa::path(
    tag = "nudges",
    params(("user_id" = String, Path)),
    request_body = NewNudge,
    responses((status = 201, body = NudgeView), (status = 200, description = "It stands already", body = NudgeView)),
    extensions(("x-principals" = json!(CREATE)))
)]
#[post("/v1/users/{user_id}/nudges")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<NewNudge>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&CREATE)?;
    super::profiles::must_care_for(&state, &caller.actor()?, &user_id).await?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let wanted = [body.offer(&user_id)];
        let offered = offer(tx, &state.outbox, state.clock.fixed(), &wanted).await?;
        let (nudge_id, is_new) = match offered.first() {
            Some(Offered::Made(nudge_id)) => (*nudge_id, true),
            Some(Offered::Stands(nudge_id)) => (*nudge_id, false),
            Some(Offered::Differs) => return Err(Error::NudgeDiffers),
            Some(Offered::NoText) => return Err(Error::NoTemplate),
            Some(Offered::Nobody) | None => return Err(Error::NotFound),
        };
        let made = nudges::lock(tx, nudge_id).await?.ok_or(Error::NotFound)?;
        let view = NudgeView::new(made, &caller);
        Ok::<_, Error>(Answer::stands(is_new, format!("/v1/nudges/{nudge_id}"), &view)?)
    })
    .await
}

fn answer(nudge: Nudge, caller: &Caller) -> Result<Answer, Error> {
    let view = NudgeView::new(nudge, caller);
    Ok(Answer::ok(&view)?.about([&view.user_id]))
}

/// A client's nudges, newest first.
#[utoipa::path(
    tag = "nudges",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<NudgeView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/nudges")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let asked = OfClient {
        what: "nudges",
        user_id: &user_id,
        caller: &caller,
        actor: &actor,
        cursors: &cursors,
        paging: &paging,
    };
    let statement: (&str, db::Params<'_>) = (&nudges::list_sql(), &[&is_staff(&caller)]);
    let page = asked
        .page(&state, statement, nudges::from_row, |last| {
            Newest(last.timestamp, last.nudge_id)
        })
        .await?;
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(|found| NudgeView::new(found, &caller)))
        .await?)
}

/// One nudge.
#[utoipa::path(
    tag = "nudges",
    responses((status = 200, body = NudgeView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/nudges/{nudge_id}")]
pub(crate) async fn find(
    state: Data<State>,
    nudge_id: Path<Id>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(
            &caller.actor()?,
            &nudges::find_sql(),
            &[&**nudge_id, &is_staff(&caller)],
        )
        .await?;
    let found = nudges::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let client = found.user_id.clone();
    Ok(caller.disclose([client], &NudgeView::new(found, &caller)).await?)
}

/// The client saw a nudge that was sent; seeing it again changes nothing.
#[utoipa::path(
    tag = "nudges",
    responses((status = 200, body = NudgeView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/nudges/{nudge_id}/viewed")]
pub(crate) async fn viewed(
    state: Data<State>,
    nudge_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&ANSWER)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let found = nudges::lock(tx, **nudge_id).await?.ok_or(Error::NotFound)?;
        match found.status.as_str() {
            "viewed" | "responded" => return answer(found, &caller),
            "sent" => {}
            _ => return Err(Error::NudgeState(found.status)),
        }
        nudges::mark_viewed(tx, **nudge_id, state.clock.fixed()).await?;
        let seen = nudges::lock(tx, **nudge_id).await?.ok_or(Error::NotFound)?;
        state.outbox.enqueue(tx, vec![changed(nudge::VIEWED, &seen)?]);
        answer(seen, &caller)
    })
    .await
}

/// What the client answers to a nudge.
#[derive(ToSchema)]
struct Response {
    /// Such as accepted, declined or later: lower-case letters, digits and underscores.
    #[schema(max_length = 50, pattern = "^[a-z0-9_]+$")]
    user_response: String,
    /// Details, up to 8 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    response_data: Option<serde_json::Value>,
}

impl Read for Response {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let user_response = fields.required(
            "user_response",
            read::parsed(|word| code(word, MAX_RESPONSE_BYTES), CODE),
        );
        let response_data = fields.optional("response_data", read::object(MAX_RESPONSE_DATA_BYTES));
        Some(Self {
            user_response: user_response?,
            response_data: response_data?,
        })
    }
}

/// Answer a nudge that was sent, once.
#[utoipa::path(
    tag = "nudges",
    request_body = Response,
    responses((status = 200, body = NudgeView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/nudges/{nudge_id}/responded")]
pub(crate) async fn responded(
    state: Data<State>,
    nudge_id: Path<Id>,
    request: Write<Response>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&ANSWER)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let found = nudges::lock(tx, **nudge_id).await?.ok_or(Error::NotFound)?;
        if !matches!(found.status.as_str(), "sent" | "viewed") {
            return Err(Error::NudgeState(found.status));
        }
        let now = state.clock.fixed();
        nudges::mark_responded(
            tx,
            **nudge_id,
            &body.user_response,
            body.response_data.as_ref(),
            now,
        )
        .await?;
        let answered = nudges::lock(tx, **nudge_id).await?.ok_or(Error::NotFound)?;
        state
            .outbox
            .enqueue(tx, vec![changed(nudge::RESPONDED, &answered)?]);
        answer(answered, &caller)
    })
    .await
}

fn changed(event_type: &'static str, found: &Nudge) -> Result<bus::NewEvent, Error> {
    let data = NudgeChanged {
        nudge_id: found.nudge_id,
        user_id: found.user_id.clone(),
        nudge_type: found.nudge_type.clone(),
        status: found.status.clone(),
        user_response: found.user_response.clone(),
        channel: Some(found.channel.clone()),
        recommendation_id: found.recommendation_id,
    };
    Ok(bus::NewEvent::new(
        event_type,
        Some(found.user_id.clone()),
        &data,
    )?)
}
