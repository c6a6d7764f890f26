//! A small service on port 0, and a client that can misbehave on the wire.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use common::PrincipalKind;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::*;

pub(super) const COUNSELOR: &str = "rcv_counselor";
pub(super) const OTHER_COUNSELOR: &str = "rcv_other_counselor";
pub(super) const ADMIN: &str = "rcv_admin";
pub(super) const APP: &str = "rcv_app";
/// A counselor whose id is that of the app.
pub(super) const NAMESAKE: &str = "rcv_namesake";

const STAFF: Allowed = Allowed(&[PrincipalKind::Counselor, PrincipalKind::App]);

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) metrics_address: SocketAddr,
    pub(super) handle: ServerHandle,
    pub(super) auditor: Auditor,
}

pub(super) struct Received {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Received {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    }

    /// The pointers of all faults, in the order of the answer.
    pub(super) fn pointers(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(super) fn settings() -> ServerSettings {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    ServerSettings {
        workers: 1,
        metrics_listen: Some(any_port),
        body_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_millis(500),
        drain_pause: Duration::ZERO,
        ..ServerSettings::new(any_port)
    }
}

pub(super) fn start(settings: &ServerSettings, readiness: Readiness) -> Running {
    let auditor = Auditor::in_memory();
    // Nobody listens on port 1: this is Postgres away.
    let away = db::Settings {
        url: "postgres://nobody@127.0.0.1:1/none".into(),
        schema: "social",
        people_connections_max: 1,
        server_threads: 1,
        worker_connections_max: 1,
        session_parameters: Vec::new(),
    };
    let db = db::Db::new(&away).unwrap();
    let tokens = Tokens::new(db.clone());
    tokens.remember(
        COUNSELOR,
        principal("c1", Holder::Staff, &[PrincipalKind::Counselor]),
    );
    tokens.remember(
        OTHER_COUNSELOR,
        principal("c2", Holder::Staff, &[PrincipalKind::Counselor]),
    );
    tokens.remember(ADMIN, principal("a1", Holder::Staff, &[PrincipalKind::Admin]));
    tokens.remember(
        NAMESAKE,
        principal("front", Holder::Staff, &[PrincipalKind::Counselor]),
    );
    tokens.remember(APP, principal("front", Holder::App, &[]));
    let site = Site {
        erasures: ErasureKey::new(&SecretString::from("k")).unwrap(),
        about: About {
            title: "Things",
            description: "For tests.",
            version: "1",
        },
        routes,
        state: Arc::new(()),
        db,
        cursors: CursorKey::new(&"0123456789abcdef0123456789abcdef".into()).unwrap(),
        auditor: auditor.clone(),
        tokens,
        readiness,
        metrics: telemetry::Metrics::isolated("things").unwrap(),
    };
    let server = Server::bind(settings, site).unwrap();
    let (address, metrics_address) = (server.address(), server.metrics_address().unwrap());
    let handle = server.handle();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(server.run());
    Running {
        address,
        metrics_address,
        handle,
        auditor,
    }
}

fn principal(id: &str, holder: Holder, roles: &[PrincipalKind]) -> Principal {
    Principal {
        id: id.to_owned(),
        holder,
        roles: roles.to_vec(),
        scopes: Vec::new(),
        expires_at: None,
    }
}

/// Sends bytes as they are and reads until the server closes.
pub(super) async fn exchange(address: SocketAddr, request: &[u8]) -> Received {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a body early may reset the connection after its answer.
    while let Ok(1..) = stream.read_buf(&mut answer).await {}
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Received {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(super) async fn get(address: SocketAddr, path: &str, headers: &str) -> Received {
    exchange(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
    )
    .await
}

pub(super) async fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Received {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    exchange(address, &[head.as_bytes(), body].concat()).await
}

fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_things)
        .service(thing)
        .service(create)
        .service(create_batch)
        .service(open)
        .service(slow);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Thing {
    name: String,
    p: f64,
    note: Option<String>,
    at: Option<chrono::DateTime<chrono::Utc>>,
}

impl Read for Thing {
    const MAX_BODY_BYTES: usize = 2_048;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", read::identifier);
        let p = fields.required("p", read::probability);
        let note = fields.optional("note", read::long_text(1..=100));
        let at = fields.optional("at", read::timestamp);
        Some(Self {
            name: name?,
            p: p?,
            note: note?,
            at: at?,
        })
    }
}

struct Batch(Vec<Item<Thing>>);

impl Read for Batch {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.items("items", 1..=3).map(Self)
    }
}

#[utoipa::path(request_body = Thing, responses((status = 201, body = Thing)), extensions(("x-principals" = json!(STAFF))))]
#[post("/v1/things")]
async fn create(request: Write<Thing>) -> Result<HttpResponse, Problem> {
    let granted = request.allow(&STAFF)?;
    Ok(Answer::created("/v1/things/1", &granted.body)?.into_response())
}

#[utoipa::path(responses((status = 200)))]
#[post("/v1/things:batch")]
async fn create_batch(request: Write<Batch>) -> Result<HttpResponse, Problem> {
    let things = all(request.allow(&STAFF)?.body.0)?;
    Ok(HttpResponse::Ok().json(json!({ "stored": things.len() })))
}

/// Ten numbers in pages.
#[utoipa::path(responses((status = 200)))]
#[get("/v1/things")]
async fn list_things(
    caller: Caller,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
) -> Result<HttpResponse, Problem> {
    let after: i64 = cursors.open("things", &caller, &paging)?.unwrap_or(0);
    let rows = (after + 1..=10)
        .take(usize::try_from(paging.limit + 1).unwrap())
        .collect();
    Ok(HttpResponse::Ok().json(Page::cut(rows, paging.limit, |last| {
        cursors.seal("things", &caller, &paging, last)
    })))
}

#[utoipa::path(responses((status = 200)))]
#[get("/v1/things/{id}")]
async fn thing(id: Path<Id>, caller: Caller, _state: Data<()>) -> Result<HttpResponse, Problem> {
    let actor = caller.actor()?.to_string();
    Ok(HttpResponse::Ok().json(json!({ "id": **id, "actor": actor })))
}

#[utoipa::path(responses((status = 200)))]
#[get("/v1/open")]
async fn open(from: Stranger) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "address": from.address }))
}

#[utoipa::path(responses((status = 200)))]
#[get("/v1/slow")]
async fn slow() -> HttpResponse {
    std::future::pending().await
}
