//! Search of memories by meaning, by words, or by both, of one client or of a whole caseload, in one statement.
//!
//! How the nearest are found depends on how many there are to choose from. Few are compared one by one, which is exact.
//! Among many the index is walked, which passes over what the conditions leave out and goes on until it has enough; where
//! it gives up before, the conditions leave so little that it is compared one by one after all. So nobody gets less than
//! there is because of a filter.

use db::Row;

use super::memories::{self, COLUMNS, Consented, Memory};
use crate::config::SearchConfig;
use crate::domain::embedding::Model;

/// Up to so many memories by meaning alone are a short list.
const SHORT: i64 = 10;
/// Candidates of a short list; all others take those of the settings. More than are shown, since the index knows them by
/// half-precision numbers. Postgres plans a walk of the index for a number that it knows only, and every number is a
/// statement that each session prepares: so they are two, and not as many as lists have lengths.
const FEW_CANDIDATES: i64 = 20;
/// What is added to a rank in reciprocal rank fusion (Cormack et al. 2009). No setting: scores are told, and one of another
/// offset would not compare with them.
const RANK_OFFSET: i64 = 60;

/// What is searched how. Parameters of the statement: `$1` limit, `$2` whether sensitive ones are shown, `$3` role and
/// `$4` memory type or null, `$5` collection or null, `$6` from and `$7` until when they hold; then the client where one is
/// named, the embedding where there is a model, and the words where they are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) names_client: bool,
    pub(crate) model: Option<&'a Model>,
    pub(crate) has_words: bool,
    pub(crate) limit: i64,
    pub(crate) config: &'a SearchConfig,
}

/// What is found: memories that hold. The case hides from the planner how much is asked for here: it would guess that
/// next to nothing passes, and sort all there is instead of walking an index.
const PASSES: &str = "
    case when m.superseded_by is null and (m.expires_at is null or m.expires_at > now()) and (not m.is_sensitive or $2)
        and ($3::varchar is null or m.role is null or m.role = $3) and ($4::varchar is null or m.memory_type = $4)
        and m.valid_from >= $6 and m.valid_from < $7
        and ($5::uuid is null or exists (
            select from core.memory_collection_items i where i.collection_id = $5 and i.memory_id = m.id))
    then true else false end";

/// One client who is seen as one cared for, or everybody on the caseload, and who of them has consented to be remembered.
const ONE: &str = "
    person as materialized (
        select u.user_id, core.has_consent(u.user_id, 'memory', 'programme') as consented
        from core.users u
        where u.user_id = $8 and u.kind = 'client' and u.user_id <> all (array(select core.crisis_clients()))),
    scope as materialized (select array(select p.user_id from person p where p.consented) as clients)";
const CASELOAD: &str = "
    person as materialized (select true as consented),
    scope as materialized (select array(
        select c.user_id
        from core.consents c
        where c.user_id = any ((select core.visible_clients())::varchar[])
          and c.purpose = 'memory' and c.recipient = 'programme'
          and c.revoked_at is null and coalesce(c.expires_at > clock_timestamp(), true)
          and c.user_id <> all (array(select core.crisis_clients()))) as clients)";
const IN_SCOPE: &str = "any ((select s.clients from scope s)::varchar[])";

impl Search<'_> {
    /// The statement. Names of models hold nothing that ends a literal (`ck_embedding_models_name`).
    pub(crate) fn sql(&self) -> String {
        let mut parts = vec![if self.names_client { ONE } else { CASELOAD }.to_owned()];
        match self.model {
            Some(model) => parts.push(self.nearest(model)),
            None => parts.push(NOTHING_NEAR.to_owned()),
        }
        parts.push(if self.has_words {
            self.words()
        } else {
            NO_WORDS.to_owned()
        });
        format!(
            "with {parts},
             ranked as (
                select coalesce(n.id, w.id) as id, n.distance, n.place as vector_rank, w.place as text_rank,
                    coalesce(1.0::float8 / ({RANK_OFFSET} + n.place), 0) + coalesce(1.0::float8 / ({RANK_OFFSET} + w.place), 0)
                        as score
                from nearest n full join words w on w.id = n.id),
             chosen as materialized (
                select r.id, r.distance, r.vector_rank, r.text_rank, r.score
                from ranked r
                order by r.score desc, r.distance, r.id
                limit $1)
             select p.consented, {COLUMNS}, r.distance, r.vector_rank, r.text_rank, r.score
             from person p
             left join (chosen r join core.memories m on m.id = r.id) on true
             order by r.score desc, r.distance, r.id",
            parts = parts.join(",\n")
        )
    }

    /// How many candidates each ranking takes.
    fn candidates(&self) -> i64 {
        if self.has_words || self.limit > SHORT {
            self.config.candidates
        } else {
            FEW_CANDIDATES
        }
    }

    /// The place of a parameter behind those of every search, from 1.
    fn place(&self, further: usize) -> usize {
        7 + usize::from(self.names_client) + further
    }

    fn nearest(&self, model: &Model) -> String {
        let walk = if self.names_client {
            "walked as (select null::uuid as id, null::float8 as distance where false),
             compares as materialized (select true as it_does)"
                .to_owned()
        } else {
            self.walk(model)
        };
        let (name, vector, candidates) = (&model.name, self.place(1), self.candidates());
        format!(
            "{walk},
             compared as materialized (
                select m.id, e.embedding operator(public.<=>) ${vector}::public.vector as distance
                from core.memory_embeddings e
                join core.memories m on m.id = e.memory_entry_id
                where (select c.it_does from compares c) and e.user_id = {IN_SCOPE} and e.embedding_model = '{name}'
                  and {PASSES}
                order by distance
                limit {candidates}),
             nearest as materialized (
                select f.id, f.distance, row_number() over (order by f.distance, f.id) as place
                from (select c.id, c.distance from compared c
                      union all
                      select w.id, w.distance from walked w where not (select c.it_does from compares c)) f)"
        )
    }

    /// The walk of the model's index, where there is much to choose from, and whether all is compared nevertheless.
    fn walk(&self, model: &Model) -> String {
        let (name, dimensions) = (&model.name, model.dimensions);
        let (vector, candidates) = (self.place(1), self.candidates());
        let half = format!("public.halfvec({dimensions})");
        let most = self.config.compared_max;
        format!(
            "size as materialized (
                select count(*) > {most} as is_large
                from (select from core.memory_embeddings e
                      where e.user_id = {IN_SCOPE} and e.embedding_model = '{name}'
                      limit {most} + 1) c),
             walked as materialized (
                select m.id, e.embedding operator(public.<=>) ${vector}::public.vector as distance
                from core.memory_embeddings e
                join core.memories m on m.id = e.memory_entry_id
                where (select s.is_large from size s) and e.embedding_model = '{name}'
                  and case when e.user_id = {IN_SCOPE} then true else false end and {PASSES}
                order by (e.embedding::{half}) operator(public.<=>) (${vector}::public.vector::{half})
                limit {candidates}),
             compares as materialized (
                select not (select s.is_large from size s) or (select count(*) from walked) < $1 as it_does)"
        )
    }

    fn words(&self) -> String {
        let (words, candidates) = (
            self.place(1 + usize::from(self.model.is_some())),
            self.candidates(),
        );
        format!(
            "asked as materialized (select websearch_to_tsquery('pg_catalog.simple', ${words}::text) as query),
             worded as materialized (
                select m.id, ts_rank_cd(m.content_words, (select a.query from asked a)) as weight
                from core.memories m
                where m.user_id = {IN_SCOPE} and m.content_words @@ (select a.query from asked a) and {PASSES}
                order by weight desc, m.id desc
                limit {candidates}),
             words as materialized (
                select w.id, row_number() over (order by w.weight desc, w.id desc) as place from worded w)"
        )
    }
}

const NOTHING_NEAR: &str =
    "nearest as (select null::uuid as id, null::float8 as distance, null::bigint as place where false)";
const NO_WORDS: &str = "words as (select null::uuid as id, null::bigint as place where false)";

/// A memory that was found, and why.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) memory: Memory,
    /// Cosine distance, 0 to 2, where it is among the nearest.
    pub(crate) distance: Option<f64>,
    pub(crate) vector_rank: Option<i64>,
    pub(crate) text_rank: Option<i64>,
    pub(crate) score: f64,
}

/// The rows of [`Search::sql`], best first.
pub(crate) fn outcome(rows: &[Row]) -> Result<Consented<Vec<Found>>, db::Error> {
    Consented::of(rows, |rows| super::listed::<f64, _>(rows, "score", found))
}

fn found(row: &Row) -> Result<Found, db::Error> {
    Ok(Found {
        memory: memories::from_row(row)?,
        distance: row.try_get("distance")?,
        vector_rank: row.try_get("vector_rank")?,
        text_rank: row.try_get("text_rank")?,
        score: row.try_get("score")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::embedding::TEXT;

    /// Indentation apart.
    fn words(sql: &str) -> Vec<&str> {
        sql.split_whitespace().collect()
    }

    fn model() -> Model {
        Model {
            name: "text-1536".to_owned(),
            dimensions: 1_536,
            purpose: TEXT.to_owned(),
            active: true,
        }
    }

    #[test]
    fn a_search_compares_and_ranks_as_many_as_are_set() {
        let config = SearchConfig {
            compared_max: 777,
            candidates: 333,
            ..SearchConfig::default()
        };
        let model = model();
        let sql = Search {
            names_client: false,
            model: Some(&model),
            has_words: true,
            limit: 10,
            config: &config,
        }
        .sql();
        assert!(
            sql.contains("count(*) > 777") && sql.contains("limit 777 + 1"),
            "{sql}"
        );
        assert_eq!(sql.matches("limit 333").count(), 3, "{sql}");
    }

    #[test]
    fn the_benchmark_measures_the_statements_that_are_served() {
        let model = model();
        let of_caseload = include_str!("../../../../bench/service/search.sql");
        let of_client = include_str!("../../../../bench/service/search_client.sql");
        for (names_client, measured) in [(false, of_caseload), (true, of_client)] {
            let served = Search {
                names_client,
                model: Some(&model),
                has_words: false,
                limit: 10,
                config: &SearchConfig::default(),
            };
            assert_eq!(words(measured), words(&served.sql()), "{names_client}");
        }
    }
}
