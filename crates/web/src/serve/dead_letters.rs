//! Events that could not be handled: an admin lists them and asks for another try. The bodies stay in the table, since
//! an admin reads nothing clinical; the consumer's worker does the redriving.

use actix_web::web::{Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::{Db, Row};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::auth::{Allowed, Caller};
use crate::idempotency::{Answer, write};
use crate::page::{CursorKey, Page, Paging};
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::write::{Granted, Write};

const ALLOWED: Allowed = Allowed(&[PrincipalKind::Admin]);
const LIST: &str = "dead-letters";

/// One event that a consumer gave up.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetter {
    id: i64,
    consumer: String,
    event_id: Option<Uuid>,
    event_type: Option<String>,
    subject: Option<String>,
    /// Why it was given up.
    reason: String,
    attempts: i32,
    dead_at: DateTime<Utc>,
    redrive_requested_at: Option<DateTime<Utc>>,
    redriven_at: Option<DateTime<Utc>>,
}

/// Mounts both routes.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(redrive);
}

/// Events that were given up, the latest first.
#[utoipa::path(
    tag = "platform",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<DeadLetter>)),
    extensions(("x-principals" = json!(ALLOWED))),
)]
#[get("/v1/dead-letters")]
async fn list(
    caller: Caller,
    Query(paging): Query<Paging>,
    db: ThinData<Db>,
    cursors: ThinData<CursorKey>,
) -> Result<HttpResponse, Problem> {
    caller.allow(&ALLOWED)?;
    let before: Option<i64> = cursors.open(LIST, &caller, &paging)?;
    let sql = format!(
        "select id, consumer, event_id, event_type, subject, reason, attempts, dead_at, redrive_requested_at, redriven_at
         from {}.dead_letters where id < $1 order by id desc limit $2",
        db.schema()
    );
    let rows = db
        .worker_query(&sql, &[&before.unwrap_or(i64::MAX), &(paging.limit + 1)])
        .await?;
    let letters = rows
        .iter()
        .map(DeadLetter::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(letters, paging.limit, |last| {
        cursors.seal(LIST, &caller, &paging, &last.id)
    });
    Ok(HttpResponse::Ok().json(page))
}

/// Asks for another try of one event.
#[utoipa::path(
    tag = "platform",
    params(("id" = i64, Path)),
    responses((status = 200, body = DeadLetter), (status = 409, description = "It was redriven before")),
    extensions(("x-principals" = json!(ALLOWED))),
)]
#[post("/v1/dead-letters/{id}/redrive")]
async fn redrive(id: Path<i64>, request: Write<()>, db: ThinData<Db>) -> Result<HttpResponse, Problem> {
    let Granted { caller, key, .. } = request.allow(&ALLOWED)?;
    let tx = db.begin_worker().await?;
    write(tx, &caller, key, async |tx| {
        let sql = format!(
            "update {}.dead_letters set redrive_requested_at = case when redriven_at is null then now() end
             where id = $1
             returning id, consumer, event_id, event_type, subject, reason, attempts, dead_at,
               redrive_requested_at, redriven_at",
            tx.schema()
        );
        let row = tx
            .query_opt(&sql, &[&*id])
            .await?
            .ok_or_else(Problem::not_found)?;
        let letter = DeadLetter::from_row(&row)?;
        if letter.redriven_at.is_some() {
            return Err(Problem::conflict(Code::WrongState, "It was redriven before."));
        }
        Ok(Answer::ok(&letter)?.about(letter.subject))
    })
    .await
}

impl DeadLetter {
    fn from_row(row: &Row) -> Result<Self, db::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            consumer: row.try_get("consumer")?,
            event_id: row.try_get("event_id")?,
            event_type: row.try_get("event_type")?,
            subject: row.try_get("subject")?,
            reason: row.try_get("reason")?,
            attempts: row.try_get("attempts")?,
            dead_at: row.try_get("dead_at")?,
            redrive_requested_at: row.try_get("redrive_requested_at")?,
            redriven_at: row.try_get("redriven_at")?,
        })
    }
}
