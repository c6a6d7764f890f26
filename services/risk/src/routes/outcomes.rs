//! What came of clients: the truth that predictions are measured by.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Tx;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, CursorKey, Fields, Granted, Holder, Identifier, NOBODY_ELSE, Newest, Page,
    Paging, Problem, Query, Read, Write, read,
};

use super::of_client::must_care_for;
use crate::error::Error;
use crate::state::State;
use crate::store::outcomes::{self, NewOutcome, Outcome};
use crate::store::{client_levels, clients, labels};

const REPORT: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
    PrincipalKind::Pipeline,
]);
const READ: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::Supervisor]);

const KINDS: &[&str] = &["relapse", "lapse", "abstinent", "dropout", "unknown"];
const PRECISIONS: &[&str] = &["exact", "day", "week", "month"];
const SOURCES: &[&str] = &["self_report", "counselor", "clinical_test", "pipeline"];
/// What a pipeline says it knows by, and nobody else does.
const PIPELINE: &str = "pipeline";

/// What came of a client.
#[derive(ToSchema)]
struct OutcomeBody {
    /// relapse, lapse, abstinent, dropout or unknown.
    #[schema(value_type = String, example = "lapse")]
    kind: &'static str,
    /// When it happened, or the middle of when it may have.
    occurred_at: DateTime<Utc>,
    /// How exactly that is known: exact (the default), day, week or month.
    #[schema(value_type = Option<String>, example = "day")]
    date_precision: Option<&'static str>,
    /// How it became known: self_report, counselor (the default) or clinical_test; of a pipeline always pipeline.
    #[schema(value_type = Option<String>, example = "self_report")]
    source: Option<&'static str>,
}

impl Read for OutcomeBody {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let kind = fields.required("kind", read::one_of(KINDS));
        let occurred_at = fields.required("occurred_at", read::timestamp);
        let date_precision = fields.optional("date_precision", read::one_of(PRECISIONS));
        let source = fields.optional("source", read::one_of(SOURCES));
        Some(Self {
            kind: kind?,
            occurred_at: occurred_at?,
            date_precision: date_precision?,
            source: source?,
        })
    }
}

impl OutcomeBody {
    /// The outcome as this caller may report it.
    fn of(&self, caller: &Caller) -> Result<NewOutcome, Problem> {
        let is_pipeline = caller.principal.holder == Holder::Pipeline;
        let source = self
            .source
            .unwrap_or(if is_pipeline { PIPELINE } else { "counselor" });
        if is_pipeline != (source == PIPELINE) {
            let must_be = if is_pipeline {
                "must be pipeline, or left out: a pipeline says nothing as somebody else"
            } else {
                "must be one of self_report, counselor, clinical_test"
            };
            return Err(Problem::invalid_field("/source", must_be));
        }
        Ok(NewOutcome {
            kind: self.kind,
            occurred_at: self.occurred_at,
            date_precision: self.date_precision.unwrap_or("exact"),
            source,
            reported_by: (!is_pipeline).then(|| caller.principal.id.clone()),
        })
    }
}

/// An outcome as it stands.
#[derive(Serialize, ToSchema)]
struct OutcomeView {
    outcome_id: i64,
    user_id: String,
    #[schema(example = "lapse")]
    kind: String,
    occurred_at: DateTime<Utc>,
    #[schema(example = "day")]
    date_precision: String,
    #[schema(example = "self_report")]
    source: String,
    /// Who of staff reported it first; null for a pipeline, and once that person has left.
    reported_by: Option<String>,
    reported_at: DateTime<Utc>,
}

impl From<Outcome> for OutcomeView {
    fn from(found: Outcome) -> Self {
        Self {
            outcome_id: found.outcome_id,
            user_id: found.user_id,
            kind: found.kind,
            occurred_at: found.occurred_at,
            date_precision: found.date_precision,
            source: found.source,
            reported_by: found.reported_by,
            reported_at: found.reported_at,
        }
    }
}

/// Report what came of a client. The predictions whose horizon holds that time are labelled anew with it. The same again is
/// 200; the same kind, time and source with another precision 409.
#[utoipa::path(
    tag = "outcomes",
    params(("user_id" = String, Path)),
    request_body = OutcomeBody,
    responses((status = 201, body = OutcomeView), (status = 200, description = "It stands already", body = OutcomeView)),
    extensions(("x-principals" = json!(REPORT)))
)]
#[post("/v1/users/{user_id}/outcomes")]
pub(crate) async fn create(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<OutcomeBody>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&REPORT)?;
    let _at_work = state.singles.acquire().await.map_err(|_| Error::Busy)?;
    let tx = if caller.principal.holder == Holder::Pipeline {
        state.db.begin_worker().await?
    } else {
        state.db.begin(&caller.actor_for(&user_id)?).await?
    };
    web::write(tx, &caller, key, async |tx| {
        let new = body.of(&caller)?;
        if !clients::are_cared_for(tx, &user_id).await? {
            return Err(Error::NotFound);
        }
        let (outcome, is_new) = report(tx, &user_id, &new, state.clock.fixed()).await?;
        let location = format!("/v1/users/{}/outcomes", &**user_id);
        Ok(Answer::stands(is_new, location, &OutcomeView::from(outcome))?)
    })
    .await
}

/// Stores an outcome and labels what it says something about; whether it is new. The client is locked: a prediction that
/// is being stored is there by then, or sees the outcome.
async fn report(
    tx: &Tx,
    user_id: &str,
    new: &NewOutcome,
    now: Option<DateTime<Utc>>,
) -> Result<(Outcome, bool), Error> {
    client_levels::lock(tx, &[user_id], now).await?;
    if let Some(stored) = outcomes::insert(tx, user_id, new, now).await? {
        labels::settle_around(tx, user_id, new.occurred_at, now).await?;
        return Ok((stored, true));
    }
    let stands = outcomes::find_same(tx, user_id, new)
        .await?
        .ok_or(Error::NotFound)?;
    if stands.date_precision == new.date_precision {
        Ok((stands, false))
    } else {
        Err(Error::OutcomeDiffers)
    }
}

/// What came of a client, the last to happen first.
#[utoipa::path(
    tag = "outcomes",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<OutcomeView>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/outcomes")]
pub(crate) async fn list(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    let name = format!("outcomes/{}", &**user_id);
    let Newest(at, id) = cursors.open(&name, &caller, &paging)?.unwrap_or_default();
    must_care_for(&state, &actor, &user_id).await?;
    let limit = paging.limit + 1;
    let params: db::Params<'_> = &[&&**user_id, &at, &id, &limit];
    let rows = state.db.read(&actor, outcomes::LIST, params).await?;
    let found = rows
        .iter()
        .map(outcomes::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(
            &name,
            &caller,
            &paging,
            &Newest(last.occurred_at, last.outcome_id),
        )
    });
    Ok(caller.disclose(NOBODY_ELSE, &page.map(OutcomeView::from)).await?)
}
