//! Principals to call with: one of each kind, each with a token.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::TestDb;

/// The staff that every test has, with their roles.
const STAFF: [(&str, &str); 6] = [
    ("counselor", "counselor"),
    ("counselor_other", "counselor"),
    ("oncall", "oncall"),
    ("supervisor", "supervisor"),
    ("admin", "admin"),
    ("auditor", "auditor"),
];
/// The programs that every test has; the name is the kind.
const PROGRAMS: [&str; 3] = ["app", "pipeline", "service"];

/// Tokens by name: `counselor`, `counselor_other`, `oncall`, `supervisor`, `admin`, `auditor`, `app`, `pipeline`,
/// `service`, and one for every client that was planted.
pub struct Principals {
    tokens: HashMap<String, String>,
}

impl Principals {
    /// Plants staff and programs. Staff ids are `staff-<name>`, program ids `program-<name>`.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn plant(database: &TestDb) -> Self {
        let mut sql = String::new();
        for (name, role) in STAFF {
            sql.push_str(&format!(
                "insert into core.users (user_id, kind, username, display_name) \
                 values ('staff-{name}', 'staff', '{name}', '{name}'); \
                 insert into core.staff_roles (user_id, role) values ('staff-{name}', '{role}');"
            ));
        }
        for kind in PROGRAMS {
            sql.push_str(&format!(
                "insert into core.api_clients (client_id, kind, name) values ('program-{kind}', '{kind}', '{kind}');"
            ));
        }
        let mut principals = Self {
            tokens: HashMap::new(),
        };
        for (name, _) in STAFF {
            sql.push_str(&principals.token_sql(name, "subject", &format!("staff-{name}")));
        }
        for kind in PROGRAMS {
            sql.push_str(&principals.token_sql(kind, "client_id", &format!("program-{kind}")));
        }
        database.superuser().await.run(&sql).await;
        principals
    }

    /// Plants a client with a token under its id, in the caseload of each of these staff (by name), and with the
    /// profile that social's consumer would make.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn client(&mut self, database: &TestDb, user_id: &str, staff: &[&str]) {
        let mut sql = format!(
            "insert into core.users (user_id, kind, username, display_name) \
             values ('{user_id}', 'client', '{user_id}', '{user_id}'); \
             insert into social.user_risk_profiles (user_id, policy_version) values ('{user_id}', 'fusion_v2');"
        );
        sql.push_str(&self.token_sql(user_id, "subject", user_id));
        for name in staff {
            sql.push_str(&format!(
                "insert into core.caseload_assignments (client_id, staff_id) values ('{user_id}', 'staff-{name}');"
            ));
        }
        database.superuser().await.run(&sql).await;
    }

    /// The bearer token of a principal.
    ///
    /// # Panics
    /// When there is no principal of this name.
    #[must_use]
    pub fn token(&self, name: &str) -> &str {
        self.tokens
            .get(name)
            .unwrap_or_else(|| panic!("no principal called {name}"))
    }

    fn token_sql(&mut self, name: &str, holder: &str, id: &str) -> String {
        let token = format!("rcv_test_{name}");
        let hash = hex::encode(Sha256::digest(token.as_bytes()));
        self.tokens.insert(name.to_owned(), token);
        format!(
            "insert into core.access_tokens (token_hash, {holder}, expires_at) \
             values (decode('{hash}', 'hex'), '{id}', now() + interval '1 hour');"
        )
    }
}
