//! Where help is at any hour, by region. The programme keeps the list: a number that is wrong is worse than none.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Fields, Granted, Id, NOBODY_ELSE, Params, Query, Read, ReadQuery, Write, read,
};

use crate::error::Error;
use crate::state::State;
use crate::store::crisis_resources::{self, Kept, Resource};

const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
    PrincipalKind::Admin,
]);
const KEEP: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);

const MAX_NAME_BYTES: usize = 200;
const MAX_DESCRIPTION_BYTES: usize = 1_000;
const MAX_NUMBER_BYTES: usize = 50;
/// Of a number: some countries have emergency numbers of two.
const MIN_DIGITS: usize = 2;
const MAX_URL_BYTES: usize = 500;
const REGION: &str = "an ISO 3166-1 alpha-2 code, such as AT";
const LINK: &str = "an address that begins with https://";
const NUMBER: &str =
    "a number that can be dialled: two digits or more, spaces and + - . / ( ) * #, 50 bytes at most";

/// Where help is. It needs a phone, a number to write to, or an address.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Resource is what it is read into")]
struct ResourceBody {
    /// ISO 3166-1 alpha-2; without one it is for everywhere.
    #[schema(example = "AT", pattern = "^[A-Z]{2}$")]
    region: Option<String>,
    #[schema(max_length = 200)]
    name: String,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// As it is dialled.
    #[schema(max_length = 50, example = "142")]
    phone: Option<String>,
    /// A number to write to.
    #[schema(max_length = 50)]
    text_to: Option<String>,
    #[schema(max_length = 500)]
    url: Option<String>,
    /// When somebody is there.
    #[schema(max_length = 200, example = "at any hour")]
    hours: String,
    /// Its place in the list; by default the first.
    #[schema(minimum = 0, maximum = 1000)]
    position: Option<i32>,
}

impl Read for Resource {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let region = fields.optional("region", read::parsed(region, REGION));
        let name = fields.required("name", read::words(1..=MAX_NAME_BYTES));
        let description = fields.optional("description", read::text(1..=MAX_DESCRIPTION_BYTES));
        let phone = fields.optional("phone", read::parsed(number, NUMBER));
        let text_to = fields.optional("text_to", read::parsed(number, NUMBER));
        let url = fields.optional("url", read::parsed(link, LINK));
        let hours = fields.required("hours", read::words(1..=MAX_NAME_BYTES));
        let position = fields.optional("position", read::integer(0..=1_000));
        let (phone, text_to, url) = (phone?, text_to?, url?);
        if phone.is_none() && text_to.is_none() && url.is_none() {
            fields.fault("phone", "or text_to or url is required");
            return None;
        }
        Some(Self {
            region: region?,
            name: name?,
            description: description?,
            phone,
            text_to,
            url,
            hours: hours?,
            position: position?.unwrap_or(0),
        })
    }
}

fn region(word: &str) -> Option<String> {
    (word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| word.to_owned())
}

/// Nobody in danger should have to find out that it is none.
fn number(word: &str) -> Option<String> {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_dialled = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b" +-./()*#".contains(&byte));
    (word.len() <= MAX_NUMBER_BYTES && is_dialled && digits >= MIN_DIGITS).then(|| word.to_owned())
}

fn link(word: &str) -> Option<String> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_graphic());
    (word.len() <= MAX_URL_BYTES && is_plain && word.starts_with("https://")).then(|| word.to_owned())
}

/// Where help is.
#[derive(Serialize, ToSchema)]
pub(super) struct ResourceView {
    resource_id: i64,
    /// Null for everywhere.
    region: Option<String>,
    name: String,
    description: Option<String>,
    phone: Option<String>,
    text_to: Option<String>,
    url: Option<String>,
    hours: String,
    position: i32,
    /// When it was last said to be so.
    updated_at: DateTime<Utc>,
}

impl From<Kept> for ResourceView {
    fn from(kept: Kept) -> Self {
        let resource = kept.resource;
        Self {
            resource_id: kept.resource_id,
            region: resource.region,
            name: resource.name,
            description: resource.description,
            phone: resource.phone,
            text_to: resource.text_to,
            url: resource.url,
            hours: resource.hours,
            position: resource.position,
            updated_at: kept.updated_at,
        }
    }
}

/// Where help is, those of the region first.
#[derive(Serialize, ToSchema)]
struct ResourceList {
    items: Vec<ResourceView>,
}

/// Which are listed.
struct RegionQuery(Option<String>);

impl ReadQuery for RegionQuery {
    fn read(params: &mut Params) -> Option<Self> {
        params.optional("region", read::parsed(region, REGION)).map(Self)
    }
}

/// Where help is in a region and everywhere; without a region all that are kept.
#[utoipa::path(
    tag = "safety",
    params(("region" = Option<String>, Query, description = "ISO 3166-1 alpha-2, such as AT")),
    responses((status = 200, body = ResourceList)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/crisis-resources")]
pub(crate) async fn list(
    state: Data<State>,
    Query(RegionQuery(region)): Query<RegionQuery>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state.db.call(&crisis_resources::list_sql(), &[&region]).await?;
    let items = rows
        .iter()
        .map(|row| Ok(crisis_resources::from_row(row)?.into()))
        .collect::<Result<_, db::Error>>()?;
    Ok(caller.disclose(NOBODY_ELSE, &ResourceList { items }).await?)
}

/// Keep another one.
#[utoipa::path(
    tag = "safety",
    request_body = ResourceBody,
    responses((status = 201, body = ResourceView)),
    extensions(("x-principals" = json!(KEEP)))
)]
#[post("/v1/crisis-resources")]
pub(crate) async fn create(state: Data<State>, request: Write<Resource>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&KEEP)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let kept = crisis_resources::insert(tx, &body).await?;
        let place = format!("/v1/crisis-resources/{}", kept.resource_id);
        Ok::<_, Error>(Answer::created(place, &ResourceView::from(kept))?)
    })
    .await
}

/// Say of one how it is now.
#[utoipa::path(
    tag = "safety",
    request_body = ResourceBody,
    responses((status = 200, body = ResourceView)),
    extensions(("x-principals" = json!(KEEP)))
)]
#[put("/v1/crisis-resources/{resource_id}")]
pub(crate) async fn replace(
    state: Data<State>,
    resource_id: Path<Id>,
    request: Write<Resource>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&KEEP)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        let kept = crisis_resources::replace(tx, **resource_id, &body).await?;
        Ok::<_, Error>(Answer::ok(&ResourceView::from(kept.ok_or(Error::NotFound)?))?)
    })
    .await
}

/// Keep one no longer.
#[utoipa::path(
    tag = "safety",
    responses((status = 204, description = "It is gone")),
    extensions(("x-principals" = json!(KEEP)))
)]
#[delete("/v1/crisis-resources/{resource_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    resource_id: Path<Id>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&KEEP)?;
    let tx = state.db.begin_worker().await?;
    web::write(tx, &caller, key, async |tx| {
        if crisis_resources::delete(tx, **resource_id).await? {
            Ok(Answer::no_content())
        } else {
            Err(Error::NotFound)
        }
    })
    .await
}
