//! Calendar feeds behind a secret link, for programs that cannot show a token: what schedules' and counselors' have in
//! common.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use web::{Named, Params, ReadQuery, read};

/// Everybody who has the link.
pub(super) const EVERYBODY: [&str; 1] = ["everybody"];
/// Whoever shows a link, as the audit names it.
pub(super) const HOLDER: Named<'_> = Named::elsewhere("calendar");
/// The feed reaches so far back, and so far ahead as shifts are written.
const BACK_DAYS: i64 = 14;
const AHEAD_DAYS: i64 = 90;
/// As unguessable as a key of the strongest cipher.
const SECRET_BYTES: usize = 32;
/// The longest secret that is looked at.
const MAX_SECRET_BYTES: usize = 255;

/// The proof that somebody was given a link.
pub(super) struct Secret(SecretString);

impl Secret {
    /// Another one than all before.
    pub(super) fn new() -> Self {
        let secret: [u8; SECRET_BYTES] = rand::random();
        Self(URL_SAFE_NO_PAD.encode(secret).into())
    }

    /// What is stored of it.
    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.expose_secret().as_bytes()).to_vec()
    }
}

impl ReadQuery for Secret {
    fn read(params: &mut Params) -> Option<Self> {
        let secret = params.required("secret", read::text(1..=MAX_SECRET_BYTES))?;
        Some(Self(secret.into()))
    }
}

/// A new calendar link. It is shown here and never again.
#[derive(Serialize, ToSchema)]
pub(super) struct CalendarLink {
    /// What to put behind the address of this service.
    #[schema(example = "/v1/oncall-schedules/1/calendar.ics?secret=…")]
    path: String,
    secret: String,
}

impl CalendarLink {
    /// The link to the feed at a path.
    pub(super) fn new(feed: &str, secret: &Secret) -> Self {
        let secret = secret.0.expose_secret();
        Self {
            path: format!("{feed}?secret={secret}"),
            secret: secret.to_owned(),
        }
    }
}

/// From when to when a feed reaches.
pub(super) fn span(now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    (
        now - TimeDelta::days(BACK_DAYS),
        now + TimeDelta::days(AHEAD_DAYS),
    )
}

/// The answer that a feed is.
pub(super) fn answer(feed: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/calendar; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "private, no-store"))
        .body(feed)
}
