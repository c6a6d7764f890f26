//! Answers to the screener, which a client gives in the app or a counselor takes down.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Newest, Page, Paging,
    Query, Read, Write, read,
};

use super::of_client::OfClient;
use crate::domain::safety::{BEHAVIOURS, Screener};
use crate::error::Error;
use crate::ops::flag::screen;
use crate::state::State;
use crate::store::screener_answers::{self, Answered};

const ANSWER: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
]);
const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

/// Answers to the screen version of the C-SSRS; the first five are about the past month.
#[derive(ToSchema)]
#[expect(
    dead_code,
    clippy::struct_excessive_bools,
    reason = "describes the body; Screener is what it is read into"
)]
struct ScreenerBody {
    /// When the client answered; the same time again is the same screener.
    answered_at: DateTime<Utc>,
    wish_to_be_dead: bool,
    suicidal_thoughts: bool,
    thoughts_of_method: bool,
    intent: bool,
    plan_with_intent: bool,
    /// never, earlier or past_three_months.
    #[schema(example = "never")]
    behaviour: String,
}

impl Read for Screener {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let answered_at = fields.required("answered_at", read::timestamp);
        let [wish, thoughts, method, intent, plan] = [
            "wish_to_be_dead",
            "suicidal_thoughts",
            "thoughts_of_method",
            "intent",
            "plan_with_intent",
        ]
        .map(|item| fields.required(item, read::boolean));
        let behaviour = fields.required("behaviour", read::one_of(BEHAVIOURS));
        Some(Self {
            answered_at: answered_at?,
            wish_to_be_dead: wish?,
            suicidal_thoughts: thoughts?,
            thoughts_of_method: method?,
            intent: intent?,
            plan_with_intent: plan?,
            behaviour: behaviour?,
        })
    }
}

/// Answers, and what follows from them.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the screener's own yes-or-no items")]
struct ScreenerView {
    id: i64,
    answered_at: DateTime<Utc>,
    wish_to_be_dead: bool,
    suicidal_thoughts: bool,
    thoughts_of_method: bool,
    intent: bool,
    plan_with_intent: bool,
    behaviour: &'static str,
    /// critical, high or medium; null where every answer was no.
    urgency: Option<&'static str>,
    /// The episode that they opened or joined.
    escalation_id: Option<i64>,
}

impl From<Answered> for ScreenerView {
    fn from(found: Answered) -> Self {
        let screener = found.screener;
        Self {
            id: found.id,
            answered_at: screener.answered_at,
            wish_to_be_dead: screener.wish_to_be_dead,
            suicidal_thoughts: screener.suicidal_thoughts,
            thoughts_of_method: screener.thoughts_of_method,
            intent: screener.intent,
            plan_with_intent: screener.plan_with_intent,
            behaviour: screener.behaviour,
            urgency: found.urgency.map(common::Urgency::as_str),
            escalation_id: found.escalation_id,
        }
    }
}

/// Store a client's answers to the screener. Intent, a plan, or what was done in the past three months is critical and
/// escalates at once; thoughts of a method, or what was done earlier, escalate as high. The same again is 200, other
/// answers of the same time 409.
#[utoipa::path(
    tag = "safety",
    params(("user_id" = String, Path)),
    request_body = ScreenerBody,
    responses((status = 201, body = ScreenerView), (status = 200, description = "They stand already", body = ScreenerView)),
    extensions(("x-principals" = json!(ANSWER)))
)]
#[post("/v1/users/{user_id}/screener-answers")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<Screener>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&ANSWER)?;
    let actor = caller.actor_for(&user_id)?;
    super::profiles::must_care_for(&state, &actor, &user_id).await?;
    let tx = state.db.begin(&actor).await?;
    web::write(tx, &caller, key, async |tx| {
        let (answered, is_new) = screen(tx, &state.outbox, state.clock.fixed(), &user_id, &body).await?;
        let view = ScreenerView::from(answered);
        let place = format!("/v1/users/{}/screener-answers", *user_id);
        Ok::<_, Error>(Answer::stands(is_new, place, &view)?)
    })
    .await
}

/// A client's answers to the screener, newest first.
#[utoipa::path(
    tag = "safety",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<ScreenerView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/screener-answers")]
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
        what: "screener answers",
        user_id: &user_id,
        caller: &caller,
        actor: &actor,
        cursors: &cursors,
        paging: &paging,
    };
    let statement: (&str, db::Params<'_>) = (&screener_answers::list_sql(), &[]);
    let page = asked
        .page(&state, statement, screener_answers::from_row, |last| {
            Newest(last.screener.answered_at, last.id)
        })
        .await?;
    Ok(caller
        .disclose(NOBODY_ELSE, &page.map(ScreenerView::from))
        .await?)
}
