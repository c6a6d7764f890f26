//! Who may call: the kinds of principal that routes are declared for.

use serde::{Deserialize, Serialize};

/// A kind of principal. Staff may hold several of the staff kinds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person in recovery, on their own rows.
    Client,
    /// Staff, for the clients of the own caseload.
    Counselor,
    /// Staff on call, for clients with an open escalation.
    Oncall,
    /// Staff, for the caseloads of the own team.
    Supervisor,
    /// Accounts, assignments and policies; no clinical reads.
    Admin,
    /// Audit and disclosure records only.
    Auditor,
    /// The backend of the client-facing app, on behalf of one client a call.
    App,
    /// A machine-learning pipeline.
    Pipeline,
    /// One of the five services itself.
    Service,
}

impl PrincipalKind {
    /// Every kind, in the order of the access table.
    pub const ALL: [Self; 9] = [
        Self::Client,
        Self::Counselor,
        Self::Oncall,
        Self::Supervisor,
        Self::Admin,
        Self::Auditor,
        Self::App,
        Self::Pipeline,
        Self::Service,
    ];

    /// The word used in tokens, roles and `x-principals`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Counselor => "counselor",
            Self::Oncall => "oncall",
            Self::Supervisor => "supervisor",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::App => "app",
            Self::Pipeline => "pipeline",
            Self::Service => "service",
        }
    }

    /// The kind a word names, if it names one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether a staff user holds this kind as a role.
    #[must_use]
    pub const fn is_staff_role(self) -> bool {
        match self {
            Self::Counselor | Self::Oncall | Self::Supervisor | Self::Admin | Self::Auditor => true,
            Self::Client | Self::App | Self::Pipeline | Self::Service => false,
        }
    }
}
