//! Everything that is held about a person, from every schema, as it is read.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpResponse, get};
use common::PrincipalKind;
use db::Tx;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use web::{Allowed, Caller, Holder, Identifier, NOBODY_ELSE, Problem, Query};

use crate::domain::user::Kind;
use crate::error::Error;
use crate::state::State;
use crate::store::exports::{self, Opened};

const EXPORT: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App, PrincipalKind::Admin]);

const NDJSON: &str = "application/x-ndjson";
/// Pages that are read before the reader has taken the last one.
const PAGES_AHEAD: usize = 1;
/// A reader who takes nothing for so long has gone, whatever the connection says: the transaction must not wait for it.
const MAX_STALL: Duration = Duration::from_secs(10);
/// When to come back while others are exporting, in seconds.
const RETRY_WHEN_BUSY_SECONDS: u64 = 5;
const BUSY: &str = "Two exports are being sent already. Ask again after the seconds in Retry-After.";

/// Everything that is held about a person, as of one instant and within ten minutes: one JSON object a line. The first
/// has `time`, `user_id` and `schema_versions`; then each row is `{"schema", "table", "row"}`; the last is
/// `{"end": true, "rows": n}`, and where it is missing the answer was cut. Passwords, tokens and other secrets are left
/// out.
#[utoipa::path(
    tag = "leaving",
    params(("user_id" = String, Path)),
    responses(
        (status = 200, content_type = "application/x-ndjson", body = String),
        (status = 503, description = "Two exports are being sent already, or Postgres is away")
    ),
    extensions(("x-principals" = json!(EXPORT)))
)]
#[get("/v1/users/{user_id}/export")]
pub(crate) async fn export(
    state: Data<State>,
    user_id: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&EXPORT)?;
    let may_be = whose(&caller, &user_id)?;
    let busy = || Problem::busy(RETRY_WHEN_BUSY_SECONDS, BUSY);
    let at_work = Arc::clone(&state.exports)
        .try_acquire_owned()
        .map_err(|_| busy())?;
    let tx = state.db.begin_worker().await?;
    let opened = exports::open(&tx, &user_id).await?.ok_or(Error::NotFound)?;
    if may_be.is_some_and(|kind| kind.as_str() != opened.kind) {
        return Err(Error::NotFound);
    }
    caller.on_record(NOBODY_ELSE).await?;
    let (pages, read) = mpsc::channel(PAGES_AHEAD);
    let sending = Sending {
        tx,
        pages,
        _at_work: at_work,
    };
    let header = header(&user_id, &opened);
    // It ends with the worker's thread, and before that when nobody reads on.
    rt::spawn(sending.run(header, state.max_export));
    let body = stream::unfold(read, async |mut read| Some((read.recv().await?, read)));
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(Box::pin(body)))
}

/// Of what kind the account must be; whatever it is, for an admin.
fn whose(caller: &Caller, user_id: &str) -> Result<Option<Kind>, Error> {
    let acts_for = caller.on_behalf_of.as_deref();
    match caller.principal.holder {
        Holder::Client if caller.principal.id == user_id => Ok(Some(Kind::Client)),
        Holder::App if acts_for.is_none_or(|client| client == user_id) => Ok(Some(Kind::Client)),
        Holder::Staff => Ok(None),
        Holder::Client | Holder::App | Holder::Pipeline | Holder::Service => Err(Error::NotFound),
    }
}

fn header(user_id: &str, opened: &Opened) -> Value {
    json!({
        "user_id": user_id,
        "kind": opened.kind,
        "time": opened.at,
        "schema_versions": opened.schema_versions,
    })
}

/// An export on its way. It holds its transaction for as long, so that all of it is of one instant; no lock is held.
struct Sending {
    tx: Tx,
    pages: mpsc::Sender<io::Result<Bytes>>,
    _at_work: OwnedSemaphorePermit,
}

impl Sending {
    /// A reader who takes a little now and then is cut off as well, in the end.
    async fn run(self, header: Value, max: Duration) {
        let sent = timeout(max, self.send_all(header)).await;
        match sent.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            Ok(()) => drop(self.tx.rollback().await),
            Err(cause) => {
                tracing::warn!(cause, "an export was cut");
                // Ends the answer without its end.
                let cut = io::Error::other("the export was cut");
                drop(self.pages.send_timeout(Err(cut), MAX_STALL).await);
            }
        }
    }

    async fn send_all(&self, header: Value) -> Result<(), String> {
        self.send(vec![header.to_string()]).await?;
        let mut rows = 0;
        loop {
            let page = exports::page(&self.tx).await.map_err(|error| error.to_string())?;
            if page.is_empty() {
                break;
            }
            rows += page.len();
            self.send(page).await?;
        }
        self.send(vec![json!({ "end": true, "rows": rows }).to_string()])
            .await
    }

    async fn send(&self, lines: Vec<String>) -> Result<(), String> {
        let mut text = lines.join("\n");
        text.push('\n');
        self.pages
            .send_timeout(Ok(text.into()), MAX_STALL)
            .await
            .map_err(|_| "nobody reads on".to_owned())
    }
}
