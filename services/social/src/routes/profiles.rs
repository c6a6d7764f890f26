//! Risk profiles: one client's, and the caseload.

use actix_web::web::{Data, Path, ThinData};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use common::{ModelRiskLevel, PrincipalKind, RiskLabel, Trend};
use db::{Actor, Json, Row};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web::{
    Allowed, Caller, CursorKey, Identifier, NOBODY_ELSE, Newest, Page, Paging, Params, Query, ReadQuery, read,
};

use super::of_client::OfClient;
use crate::domain::label::Reason;
use crate::error::Error;
use crate::state::State;
use crate::store::caseload::{LastContact, OpenEscalation};
use crate::store::{caseload, word};

const READ: Allowed = Allowed(&[
    PrincipalKind::Counselor,
    PrincipalKind::Oncall,
    PrincipalKind::Supervisor,
]);

/// A client's rolling risk profile, exact as of `computed_at`.
#[derive(Serialize, ToSchema)]
struct ProfileView {
    user_id: String,
    last_updated: DateTime<Utc>,
    short_avg_risk_score: Option<f64>,
    short_max_risk_score: Option<f64>,
    short_avg_isolation: Option<f64>,
    short_high_risk_count: i32,
    short_toxic_incidents: i32,
    medium_avg_risk_score: Option<f64>,
    medium_max_risk_score: Option<f64>,
    medium_avg_isolation: Option<f64>,
    #[schema(value_type = String, example = "stable")]
    risk_trend: Trend,
    #[schema(value_type = String, example = "stable")]
    isolation_trend: Trend,
    #[schema(value_type = String, example = "MODERATE_RISK")]
    current_risk_label: RiskLabel,
    risk_label_since: DateTime<Utc>,
    total_messages_7d: i32,
    buddy_messages_7d: i32,
    counselor_messages_7d: i32,
    last_message_time: Option<DateTime<Utc>>,
    days_since_last_buddy_msg: Option<i32>,
    /// The rules that held at the label's level; a live model's HIGH or VERY_HIGH stands among them as a reason.
    reasons: Vec<Reason>,
    policy_version: String,
    computed_at: DateTime<Utc>,
    /// By all live models, as the risk service says; null while none of their predictions holds.
    #[schema(value_type = Option<String>, example = "HIGH")]
    model_risk_level: Option<ModelRiskLevel>,
    model_level_since: Option<DateTime<Utc>>,
    /// When the prediction was made that brought this level.
    model_predicted_at: Option<DateTime<Utc>>,
    model_name: Option<String>,
    model_version: Option<String>,
}

impl From<caseload::Profile> for ProfileView {
    fn from(found: caseload::Profile) -> Self {
        let mut reasons = found.reasons;
        let model = found.model_name.as_deref().zip(found.model_version.as_deref());
        reasons.extend(
            found
                .model_risk_level
                .and_then(|level| model_reason(level, model)),
        );
        Self {
            user_id: found.user_id,
            last_updated: found.last_updated,
            short_avg_risk_score: found.short_avg_risk_score,
            short_max_risk_score: found.short_max_risk_score,
            short_avg_isolation: found.short_avg_isolation,
            short_high_risk_count: found.short_high_risk_count,
            short_toxic_incidents: found.short_toxic_incidents,
            medium_avg_risk_score: found.medium_avg_risk_score,
            medium_max_risk_score: found.medium_max_risk_score,
            medium_avg_isolation: found.medium_avg_isolation,
            risk_trend: found.risk_trend,
            isolation_trend: found.isolation_trend,
            current_risk_label: found.current_risk_label,
            risk_label_since: found.risk_label_since,
            total_messages_7d: found.total_messages_7d,
            buddy_messages_7d: found.buddy_messages_7d,
            counselor_messages_7d: found.counselor_messages_7d,
            last_message_time: found.last_message_time,
            days_since_last_buddy_msg: found.days_since_last_buddy_msg,
            reasons,
            policy_version: found.policy_version,
            computed_at: found.computed_at,
            model_risk_level: found.model_risk_level,
            model_level_since: found.model_level_since,
            model_predicted_at: found.model_predicted_at,
            model_name: found.model_name,
            model_version: found.model_version,
        }
    }
}

/// A live model's word is shown beside the rules' reasons and never changes the label.
fn model_reason(level: ModelRiskLevel, model: Option<(&str, &str)>) -> Option<Reason> {
    let model = model.map_or_else(String::new, |(name, version)| format!(" {name} {version}"));
    match level {
        ModelRiskLevel::High | ModelRiskLevel::VeryHigh => Some(Reason {
            code: "model_risk".to_owned(),
            text: format!("The live risk model{model} says {level}."),
            value: None,
            threshold: None,
        }),
        ModelRiskLevel::Low | ModelRiskLevel::Moderate => None,
    }
}

/// 404 for a client who is absent or not the caller's.
pub(super) async fn must_see(state: &State, actor: &Actor, user_id: &str) -> Result<(), Error> {
    sees(state, actor, user_id).await.map(drop)
}

/// As [`must_see`], also for a client whom the caller sees for a crisis alone: what the caseload shows is not for
/// whoever happens to be on call.
pub(super) async fn must_care_for(state: &State, actor: &Actor, user_id: &str) -> Result<(), Error> {
    let in_crisis_only = sees(state, actor, user_id).await?;
    if in_crisis_only {
        Err(Error::NotFound)
    } else {
        Ok(())
    }
}

async fn sees(state: &State, actor: &Actor, user_id: &str) -> Result<bool, Error> {
    let seen = state.db.read(actor, caseload::SEES, &[&user_id]).await?;
    let row = seen.first().ok_or(Error::NotFound)?;
    Ok(row.try_get("in_crisis_only").map_err(db::Error::from)?)
}

/// A client's risk profile.
#[utoipa::path(
    tag = "profiles",
    params(("user_id" = String, Path)),
    responses((status = 200, body = ProfileView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/risk-profile")]
pub(crate) async fn find(
    state: Data<State>,
    user_id: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(
            &caller.actor_for(&user_id)?,
            &caseload::find_sql(),
            &[&&**user_id],
        )
        .await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let profile = ProfileView::from(caseload::profile_from_row(row)?);
    Ok(caller.disclose(NOBODY_ELSE, &profile).await?)
}

/// A change of the label.
#[derive(Serialize, ToSchema)]
struct LabelChange {
    id: i64,
    #[schema(value_type = String, example = "LOW_RISK")]
    from_label: RiskLabel,
    #[schema(value_type = String, example = "MODERATE_RISK")]
    to_label: RiskLabel,
    changed_at: DateTime<Utc>,
    reasons: Vec<Reason>,
    policy_version: String,
}

fn label_change(row: &Row) -> Result<LabelChange, db::Error> {
    let Json(reasons): Json<Vec<Reason>> = row.try_get("reasons")?;
    Ok(LabelChange {
        id: row.try_get("id")?,
        from_label: word(row, "from_label")?,
        to_label: word(row, "to_label")?,
        changed_at: row.try_get("changed_at")?,
        reasons,
        policy_version: row.try_get("policy_version")?,
    })
}

/// How a client's label changed, newest first.
#[utoipa::path(
    tag = "profiles",
    params(
        ("user_id" = String, Path),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<LabelChange>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/risk-profile/history")]
pub(crate) async fn history(
    state: Data<State>,
    user_id: Path<Identifier>,
    Query(paging): Query<Paging>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    must_see(&state, &actor, &user_id).await?;
    let asked = OfClient {
        what: "label changes",
        user_id: &user_id,
        caller: &caller,
        actor: &actor,
        cursors: &cursors,
        paging: &paging,
    };
    let statement: (&str, db::Params<'_>) = (caseload::HISTORY, &[]);
    let page = asked
        .page(&state, statement, label_change, |last| {
            Newest(last.changed_at, last.id)
        })
        .await?;
    Ok(caller.disclose(NOBODY_ELSE, &page).await?)
}

/// Which clients of the caseload are listed.
struct CaseloadQuery {
    label: Option<RiskLabel>,
    trend: Option<Trend>,
    paging: Paging,
}

impl ReadQuery for CaseloadQuery {
    fn read(params: &mut Params) -> Option<Self> {
        let label = params.optional(
            "label",
            read::parsed(|word| word.parse().ok(), "a risk label, such as HIGH_RISK"),
        );
        let trend = params.optional(
            "trend",
            read::parsed(|word| word.parse().ok(), "a trend, such as declining"),
        );
        let paging = Paging::read(params);
        Some(Self {
            label: label?,
            trend: trend?,
            paging: paging?,
        })
    }
}

/// A client of the caseload.
#[derive(Serialize, ToSchema)]
struct CaseloadClient {
    display_name: Option<String>,
    #[serde(flatten)]
    profile: ProfileView,
    /// Newest first.
    open_escalations: Vec<OpenEscalation>,
    last_contact: Option<LastContact>,
}

/// The last client a page showed.
#[derive(Serialize, Deserialize)]
struct CaseloadPosition {
    urgency: i32,
    mean_risk: f64,
    user_id: String,
}

/// Everybody the caller may see, most urgent first, with open escalations and the last contact.
#[utoipa::path(
    tag = "profiles",
    params(
        ("label" = Option<String>, Query),
        ("trend" = Option<String>, Query),
        ("limit" = Option<i64>, Query),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = Page<CaseloadClient>)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/risk-profiles")]
pub(crate) async fn list(
    state: Data<State>,
    Query(query): Query<CaseloadQuery>,
    cursors: ThinData<CursorKey>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let after: Option<CaseloadPosition> = cursors.open("caseload", &caller, &query.paging)?;
    let (urgency, mean_risk, user_id) = match after {
        Some(after) => (Some(after.urgency), Some(after.mean_risk), Some(after.user_id)),
        None => (None, None, None),
    };
    let label = query.label.map(RiskLabel::as_str);
    let trend = query.trend.map(Trend::as_str);
    let limit = query.paging.limit + 1;
    let params: db::Params<'_> = &[&label, &trend, &urgency, &mean_risk, &user_id, &limit];
    let rows = state
        .db
        .read(&caller.actor()?, &caseload::list_sql(), params)
        .await?;
    let clients = rows
        .iter()
        .map(caseload::client_from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let page = Page::cut(clients, query.paging.limit, |last| {
        let position = CaseloadPosition {
            urgency: last.urgency,
            mean_risk: last.profile.short_avg_risk_score.unwrap_or(-1.0),
            user_id: last.profile.user_id.clone(),
        };
        cursors.seal("caseload", &caller, &query.paging, &position)
    });
    let page = page.map(|client| CaseloadClient {
        display_name: client.display_name,
        profile: client.profile.into(),
        open_escalations: client.open_escalations,
        last_contact: client.last_contact,
    });
    let shown: Vec<&str> = page
        .items
        .iter()
        .map(|client| client.profile.user_id.as_str())
        .collect();
    Ok(caller.disclose(shown, &page).await?)
}

/// The caseload in numbers.
#[derive(Serialize, ToSchema)]
struct Summary {
    /// Clients per label.
    labels: serde_json::Map<String, serde_json::Value>,
    /// Per label, by how many it grew or shrank within 24 hours.
    changes_since_yesterday: serde_json::Map<String, serde_json::Value>,
    open_escalations: i64,
}

/// How many clients of the caseload have which label, and what changed since yesterday.
#[utoipa::path(
    tag = "profiles",
    responses((status = 200, body = Summary)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/caseload/summary")]
pub(crate) async fn summary(state: Data<State>, _: Query<()>, caller: Caller) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let rows = state
        .db
        .read(&caller.actor()?, caseload::SUMMARY, &[&state.clock.fixed()])
        .await?;
    let mut summary = Summary {
        labels: serde_json::Map::new(),
        changes_since_yesterday: serde_json::Map::new(),
        open_escalations: 0,
    };
    for row in &rows {
        let label: String = row.try_get("label").map_err(db::Error::from)?;
        let clients: i64 = row.try_get("clients").map_err(db::Error::from)?;
        let yesterday: i64 = row.try_get("clients_yesterday").map_err(db::Error::from)?;
        summary.labels.insert(label.clone(), clients.into());
        summary
            .changes_since_yesterday
            .insert(label, (clients - yesterday).into());
        summary.open_escalations = row.try_get("open_escalations").map_err(db::Error::from)?;
    }
    Ok(caller.disclose(NOBODY_ELSE, &summary).await?)
}
