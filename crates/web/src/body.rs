//! Request bodies: strict JSON of a bounded size that arrives in a bounded time.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use flate2::read::MultiGzDecoder;
use futures::StreamExt;

use crate::fields::{Fields, Read};
use crate::problem::Problem;
use crate::value::Value;

/// How long a whole body may take to arrive where the server sets nothing else, in seconds.
const BODY_TIMEOUT_SECONDS: u64 = 10;

const JSON: &str = "application/json";

/// How long a body may take to arrive; in the application's data.
#[derive(Debug, Clone, Copy)]
pub struct BodyTimeout(pub Duration);

/// The body of a request, read as `T`. A route that writes takes [`Write`](crate::Write) instead, which authenticates
/// before it reads.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: Read + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = receive::<T>(&request, payload).await?;
            parse(&bytes).map(Self)
        })
    }
}

/// A JSON body as it came, for routes whose caller signs the bytes.
#[derive(Debug)]
pub struct Signed(pub Bytes);

/// The largest signed body, in bytes.
const MAX_SIGNED_BYTES: usize = 256 * 1024;

impl FromRequest for Signed {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            receive_as(JSON, MAX_SIGNED_BYTES, &request, payload)
                .await
                .map(Self)
        })
    }
}

/// Reads a received body as `T`.
///
/// # Errors
/// 400, 413 or 422 as of [`Value::parse`] and [`Fields::read`].
pub fn parse<T: Read>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() && T::MAY_BE_ABSENT {
        return Ok(Fields::read(&Value::Object(Vec::new()), String::new())?);
    }
    let value = Value::parse(bytes)?;
    Ok(Fields::read(&value, String::new())?)
}

/// Receives the body for `T` and undoes its compression.
///
/// # Errors
/// 400 for a body that breaks off, 408 for a slow one, 413 over `T::MAX_BODY_BYTES` before or after decompression, 415.
pub(crate) async fn receive<T: Read>(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let announced = header(request, &CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if T::MAY_BE_ABSENT && announced.unwrap_or(0) == 0 && header(request, &CONTENT_TYPE).is_none() {
        return Ok(Bytes::new());
    }
    receive_as(JSON, T::MAX_BODY_BYTES, request, payload).await
}

/// As [`receive`], for a body of any media type that must be there.
pub(crate) async fn receive_as(
    media_type: &str,
    max_bytes: usize,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Bytes, Problem> {
    let announced = header(request, &CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let compressed = check_headers(request, media_type)?;
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(over(max_bytes));
    }
    let timeout = request
        .app_data::<BodyTimeout>()
        .map_or(Duration::from_secs(BODY_TIMEOUT_SECONDS), |set| set.0);
    let received = tokio::time::timeout(timeout, collect(payload, announced, max_bytes))
        .await
        .map_err(|_| Problem::timeout())??;
    if compressed {
        decompress(&received, max_bytes)
    } else {
        Ok(received)
    }
}

async fn collect(mut payload: Payload, announced: Option<usize>, max_bytes: usize) -> Result<Bytes, Problem> {
    let mut received = BytesMut::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::malformed_body("The body broke off."))?;
        if received.len() + chunk.len() > max_bytes {
            return Err(over(max_bytes));
        }
        received.extend_from_slice(&chunk);
    }
    Ok(received.freeze())
}

/// Decompresses no more than one byte over the limit, so that a bomb costs what a full body costs.
fn decompress(compressed: &[u8], max_bytes: usize) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(compressed)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|_| Problem::malformed_body("The body is not gzip."))?;
    if plain.len() > max_bytes {
        Err(over(max_bytes))
    } else {
        Ok(plain.into())
    }
}

/// Whether the body is compressed, once its type and encoding are known to be ours.
fn check_headers(request: &HttpRequest, media_type: &str) -> Result<bool, Problem> {
    let content_type = header(request, &CONTENT_TYPE).unwrap_or_default();
    if !is_of(content_type, media_type) {
        return Err(Problem::unsupported_media_type(format!(
            "The content type must be {media_type}."
        )));
    }
    match header(request, &CONTENT_ENCODING) {
        None => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(false),
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => Ok(true),
        Some(_) => Err(Problem::unsupported_media_type(
            "The content encoding must be gzip or absent.",
        )),
    }
}

fn is_of(content_type: &str, media_type: &str) -> bool {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let utf8 = parameters.trim().is_empty() || parameters.trim().eq_ignore_ascii_case("charset=utf-8");
    essence.trim().eq_ignore_ascii_case(media_type) && utf8
}

/// A header's value; what is not visible ASCII counts as a value that means nothing.
fn header<'r>(request: &'r HttpRequest, name: &HeaderName) -> Option<&'r str> {
    request
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap_or_default())
}

fn over(max_bytes: usize) -> Problem {
    Problem::too_large(format!(
        "The body may have at most {max_bytes} bytes, also after decompression."
    ))
}
