//! Risk policies: the thresholds that labels are judged by, what another version of them would change, and which one holds.

use std::collections::BTreeMap;

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use common::{PrincipalKind, Probability, RiskLabel};
use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use web::{
    Allowed, Answer, Caller, Code, CursorKey, Fields, Granted, Identifier, NOBODY_ELSE, Page, Paging,
    Problem, Query, Read, Write, read,
};

use crate::domain::policy::{Policy, Thresholds};
use crate::error::Error;
use crate::state::State;
use crate::store::policies::{self, Stored};
use crate::store::previews::{self, Drawn, Extent};

const MANAGE: Allowed = Allowed(&[PrincipalKind::Supervisor, PrincipalKind::Admin]);

/// Cursors of this list.
const LIST_NAME: &str = "risk-policies";
const MAX_VERSION_BYTES: usize = 50;
/// Clients whom a preview looks at; of more, these are drawn.
const MAX_CLIENTS: i64 = 2_000;
/// A preview looks back so far by default, and at most.
const PREVIEW_DAYS: i32 = 90;
/// When to come back while another preview runs, in seconds.
const RETRY_WHEN_BUSY_SECONDS: u64 = 5;
const BUSY: &str = "Another preview is running. Ask again after the seconds in Retry-After.";

/// Thresholds of the rules, each from 0 to 1.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what Thresholds is read from and written as")]
struct ThresholdsBody {
    /// A risk score that is high by itself.
    #[schema(example = 0.7)]
    t_high: f64,
    /// A mean risk score that is moderate.
    #[schema(example = 0.3)]
    t_mid: f64,
    /// A relapse probability that makes a message high-risk.
    #[schema(example = 0.5)]
    t_relapse: f64,
    /// A craving probability that makes a message high-risk.
    #[schema(example = 0.5)]
    t_craving: f64,
    /// A toxicity that counts as an incident.
    #[schema(example = 0.7)]
    t_toxic: f64,
    /// A mean isolation that counts.
    #[schema(example = 0.9)]
    t_iso: f64,
    /// A mean risk score that, together with isolation, is high.
    #[schema(example = 0.7)]
    t_iso_escalate: f64,
}

/// A risk policy.
#[derive(Serialize, ToSchema)]
struct RiskPolicyView {
    version: String,
    #[schema(value_type = ThresholdsBody)]
    thresholds: Thresholds,
    active: bool,
    created_at: DateTime<Utc>,
    created_by: Option<String>,
    activated_at: Option<DateTime<Utc>>,
    /// When every profile had been judged by it.
    settled_at: Option<DateTime<Utc>>,
}

impl From<Stored> for RiskPolicyView {
    fn from(found: Stored) -> Self {
        Self {
            version: found.policy.version,
            thresholds: found.policy.thresholds,
            active: found.active,
            created_at: found.created_at,
            created_by: found.created_by,
            activated_at: found.activated_at,
            settled_at: found.settled_at,
        }
    }
}

/// A new version. It holds once it is activated, and is never changed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Policy is what it is read into")]
struct NewPolicy {
    /// Up to 50 of A-Z a-z 0-9 _ -.
    #[schema(max_length = 50, example = "fusion_v3")]
    version: String,
    thresholds: ThresholdsBody,
}

impl Read for Policy {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let is_version = |word: &str| word.len() <= MAX_VERSION_BYTES && read::is_identifier(word);
        let version = fields.required(
            "version",
            read::parsed(
                move |word| is_version(word).then(|| word.to_owned()),
                "1 to 50 of A-Z a-z 0-9 _ -",
            ),
        );
        let thresholds = fields.nested("thresholds");
        Some(Self {
            version: version?,
            thresholds: thresholds?,
        })
    }
}

impl Read for Thresholds {
    const MAX_BODY_BYTES: usize = 4 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let names = [
            "t_high",
            "t_mid",
            "t_relapse",
            "t_craving",
            "t_toxic",
            "t_iso",
            "t_iso_escalate",
        ];
        let [high, mid, relapse, craving, toxic, iso, iso_escalate] = names.map(|name| {
            fields
                .required(name, read::probability)
                .and_then(Probability::new)
        });
        let (high, mid) = (high?, mid?);
        if mid > high {
            // Whoever is not at high risk any more would be at low risk at once.
            fields.fault("t_mid", "must not be above t_high");
        }
        Some(Self {
            high,
            mid,
            relapse: relapse?,
            craving: craving?,
            toxic: toxic?,
            iso: iso?,
            iso_escalate: iso_escalate?,
        })
    }
}

fn people(view: &RiskPolicyView) -> Option<String> {
    view.created_by.clone()
}

/// Make a version. The same again changes nothing.
#[utoipa::path(
    tag = "risk-policies",
    request_body = NewPolicy,
    responses(
        (status = 201, body = RiskPolicyView),
        (status = 200, description = "It stood already", body = RiskPolicyView),
        (status = 409, description = "The version has other thresholds")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/risk-policies")]
pub(crate) async fn create(state: Data<State>, request: Write<Policy>) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        let is_new = policies::insert(tx, &body, &caller.principal.id, state.clock.fixed()).await?;
        let stands = policies::find(tx, &body.version).await?.ok_or(Error::NotFound)?;
        if stands.policy != body {
            let detail = "This version has other thresholds, and a version is never changed. Post a new one.";
            return Err(Problem::conflict(Code::Differs, detail).into());
        }
        let view = RiskPolicyView::from(stands);
        let location = format!("/v1/risk-policies/{}", body.version);
        Ok(Answer::stands(is_new, location, &view)?.about(people(&view)))
    })
    .await
}

/// All versions, by name.
#[utoipa::path(
    tag = "risk-policies",
    params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<RiskPolicyView>)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/risk-policies")]
pub(crate) async fn list(
    state: Data<State>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let after: String = cursors.open(LIST_NAME, &caller, &paging)?.unwrap_or_default();
    let params: db::Params<'_> = &[&after, &(paging.limit + 1)];
    let rows = state.db.read(&caller.actor()?, policies::LIST, params).await?;
    let found = rows
        .iter()
        .map(|row| Ok(policies::stored_from_row(row)?.into()))
        .collect::<Result<Vec<RiskPolicyView>, db::Error>>()?;
    let page = Page::cut(found, paging.limit, |last| {
        cursors.seal(LIST_NAME, &caller, &paging, &last.version)
    });
    let named: Vec<String> = page.items.iter().filter_map(people).collect();
    Ok(caller.disclose(named, &page).await?)
}

/// One version.
#[utoipa::path(
    tag = "risk-policies",
    params(("version" = String, Path)),
    responses((status = 200, body = RiskPolicyView)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[get("/v1/risk-policies/{version}")]
pub(crate) async fn find(
    state: Data<State>,
    version: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&MANAGE)?;
    let rows = state
        .db
        .read(&caller.actor()?, policies::FIND, &[&&**version])
        .await?;
    let view = RiskPolicyView::from(policies::stored_from_row(rows.first().ok_or(Error::NotFound)?)?);
    Ok(caller.disclose(people(&view), &view).await?)
}

/// Judge by this version from now on. Every profile is judged anew within the next rounds of the sweep, which may open
/// escalations; `settled_at` says when all were.
#[utoipa::path(
    tag = "risk-policies",
    params(("version" = String, Path)),
    responses((status = 200, body = RiskPolicyView)),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/risk-policies/{version}/activate")]
pub(crate) async fn activate(
    state: Data<State>,
    version: Path<Identifier>,
    request: Write<()>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, key, .. } = request.allow(&MANAGE)?;
    let tx = state.db.begin(&caller.actor()?).await?;
    web::write(tx, &caller, key, async |tx| {
        policies::find(tx, &version).await?.ok_or(Error::NotFound)?;
        policies::activate(tx, &version, state.clock.fixed()).await?;
        let view = RiskPolicyView::from(policies::find(tx, &version).await?.ok_or(Error::NotFound)?);
        Ok(Answer::ok(&view)?.about(people(&view)))
    })
    .await
}

/// How far back a preview looks.
#[derive(ToSchema)]
struct PreviewOf {
    /// 7 to 90; 90 by default.
    days: Option<i32>,
}

impl Read for PreviewOf {
    const MAX_BODY_BYTES: usize = 1024;
    const MAY_BE_ABSENT: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let days = fields.optional("days", read::integer(7..=PREVIEW_DAYS))?;
        Some(Self { days })
    }
}

/// What a version would change.
#[derive(Serialize, ToSchema)]
struct Preview {
    version: String,
    /// What it is held against.
    active_version: String,
    days: i32,
    clients: i64,
    /// Fewer than `clients` where there are more than 2,000: then what follows is of these alone, drawn by their ids.
    clients_replayed: i64,
    /// Whose label would be another one now.
    clients_changed: i64,
    /// Such as `{"LOW_RISK": {"MODERATE_RISK": 12}}`: from what to what.
    #[schema(value_type = Object)]
    changes: BTreeMap<RiskLabel, BTreeMap<RiskLabel, i64>>,
    /// How often a label became HIGH_RISK within these days, by the active policy and by this one.
    crises_active: i64,
    crises_candidate: i64,
    /// How many more that is a week; negative where it is fewer.
    more_pages_a_week: f64,
}

/// Replay what was scored within the last days under a version: whose label would be another one now, and how many more
/// pages a week there would have been. Changes nothing. Every message counts as though it had been scored when it was
/// written; a label that becomes HIGH_RISK is a page.
#[utoipa::path(
    tag = "risk-policies",
    params(("version" = String, Path)),
    request_body = PreviewOf,
    responses(
        (status = 200, body = Preview),
        (status = 503, description = "Another preview is running, or Postgres is away")
    ),
    extensions(("x-principals" = json!(MANAGE)))
)]
#[post("/v1/risk-policies/{version}/preview")]
pub(crate) async fn preview(
    state: Data<State>,
    version: Path<Identifier>,
    request: Write<PreviewOf>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, .. } = request.allow(&MANAGE)?;
    let _alone = state
        .previews
        .try_acquire()
        .map_err(|_| Problem::busy(RETRY_WHEN_BUSY_SECONDS, BUSY))?;
    let days = body.days.unwrap_or(PREVIEW_DAYS);
    // As the worker: it looks at everybody, and tells of nobody.
    let tx = state.db.begin_worker().await?;
    let candidate = policies::find(&tx, &version)
        .await?
        .ok_or(Error::NotFound)?
        .policy;
    let active = policies::active(&tx).await?;
    let extent = Extent {
        days,
        most_clients: MAX_CLIENTS,
        most_rows: state.preview_rows,
    };
    let drawn = previews::draw(&tx, state.clock.fixed(), extent).await?;
    tx.rollback().await?;
    let drawn = drawn.ok_or_else(|| {
        let most = state.preview_rows;
        let detail = format!("is too long: more than {most} predictions and messages. Ask for fewer days");
        Problem::invalid_field("/days", detail)
    })?;
    // Some seconds of arithmetic: not where requests are answered.
    let preview = spawn_blocking(move || compare(&active, &candidate, days, &drawn)).await;
    let preview = preview.map_err(Problem::internal)?;
    Ok(caller.disclose(NOBODY_ELSE, &preview).await?)
}

fn compare(active: &Policy, candidate: &Policy, days: i32, drawn: &Drawn) -> Preview {
    let from = drawn.now - TimeDelta::days(days.into());
    let mut changes: BTreeMap<RiskLabel, BTreeMap<RiskLabel, i64>> = BTreeMap::new();
    let (mut clients_changed, mut crises_active, mut crises_candidate) = (0, 0, 0);
    for history in &drawn.histories {
        let before = history.replay(&active.thresholds, from, drawn.now);
        let after = history.replay(&candidate.thresholds, from, drawn.now);
        crises_active += before.crises;
        crises_candidate += after.crises;
        if after.label != before.label {
            clients_changed += 1;
            *changes
                .entry(before.label)
                .or_default()
                .entry(after.label)
                .or_default() += 1;
        }
    }
    Preview {
        version: candidate.version.clone(),
        active_version: active.version.clone(),
        days,
        clients: drawn.clients,
        clients_replayed: i64::try_from(drawn.histories.len()).unwrap_or(i64::MAX),
        clients_changed,
        changes,
        crises_active,
        crises_candidate,
        more_pages_a_week: a_week(crises_candidate - crises_active, days),
    }
}

/// To a tenth.
fn a_week(pages: i64, days: i32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "pages to staff within 90 days")]
    let tenths = pages as f64 * 70.0 / f64::from(days);
    tenths.round() / 10.0
}
