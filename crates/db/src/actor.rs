//! Who is asking, as row-level security knows it.

/// The person whose rows a transaction may touch; `core.visible_clients()` reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client, or an app on behalf of one: sees that client.
    Client(String),
    /// A staff user: sees caseload, team and temporary access.
    Staff(String),
    /// A staff user who asks about one client: sees of all these that client alone. Asking so spares Postgres the rest
    /// of the caseload.
    StaffAbout {
        /// Who is asking.
        staff_id: String,
        /// Whom it is about.
        client_id: String,
    },
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Staff(id) => write!(f, "staff:{id}"),
            Self::StaffAbout { staff_id, client_id } => write!(f, "staff:{staff_id}/{client_id}"),
        }
    }
}
