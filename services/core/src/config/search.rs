//! How memories are searched. How the index is built stands where it is built, in `V020__memory.sql`.

use ::config::Env;

/// How memories are searched. More finds more of the nearest and costs time; the defaults were measured
/// (docs/PERFORMANCE.md).
#[derive(Clone, Debug)]
pub struct SearchConfig {
    /// How many of the nearest a walk of an index keeps in sight (`hnsw.ef_search`). Of 100,000 vectors 100 find 0.97 of the
    /// ten nearest; 40, which pgvector has by itself, find 0.90.
    pub ef_search: i64,
    /// After so many embeddings a walk gives up (`hnsw.max_scan_tuples`), and the whole caseload is compared instead: where
    /// conditions leave little of much, that is sooner done than a longer walk. 20,000 is pgvector's own.
    pub walked_max: i64,
    /// Up to so many embeddings of a caseload are compared one by one: as fast as a walk of the index, and exact.
    pub compared_max: i64,
    /// Candidates of each ranking, where two are put together or more than a short list is asked for: what both rankings
    /// have far down is found by more of them. No fewer than a search may ask for.
    pub candidates: i64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            ef_search: 100,
            walked_max: 20_000,
            compared_max: 2_000,
            candidates: 100,
        }
    }
}

impl SearchConfig {
    /// Reads it from the environment.
    pub(crate) fn read(env: &mut Env) -> Self {
        let default = Self::default();
        Self {
            ef_search: env.within(
                "RECOVERLY_SEARCH_EF",
                default.ef_search,
                10..=1_000,
                "how many of the nearest a walk of a model's index keeps in sight; more find more and cost time",
            ),
            walked_max: env.within(
                "RECOVERLY_SEARCH_WALKED_MAX",
                default.walked_max,
                1_000..=10_000_000,
                "embeddings after which a walk of a model's index gives up and the caseload is compared one by one",
            ),
            compared_max: env.within(
                "RECOVERLY_SEARCH_COMPARED_MAX",
                default.compared_max,
                100..=100_000,
                "up to how many embeddings of a caseload are compared one by one, which is exact",
            ),
            candidates: env.within(
                "RECOVERLY_SEARCH_CANDIDATES",
                default.candidates,
                100..=1_000,
                "candidates of each ranking of a search by meaning and by words",
            ),
        }
    }

    /// What of it Postgres is told in every session.
    pub(crate) fn session_parameters(&self) -> [(&'static str, i64); 2] {
        [
            ("hnsw.ef_search", self.ef_search),
            ("hnsw.max_scan_tuples", self.walked_max),
        ]
    }
}
