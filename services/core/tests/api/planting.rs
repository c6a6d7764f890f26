//! A row of somebody in every table that can hold one, made by the catalogue, with a marker in every column that can hold
//! what somebody said or what is said of them.
//!
//! A table that is made later is planted without anybody having to think of it, or the test says what it does not know.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::Harness;

/// Every marker, and the id, begins so.
pub(crate) const MARK: &str = "mrk";
/// Whose rows are planted.
pub(crate) const WHO: &str = "client-mrk";
/// Owns the rows in which that person is only named.
const OTHER: &str = "client-other";

/// Tables that hold nothing of a person.
const OF_NOBODY: &[&str] = &[
    "core.api_clients",
    "core.api_client_secrets",
    // What Clerk said, by hashes and by its own ids of webhooks.
    "core.clerk_accounts",
    "core.webhook_receipts",
    // The audit names people by references, which go.
    "core.audit_events",
    "core.audit_pending",
    "core.audit_seals",
    "core.embedding_models",
    "core.erasures",
    "core.scoring_models",
    "core.teams",
    "risk.drift_alerts",
    "risk.feature_sets",
    "risk.metric_days",
    "risk.model_metrics",
    "risk.model_versions",
    "social.crisis_resources",
    "social.nudge_templates",
    "social.oncall_rotations",
    "social.oncall_schedules",
    "social.operational_warnings",
    "social.risk_policies",
];
/// Tables of every schema that hold nothing of a person.
const OF_NOBODY_ANYWHERE: [&str; 2] = ["inbox", "schema_history"];
/// Tables of every schema that name people without referring to them: whom they name stands in this column.
const NAMED_IN: [(&str, &str, &str); 3] = [
    ("outbox", "subject", "'client-mrk'"),
    ("dead_letters", "subject", "'client-mrk'"),
    ("idempotency_keys", "people", "array['client-mrk']"),
];
/// Columns that stay although their row loses its person, since they say nothing of that person.
const STAYING: &[(&str, &str, &str)] = &[
    ("core.disclosures", "notice", "'the same for everybody'"),
    (
        "core.break_glass_grants",
        "expires_at",
        "now() + interval '30 minutes'",
    ),
    ("core.break_glass_grants", "reviewed_at", "now()"),
    ("social.escalations", "escalated_to", "'staff-counselor'"),
    ("social.escalations", "acknowledged_by", "'staff-counselor'"),
    ("social.escalations", "notification_method", "'in_app'"),
    ("social.escalations", "risk_level", "'HIGH_RISK'"),
];

/// Columns that take few values only, in another way than as one of a list of words.
const FIXED: [(&str, &str, &str); 8] = [
    ("core.message_ai_metadata", "ai_core_version", "'2.1'"),
    ("core.memory_embeddings", "distance_metric", "'cosine'"),
    // Whose days are measured anew when a prediction goes.
    ("risk.model_predictions", "model_name", "'a-model'"),
    ("risk.model_predictions", "model_version", "'1'"),
    // Values of shap need a base and a link.
    ("risk.xai_explanations", "method", "'lime'"),
    ("social.oncall_shifts", "ends_at", "now() + interval '1 hour'"),
    ("social.oncall_overrides", "ends_at", "now() + interval '1 hour'"),
    // Nobody stands in for themselves.
    ("social.oncall_overrides", "replaces_staff_id", "null"),
];

/// Every column of every table: its type, whether it must be filled, the first word it may hold, and what it refers to.
const COLUMNS: &str = "
    select r.oid::regclass::text as relation, n.nspname as schema, r.relname, a.attname as name,
        format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), null) as type,
        case when a.atttypmod > 4 and t.typname = 'varchar' then a.atttypmod - 4
            when a.atttypmod > 0 and t.typname = 'vector' then a.atttypmod end as length,
        a.attnotnull as needed, a.atthasdef as has_default, a.attidentity <> '' or a.attgenerated <> '' as is_made,
        (select substring(pg_get_constraintdef(c.oid) from 'ARRAY\\[''([^'']+)''') from pg_constraint c
         where c.conrelid = r.oid and c.contype = 'c' and c.conkey = array[a.attnum]
           and pg_get_constraintdef(c.oid) ~ 'ANY' limit 1) as word,
        f.confrelid::regclass::text as refers_to, f.confdeltype::text as on_delete,
        (select p.attname from pg_attribute p where p.attrelid = f.confrelid and p.attnum = f.confkey[1]) as target
    from pg_class r
    join pg_namespace n on n.oid = r.relnamespace
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_constraint f on f.conrelid = r.oid and f.contype = 'f' and f.conkey = array[a.attnum]
    where n.nspname in ('core', 'social', 'risk', 'reco', 'causal') and r.relkind in ('r', 'p')
      and not r.relispartition
    order by r.oid, a.attnum";

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: String,
    length: Option<i32>,
    needed: bool,
    has_default: bool,
    is_made: bool,
    word: Option<String>,
    refers_to: Option<String>,
    on_delete: Option<String>,
    target: Option<String>,
}

#[derive(Clone, Debug)]
struct Table {
    name: String,
    short: String,
    columns: Vec<Column>,
}

/// What was planted.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    /// Marker → table and column.
    pub(crate) markers: BTreeMap<String, (String, String)>,
    /// Tables with a row that belongs to the person.
    pub(crate) owned: BTreeSet<String>,
}

impl Column {
    fn names_people(&self) -> bool {
        self.refers_to.as_deref() == Some("core.users")
    }

    /// Whether a row with the person in this column is the person's.
    fn owns(&self) -> bool {
        self.names_people()
            && (self.on_delete.as_deref() == Some("c") || matches!(&*self.name, "user_id" | "client_id"))
    }

    /// Whether what people say can stand in it.
    fn can_tell(&self) -> bool {
        let holds = matches!(
            &*self.kind,
            "text" | "character varying" | "jsonb" | "json" | "bytea" | "text[]" | "character varying[]"
        );
        holds && self.word.is_none() && self.refers_to.is_none() && !self.is_made
    }

    /// The text as a value of this column.
    fn holding(&self, text: &str) -> String {
        match &*self.kind {
            "jsonb" | "json" => format!("'{{\"{text}\": \"{text}\"}}'"),
            "bytea" => format!("decode(rpad(encode('{text}', 'hex'), 64, '0'), 'hex')"),
            "text[]" | "character varying[]" => format!("array['{text}']"),
            _ => {
                let length = self.length.map_or(text.len(), |n| usize::try_from(n).unwrap());
                assert!(length >= text.len(), "{}: too short for {text}", self.name);
                format!("'{text}'")
            }
        }
    }

    /// Something that it must hold but that tells nothing.
    fn filler(&self, table: &str) -> String {
        match &*self.kind {
            "smallint" | "integer" | "bigint" => "1".to_owned(),
            "double precision" | "real" | "numeric" => "0.5".to_owned(),
            "boolean" => "false".to_owned(),
            "timestamp with time zone" | "date" => "now()".to_owned(),
            "uuid" => "gen_random_uuid()".to_owned(),
            // Without a length of its own, as long as the other columns say: 1.
            "vector" => {
                format!("array_fill(1, array[{}])::vector", self.length.unwrap_or(1))
            }
            other => panic!("say what to plant in {table}.{}, which is a {other}", self.name),
        }
    }
}

impl Table {
    /// Whether it hangs on a table of somebody: its rows go with that table's.
    fn hangs_on(&self, owned: &BTreeSet<String>) -> bool {
        self.columns.iter().any(|column| {
            column.on_delete.as_deref() == Some("c")
                && column
                    .refers_to
                    .as_ref()
                    .is_some_and(|table| owned.contains(table))
        })
    }

    /// The statement that plants a row. `person` is the column of the person and its value.
    fn insert(&self, person: Option<(&str, &str)>, is_owned: bool, planted: &mut Planted) -> String {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for column in &self.columns {
            let fixed = STAYING
                .iter()
                .chain(&FIXED)
                .find(|(table, name, _)| *table == self.name && *name == column.name);
            let value = if person.is_some_and(|(name, _)| name == column.name) {
                person.map(|(_, value)| value.to_owned())
            } else if let Some((_, _, value)) = fixed {
                Some((*value).to_owned())
            } else if column.can_tell() {
                let marker = format!("{MARK}{:07}z", planted.markers.len());
                let place = (self.name.clone(), column.name.clone());
                Some(column.holding(if is_owned {
                    planted.markers.insert(marker.clone(), place);
                    &marker
                } else {
                    "kept as it is"
                }))
            } else if column.names_people() && (column.needed || column.owns()) {
                Some(format!("'{OTHER}'"))
            } else if let (Some(word), true) = (&column.word, column.needed) {
                Some(format!("'{word}'"))
            } else if !column.needed || column.is_made || column.has_default {
                None
            } else if let (Some(table), Some(target)) = (&column.refers_to, &column.target) {
                // The row planted last is the person's own where that table has any, the one planted first somebody else's
                // where the person is named in it: what refers to a row once does not refer to the same one twice.
                let order = if is_owned { "desc" } else { "asc" };
                Some(format!(
                    "(select x.{target} from {table} x order by x.ctid {order} limit 1)"
                ))
            } else {
                Some(column.filler(&self.name))
            };
            if let Some(value) = value {
                names.push(column.name.clone());
                values.push(value);
            }
        }
        let columns = names.join(", ");
        // Whether a row could come to be is not the question here: a disclosure would need a consent.
        let unasked = if self.name == "core.users" {
            ""
        } else {
            "set session_replication_role = replica;"
        };
        format!(
            "{unasked} insert into {} ({columns}) values ({})",
            self.name,
            values.join(", ")
        )
    }
}

impl Harness {
    /// Plants the person everywhere.
    pub(crate) async fn plant(&self) -> Planted {
        let mut planted = Planted::default();
        self.run(&format!(
            "insert into core.users (user_id) values ('{OTHER}'); insert into core.teams (name) values ('a team');
             insert into social.oncall_schedules (name, timezone) values ('a schedule', 'UTC');
             insert into social.oncall_rotations (schedule_id, name, kind, shift_days, starts_on)
             values (1, 'a rotation', 'daily', 1, '2026-06-15');
             insert into risk.feature_sets (version, features, created_by) values ('a-set', '[{{}}]', 'x');
             insert into risk.model_versions (model_name, version, feature_set_version, stage_by, threshold_moderate,
                threshold_high, threshold_very_high, registered_by)
             values ('a-model', '1', 'a-set', 'x', 0.3, 0.5, 0.8, 'x')"
        ))
        .await;
        let mut tables = self.tables().await;
        // The account before all that is kept only while there is one; the others refer to those that were made before.
        tables.sort_by_key(|table| table.name != "core.users");
        for table in tables {
            // The reference of an account is made with it.
            if table.name == "core.subject_refs" {
                continue;
            }
            let is_of_nobody =
                OF_NOBODY.contains(&&*table.name) || OF_NOBODY_ANYWHERE.contains(&&*table.short);
            if is_of_nobody {
                continue;
            }
            let named_in = NAMED_IN.iter().find(|(short, _, _)| *short == table.short);
            let who = format!("'{WHO}'");
            if let Some((_, column, value)) = named_in {
                self.run(&table.insert(Some((column, value)), true, &mut planted))
                    .await;
            } else if table.name == "core.users" {
                self.run(&table.insert(Some(("user_id", &who)), true, &mut planted))
                    .await;
                planted.owned.insert(table.name.clone());
            } else if table.columns.iter().any(Column::names_people) {
                let mut places: Vec<&Column> = table.columns.iter().filter(|c| c.names_people()).collect();
                places.sort_by_key(|column| column.owns());
                for column in places {
                    let person = Some((&*column.name, &*who));
                    self.run(&table.insert(person, column.owns(), &mut planted)).await;
                    if column.owns() {
                        planted.owned.insert(table.name.clone());
                    }
                }
            } else if table.hangs_on(&planted.owned) {
                self.run(&table.insert(None, true, &mut planted)).await;
                planted.owned.insert(table.name.clone());
            } else {
                panic!("say whose rows {} holds: it refers to no account", table.name);
            }
        }
        planted
    }

    async fn tables(&self) -> Vec<Table> {
        let mut tables: Vec<Table> = Vec::new();
        for row in self.database.query(COLUMNS).await {
            let name: String = row.get("relation");
            if tables.last().is_none_or(|table| table.name != name) {
                tables.push(Table {
                    name,
                    short: row.get("relname"),
                    columns: Vec::new(),
                });
            }
            tables.last_mut().unwrap().columns.push(Column {
                name: row.get("name"),
                kind: row.get("type"),
                length: row.get("length"),
                needed: row.get("needed"),
                has_default: row.get("has_default"),
                is_made: row.get("is_made"),
                word: row.get("word"),
                refers_to: row.get("refers_to"),
                on_delete: row.get("on_delete"),
                target: row.get("target"),
            });
        }
        tables
    }
}
