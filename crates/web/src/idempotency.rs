//! `Idempotency-Key`: a write that is sent again gives the answer of the first time, byte for byte, for 24 hours.
//!
//! The answer is stored in the transaction of the write itself, so it exists if and only if the write does. Routes that
//! answer a secret ignore the key: no secret is stored. With an answer stands whom it is about, so that it goes when one
//! of them is erased; a handler whose path does not name them says so by [`Answer::about`].

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use db::{Params, Row, Tx};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::auth::Caller;
use crate::problem::{Code, Problem};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A key, and what it was sent with: method, path with query, and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    request_hash: [u8; 32],
}

impl IdempotencyKey {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// 400 for one that is not 1 to 255 visible ASCII characters, and for several.
    pub(crate) fn of(request: &HttpRequest, body: &[u8]) -> Result<Option<Self>, Problem> {
        let mut headers = request.headers().get_all(IDEMPOTENCY_KEY);
        let Some(header) = headers.next() else {
            return Ok(None);
        };
        let key = header.as_bytes();
        let is_good = (1..=MAX_KEY_BYTES).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        // Of two, a proxy may have meant the other one.
        if !is_good || headers.next().is_some() {
            return Err(Problem::bad_request(format!(
                "The header Idempotency-Key must be there once, with 1 to {MAX_KEY_BYTES} visible ASCII characters."
            )));
        }
        let mut hash = Sha256::new();
        // Neither method nor address can hold a line feed, so no two requests look alike.
        for part in [request.method().as_str(), "\n", &request.uri().to_string(), "\n"] {
            hash.update(part.as_bytes());
        }
        hash.update(body);
        let key = String::from_utf8_lossy(key).into_owned();
        Ok(Some(Self {
            key,
            request_hash: hash.finalize().into(),
        }))
    }
}

/// What a write answers; stored as it is, where the request had a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: Bytes,
    /// Whom the write was about, besides those that the path names: for the audit, and because a kept answer goes with
    /// everybody it is about.
    people: Vec<String>,
}

impl Answer {
    /// The same answer of a write about these people, besides those that the path names.
    #[must_use]
    pub fn about<S: Into<String>>(mut self, people: impl IntoIterator<Item = S>) -> Self {
        self.people.extend(people.into_iter().map(Into::into));
        self
    }

    /// A JSON answer of that status.
    ///
    /// # Errors
    /// 500 if the body cannot be serialised, which is a fault of its type.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?.into();
        Ok(Self {
            status,
            location: None,
            body,
            people: Vec::new(),
        })
    }

    /// 200 with a JSON body.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with the path of the new thing and a JSON body.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn created(location: impl Into<String>, body: &impl Serialize) -> Result<Self, Problem> {
        let answer = Self::json(StatusCode::CREATED, body)?;
        Ok(Self {
            location: Some(location.into()),
            ..answer
        })
    }

    /// 201 for what was stored now, as [`Self::created`]; 200 for what stood already.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn stands(is_new: bool, location: impl Into<String>, body: &impl Serialize) -> Result<Self, Problem> {
        if is_new {
            Self::created(location, body)
        } else {
            Self::ok(body)
        }
    }

    /// 204 without a body.
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            location: None,
            body: Bytes::new(),
            people: Vec::new(),
        }
    }

    /// The answer as it goes out.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        if self.body.is_empty() {
            return response.finish();
        }
        response.content_type("application/json").body(self.body)
    }
}

/// Runs a write in its transaction and commits; with a key that was used before, answers what was answered then.
///
/// # Errors
/// What `run` refuses, after a roll-back; 409 while the same key is at work; 422 for a key of another request; and the
/// errors of the database.
pub async fn write<E, F>(
    tx: Tx,
    caller: &Caller,
    key: Option<IdempotencyKey>,
    run: F,
) -> Result<HttpResponse, E>
where
    E: From<db::Error> + From<Problem>,
    F: AsyncFnOnce(&Tx) -> Result<Answer, E>,
{
    let record = key.map(|key| Record {
        principal: caller.identity(),
        people: caller.people(),
        key,
    });
    match attempt(&tx, record.as_ref(), run).await {
        Ok(Outcome::New(answer)) => {
            caller.audited_in(&tx, answer.people.clone());
            if let Some(record) = record {
                record.store(&tx, &answer);
            }
            tx.commit().await?;
            Ok(answer.into_response())
        }
        Ok(Outcome::Known(answer)) => {
            tx.rollback().await?;
            caller.shown_again(answer.people.clone()).await?;
            let mut response = answer.into_response();
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Err(error) => {
            // Where this fails, the connection is gone, and Postgres has rolled back by itself.
            tx.rollback().await.ok();
            Err(error)
        }
    }
}

enum Outcome {
    New(Answer),
    Known(Answer),
}

async fn attempt<E, F>(tx: &Tx, record: Option<&Record>, run: F) -> Result<Outcome, E>
where
    E: From<db::Error> + From<Problem>,
    F: AsyncFnOnce(&Tx) -> Result<Answer, E>,
{
    if let Some(record) = record
        && let Some(answer) = record.find(tx).await?
    {
        return Ok(Outcome::Known(answer));
    }
    run(tx).await.map(Outcome::New)
}

/// The row of one key of one principal.
struct Record {
    principal: String,
    /// Whom the request is about, the asking person among them.
    people: BTreeSet<String>,
    key: IdempotencyKey,
}

impl Record {
    /// Takes the key for this transaction, then looks for an answer of the last 24 hours.
    async fn find(&self, tx: &Tx) -> Result<Option<Answer>, Problem> {
        let (schema, key) = (tx.schema(), &self.key.key);
        let lock = "select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked";
        let locked_name = format!("{schema}|{}|{key}", self.principal);
        let stored = format!(
            "select request_hash, status, location, body, people from {schema}.idempotency_keys
             where principal = $1 and key = $2 and created_at > now() - interval '24 hours'"
        );
        let lock_params: Params<'_> = &[&locked_name];
        let stored_params: Params<'_> = &[&self.principal, key];
        // The lock first: who gets it reads what the one before has committed.
        let rows = tx
            .pipeline(&[(lock, lock_params), (&stored, stored_params)])
            .await?;
        let mut found = rows.iter().map(|rows| rows.first());
        let (lock, stored) = (found.next().flatten(), found.next().flatten());
        let locked = lock
            .map(|row| row.try_get::<_, bool>("locked"))
            .transpose()
            .map_err(db::Error::from)?;
        if locked != Some(true) {
            return Err(Problem::conflict(
                Code::InFlight,
                "A request with this Idempotency-Key has not finished.",
            ));
        }
        let Some(stored) = stored else { return Ok(None) };
        let (request_hash, answer) = answer(stored)?;
        if request_hash != self.key.request_hash {
            let detail = "This Idempotency-Key was used for another request.";
            return Err(Problem::new(Code::KeyReused, detail));
        }
        Ok(Some(answer))
    }

    fn store(mut self, tx: &Tx, answer: &Answer) {
        self.people.extend(answer.people.iter().cloned());
        let store = format!(
            "insert into {}.idempotency_keys (principal, key, request_hash, status, location, body, people)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (principal, key) do update set request_hash = excluded.request_hash, status = excluded.status,
               location = excluded.location, body = excluded.body, people = excluded.people,
               created_at = now()",
            tx.schema()
        );
        let status = i16::try_from(answer.status.as_u16()).unwrap_or_default();
        tx.at_commit(
            store,
            vec![
                Box::new(self.principal),
                Box::new(self.key.key),
                Box::new(self.key.request_hash.to_vec()),
                Box::new(status),
                Box::new(answer.location.clone()),
                Box::new(answer.body.to_vec()),
                Box::new(self.people.into_iter().collect::<Vec<_>>()),
            ],
        );
    }
}

fn answer(row: &Row) -> Result<(Vec<u8>, Answer), db::Error> {
    let status: i16 = row.try_get("status")?;
    let status = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let body: Vec<u8> = row.try_get("body")?;
    let answer = Answer {
        status: status.ok_or_else(|| db::Error::Row("idempotency_keys.status".to_owned()))?,
        location: row.try_get("location")?,
        body: body.into(),
        people: row.try_get("people")?,
    };
    Ok((row.try_get("request_hash")?, answer))
}
