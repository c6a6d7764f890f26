//! Whose token it is, as `core.authenticate` answers.

use chrono::{DateTime, Utc};
use common::PrincipalKind;
use db::Row;

/// What kind of holder a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A person in recovery.
    Client,
    /// A member of staff, with any number of roles.
    Staff,
    /// The backend of the client-facing app.
    App,
    /// A machine-learning pipeline.
    Pipeline,
    /// One of the services.
    Service,
}

impl Holder {
    /// The word in the token table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Staff => "staff",
            Self::App => "app",
            Self::Pipeline => "pipeline",
            Self::Service => "service",
        }
    }

    /// The holder of a word in the token table.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Client,
            Self::Staff,
            Self::App,
            Self::Pipeline,
            Self::Service,
        ]
        .into_iter()
        .find(|holder| holder.as_str() == word)
    }

    const fn own_kind(self) -> Option<PrincipalKind> {
        match self {
            Self::Client => Some(PrincipalKind::Client),
            Self::Staff => None,
            Self::App => Some(PrincipalKind::App),
            Self::Pipeline => Some(PrincipalKind::Pipeline),
            Self::Service => Some(PrincipalKind::Service),
        }
    }
}

/// The holder of a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// A user id for people, else the name of the api client.
    pub id: String,
    /// What kind of holder it is.
    pub holder: Holder,
    /// The roles of a member of staff; empty for everybody else.
    pub roles: Vec<PrincipalKind>,
    /// What the token is limited to, where it is.
    pub scopes: Vec<String>,
    /// When the token ends.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Principal {
    /// The kinds that routes are declared for: every role of staff, and the one kind of everybody else.
    pub fn kinds(&self) -> impl Iterator<Item = PrincipalKind> + '_ {
        self.holder
            .own_kind()
            .into_iter()
            .chain(self.roles.iter().copied())
    }

    pub(crate) fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    pub(super) fn from_row(row: &Row) -> Result<Self, db::Error> {
        let holder: String = row.try_get("kind")?;
        let holder = Holder::parse(&holder)
            .ok_or_else(|| db::Error::Row("core.authenticate: an unknown kind".to_owned()))?;
        let roles: Option<Vec<String>> = row.try_get("roles")?;
        let scopes: Option<Vec<String>> = row.try_get("scopes")?;
        let staff_roles = roles
            .unwrap_or_default()
            .into_iter()
            .filter_map(|word| PrincipalKind::parse(&word));
        Ok(Self {
            id: row.try_get("principal_id")?,
            holder,
            // A word that is no role of ours grants nothing, and a role on anybody else than staff neither.
            roles: staff_roles
                .filter(|kind| holder == Holder::Staff && kind.is_staff_role())
                .collect(),
            scopes: scopes.unwrap_or_default(),
            expires_at: row.try_get("expires_at")?,
        })
    }
}
