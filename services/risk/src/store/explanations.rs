//! `risk.xai_explanations`.

use std::collections::HashMap;

use db::{Json, Row, Tx};
use serde_json::Value;

use crate::domain::explanation::Link;
use crate::domain::prediction::Explanation;
use crate::domain::snapshot::Features;

/// Explanations of predictions that were stored now. They are left to the commit, one statement for all.
#[derive(Default)]
pub(crate) struct New {
    predictions: Vec<i64>,
    methods: Vec<&'static str>,
    ranks: Vec<i16>,
    bases: Vec<Option<f64>>,
    links: Vec<Option<&'static str>>,
    features: Vec<String>,
    values: Vec<Json<Value>>,
    contributions: Vec<f64>,
}

impl New {
    /// Adds those of a prediction that was made of these features.
    pub(crate) fn add(&mut self, prediction_id: i64, explanations: &[Explanation], made_of: &Features) {
        for explanation in explanations {
            for (rank, part) in (1..).zip(&explanation.ranked) {
                self.predictions.push(prediction_id);
                self.methods.push(explanation.method);
                self.ranks.push(rank);
                self.bases.push(explanation.base_value);
                self.links.push(explanation.link.map(Link::as_str));
                self.features.push(part.feature.clone());
                let value = made_of.get(&part.feature).cloned().unwrap_or_default();
                self.values.push(Json(value));
                self.contributions.push(part.contribution);
            }
        }
    }

    pub(crate) fn store(self, tx: &Tx) {
        if self.predictions.is_empty() {
            return;
        }
        let sql = "
            insert into risk.xai_explanations (prediction_id, method, rank, base_value, link, feature_name, feature_value,
                contribution)
            select n.prediction_id, n.method, n.rank, n.base_value, n.link, n.feature_name, n.feature_value, n.contribution
            from unnest($1::int8[], $2::varchar[], $3::int2[], $4::float8[], $5::varchar[], $6::varchar[], $7::jsonb[],
                    $8::float8[])
                as n (prediction_id, method, rank, base_value, link, feature_name, feature_value, contribution)";
        tx.at_commit(
            sql,
            vec![
                Box::new(self.predictions),
                Box::new(self.methods),
                Box::new(self.ranks),
                Box::new(self.bases),
                Box::new(self.links),
                Box::new(self.features),
                Box::new(self.values),
                Box::new(self.contributions),
            ],
        );
    }
}

/// A line of an explanation that stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) method: String,
    pub(crate) base_value: Option<f64>,
    pub(crate) link: Option<String>,
    pub(crate) feature: String,
    pub(crate) value: Value,
    pub(crate) contribution: f64,
}

/// The explanations of a prediction, method by method, the greatest contribution first. `$1` the prediction.
pub(crate) const OF_PREDICTION: &str = "
    select e.prediction_id, e.method, e.base_value, e.link, e.feature_name, e.feature_value, e.contribution
    from risk.xai_explanations e
    where e.prediction_id = $1
    order by e.method, e.rank";

pub(crate) fn from_row(row: &Row) -> Result<Line, db::Error> {
    let value: Option<Json<Value>> = row.try_get("feature_value")?;
    Ok(Line {
        method: row.try_get("method")?,
        base_value: row.try_get("base_value")?,
        link: row.try_get("link")?,
        feature: row.try_get("feature_name")?,
        value: value.map(|Json(value)| value).unwrap_or_default(),
        contribution: row.try_get("contribution")?,
    })
}

/// The explanations of several predictions, each as [`OF_PREDICTION`].
pub(crate) async fn of(tx: &Tx, predictions: &[i64]) -> Result<HashMap<i64, Vec<Line>>, db::Error> {
    let mut found: HashMap<i64, Vec<Line>> = HashMap::new();
    if predictions.is_empty() {
        return Ok(found);
    }
    let sql = "
        select e.prediction_id, e.method, e.base_value, e.link, e.feature_name, e.feature_value, e.contribution
        from risk.xai_explanations e
        where e.prediction_id = any ($1)
        order by e.prediction_id, e.method, e.rank";
    for row in tx.query(sql, &[&predictions]).await? {
        found
            .entry(row.try_get("prediction_id")?)
            .or_default()
            .push(from_row(&row)?);
    }
    Ok(found)
}

/// Whether what stands says the same as what was given again.
pub(crate) fn are_same(standing: &[Line], given: &[Explanation]) -> bool {
    let mut given: Vec<&Explanation> = given.iter().collect();
    given.sort_by_key(|explanation| explanation.method);
    let lines = given.iter().flat_map(|explanation| {
        explanation.ranked.iter().map(|part| {
            (
                explanation.method,
                explanation.base_value,
                explanation.link.map(Link::as_str),
                part.feature.as_str(),
                part.contribution,
            )
        })
    });
    let standing = standing.iter().map(|line| {
        (
            line.method.as_str(),
            line.base_value,
            line.link.as_deref(),
            line.feature.as_str(),
            line.contribution,
        )
    });
    // Doubles come back from Postgres as they were.
    standing.eq(lines)
}
