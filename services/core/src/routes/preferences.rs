//! How a client wants the app to be.

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, put};
use chrono::{DateTime, Utc};
use common::PrincipalKind;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use web::{Allowed, Answer, Caller, Fields, Granted, Identifier, NOBODY_ELSE, Query, Read, Write, read};

use crate::domain::preferences::{self, CHANNELS, CustomHours, Preferences, Switches, WEEKDAYS};
use crate::error::Error;
use crate::state::State;
use crate::store::user_preferences::{self, Stated};

pub(super) const WRITE: Allowed = Allowed(&[PrincipalKind::Client, PrincipalKind::App]);
pub(super) const READ: Allowed = Allowed(&[
    PrincipalKind::Client,
    PrincipalKind::App,
    PrincipalKind::Counselor,
    PrincipalKind::Supervisor,
]);

const MAX_THEME_BYTES: usize = 50;

/// Preferences; they replace the ones before, and what is left out is the default again.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; Preferences is what it is read into")]
struct PreferencesBody {
    /// By default no preference.
    custom_hours: Option<CustomHoursBody>,
    /// Look of the app, in its own words.
    #[schema(max_length = 50, example = "dark")]
    theme: Option<String>,
    /// Channels that are wanted or not: in_app, email, push, sms.
    #[schema(value_type = Option<Object>, example = json!({"email": false, "push": true}))]
    communication_preferences: Option<Value>,
    /// By default false.
    onboarding_completed: Option<bool>,
}

/// The hours in which to be reached, in the client's time zone; past midnight where they end before they start.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; CustomHours is what it is read into")]
struct CustomHoursBody {
    #[schema(example = "09:00")]
    start: String,
    #[schema(example = "17:30")]
    end: String,
    /// Weekdays by their English names: whether the hours hold on them; by default they do.
    #[schema(value_type = Option<Object>, example = json!({"saturday": false, "sunday": false}))]
    days: Option<Value>,
}

struct Days(Switches);

impl Read for Days {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        switches(fields, &WEEKDAYS).map(Self)
    }
}

struct Channels(Switches);

impl Read for Channels {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        switches(fields, &CHANNELS).map(Self)
    }
}

/// What is switched on or off of these names.
fn switches(fields: &mut Fields<'_>, names: &[&'static str]) -> Option<Switches> {
    let mut one = |name: &&'static str| {
        let switch = fields.optional(name, read::boolean)?;
        Some(switch.map(|is_on| (*name, is_on)))
    };
    // Not `collect::<Option<_>>`, which would stop at the first fault.
    let all: Vec<Option<Option<_>>> = names.iter().map(&mut one).collect();
    let named: Option<Vec<Option<_>>> = all.into_iter().collect();
    Some(named?.into_iter().flatten().collect())
}

impl Read for CustomHours {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        const MUST_BE: &str = "a local time such as 09:30";
        let start = fields.required("start", read::parsed(preferences::local_time, MUST_BE));
        let end = fields.required("end", read::parsed(preferences::local_time, MUST_BE));
        let days = fields.optional_nested::<Days>("days");
        let (start, end) = (start?, end?);
        if start == end {
            fields.fault("end", "must differ from start");
            return None;
        }
        Some(Self {
            start,
            end,
            days: days?.map(|days| days.0).unwrap_or_default(),
        })
    }
}

impl Read for Preferences {
    const MAX_BODY_BYTES: usize = 16 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let custom_hours = fields.optional_nested("custom_hours");
        let theme = fields.optional("theme", read::text(1..=MAX_THEME_BYTES));
        let channels = fields.optional_nested::<Channels>("communication_preferences");
        let onboarding_completed = fields.optional("onboarding_completed", read::boolean);
        Some(Self {
            custom_hours: custom_hours?,
            theme: theme?,
            communication_preferences: channels?.map(|channels| channels.0).unwrap_or_default(),
            onboarding_completed: onboarding_completed?.unwrap_or_default(),
        })
    }
}

/// A client's preferences; those of a client who stated none are the defaults.
#[derive(Serialize, ToSchema)]
struct PreferencesView {
    user_id: String,
    #[schema(value_type = Option<CustomHoursBody>)]
    custom_hours: Option<Value>,
    theme: Option<String>,
    #[schema(value_type = Object)]
    communication_preferences: Value,
    onboarding_completed: bool,
    /// Null where none were stated.
    updated_at: Option<DateTime<Utc>>,
}

impl PreferencesView {
    fn of(user_id: &str, stated: Stated) -> Self {
        Self {
            user_id: user_id.to_owned(),
            custom_hours: stated.custom_hours,
            theme: stated.theme,
            communication_preferences: stated.communication_preferences,
            onboarding_completed: stated.onboarding_completed,
            updated_at: stated.updated_at,
        }
    }
}

/// State preferences.
#[utoipa::path(
    tag = "preferences",
    params(("user_id" = String, Path)),
    request_body = PreferencesBody,
    responses((status = 200, body = PreferencesView)),
    extensions(("x-principals" = json!(WRITE)))
)]
#[put("/v1/users/{user_id}/preferences")]
pub(crate) async fn replace(
    state: Data<State>,
    user_id: Path<Identifier>,
    request: Write<Preferences>,
) -> Result<HttpResponse, Error> {
    let Granted { caller, body, key } = request.allow(&WRITE)?;
    let tx = state.db.begin(&caller.actor_for(&user_id)?).await?;
    web::write(tx, &caller, key, async |tx| {
        let stated = user_preferences::replace(tx, &user_id, &body).await?;
        let stated = stated.ok_or(Error::NotFound)?;
        Ok(Answer::ok(&PreferencesView::of(&user_id, stated))?)
    })
    .await
}

/// A client's preferences.
#[utoipa::path(
    tag = "preferences",
    params(("user_id" = String, Path)),
    responses((status = 200, body = PreferencesView)),
    extensions(("x-principals" = json!(READ)))
)]
#[get("/v1/users/{user_id}/preferences")]
pub(crate) async fn find(
    state: Data<State>,
    user_id: Path<Identifier>,
    _: Query<()>,
    caller: Caller,
) -> Result<HttpResponse, Error> {
    caller.allow(&READ)?;
    let actor = caller.actor_for(&user_id)?;
    let rows = state
        .db
        .read(&actor, user_preferences::FIND, &[&&**user_id])
        .await?;
    let stated = user_preferences::from_row(rows.first().ok_or(Error::NotFound)?)?;
    let body = PreferencesView::of(&user_id, stated);
    Ok(caller.disclose(NOBODY_ELSE, &body).await?)
}
