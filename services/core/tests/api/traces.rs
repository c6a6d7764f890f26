//! Finding whatever still tells of somebody, by the catalogue: in every table of every schema, whoever made it.

use crate::harness::Harness;

/// All tables of the five schemas.
const TABLES: &str = "
    select format('%s', r.oid::regclass) as relation
    from pg_class r join pg_namespace n on n.oid = r.relnamespace
    where n.nspname in ('core', 'social', 'risk', 'reco', 'causal') and r.relkind in ('r', 'p') and not r.relispartition
    order by relation";

impl Harness {
    /// The tables that hold a text anywhere in a row, also as bytes, each with its rows.
    pub(crate) async fn traces(&self, text: &str) -> Vec<(String, i64)> {
        let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let tables = self.database.query(TABLES).await;
        let counts: Vec<String> = tables
            .iter()
            .map(|row| {
                let relation: String = row.get("relation");
                format!(
                    "select '{relation}' as relation, count(*) as n from {relation} t
                     where strpos(t::text, '{text}') > 0 or strpos(t::text, '{bytes}') > 0"
                )
            })
            .collect();
        let found = self.database.query(&counts.join(" union all ")).await;
        found
            .iter()
            .map(|row| (row.get("relation"), row.get("n")))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// The same in short, such as `core.outbox 1`.
    pub(crate) async fn traces_in_short(&self, text: &str) -> Vec<String> {
        let found = self.traces(text).await;
        found
            .iter()
            .map(|(relation, n)| format!("{relation} {n}"))
            .collect()
    }
}
