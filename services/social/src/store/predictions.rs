//! `social.message_predictions`.

use chrono::{DateTime, Utc};
use common::{ConversationType, Probability};
use db::{Row, Tx};

use super::{probability, word};
use crate::domain::prediction::Scores;

/// A stored prediction, as far as a repeat or another model version must know it.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    pub(crate) id: i64,
    pub(crate) message_id: i64,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) scores: Scores,
    pub(crate) risk_score: Probability,
    pub(crate) model_version: String,
    pub(crate) superseded: bool,
}

/// `$1`: message ids.
pub(crate) const EXISTING: &str = "
    select p.id, p.message_id, p.timestamp, p.p_craving, p.p_relapse, p.p_negative_mood, p.p_neutral, p.p_toxic,
        p.p_isolation, p.risk_score, p.model_version, p.superseded
    from social.message_predictions p
    where p.message_id = any ($1)";

pub(crate) fn existing_from_row(row: &Row) -> Result<Existing, db::Error> {
    Ok(Existing {
        id: row.try_get("id")?,
        message_id: row.try_get("message_id")?,
        timestamp: row.try_get("timestamp")?,
        scores: scores(row)?,
        risk_score: probability(row, "risk_score")?,
        model_version: row.try_get("model_version")?,
        superseded: row.try_get("superseded")?,
    })
}

fn scores(row: &Row) -> Result<Scores, db::Error> {
    Ok(Scores {
        p_craving: probability(row, "p_craving")?,
        p_relapse: probability(row, "p_relapse")?,
        p_negative_mood: probability(row, "p_negative_mood")?,
        p_neutral: probability(row, "p_neutral")?,
        p_toxic: probability(row, "p_toxic")?,
        p_isolation: probability(row, "p_isolation")?,
    })
}

/// A prediction that is about to be stored, with what its message says.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    /// Explicit, so that which of several versions counts is decided before the insert.
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) message_timestamp: DateTime<Utc>,
    pub(crate) scores: Scores,
    pub(crate) risk_score: Probability,
    pub(crate) conversation_type: ConversationType,
    pub(crate) model_version: String,
    pub(crate) superseded: bool,
    /// The trace of the request it came in.
    pub(crate) traceparent: Option<String>,
}

/// Stores predictions; returns their ids in the order given.
pub(crate) async fn insert(tx: &Tx, rows: &[Insert]) -> Result<Vec<i64>, db::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let score =
        |of: fn(&Insert) -> Probability| rows.iter().map(|row| of(row).as_f64()).collect::<Vec<f64>>();
    // Ids are drawn in the order of the ordinality, and returned sorted: the n-th is that of the n-th row.
    let stored = tx
        .query(
            "with stored as (
                insert into social.message_predictions (message_id, user_id, timestamp, message_timestamp, p_craving,
                    p_relapse, p_negative_mood, p_neutral, p_toxic, p_isolation, risk_score, conversation_type,
                    model_version, superseded)
                select n.message_id, n.user_id, n.timestamp, n.message_timestamp, n.p_craving, n.p_relapse,
                    n.p_negative_mood, n.p_neutral, n.p_toxic, n.p_isolation, n.risk_score, n.conversation_type,
                    n.model_version, n.superseded
                from unnest($1::int8[], $2::varchar[], $3::timestamptz[], $4::timestamptz[], $5::float8[],
                    $6::float8[], $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[],
                    $12::varchar[], $13::varchar[], $14::bool[]) with ordinality
                    as n (message_id, user_id, timestamp, message_timestamp, p_craving, p_relapse, p_negative_mood,
                        p_neutral, p_toxic, p_isolation, risk_score, conversation_type, model_version, superseded,
                        position)
                order by n.position
                returning id)
            select id from stored order by id",
            &[
                &rows.iter().map(|row| row.message_id).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.user_id.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.timestamp).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.message_timestamp).collect::<Vec<_>>(),
                &score(|row| row.scores.p_craving),
                &score(|row| row.scores.p_relapse),
                &score(|row| row.scores.p_negative_mood),
                &score(|row| row.scores.p_neutral),
                &score(|row| row.scores.p_toxic),
                &score(|row| row.scores.p_isolation),
                &score(|row| row.risk_score),
                &rows.iter().map(|row| row.conversation_type.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.model_version.as_str()).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.superseded).collect::<Vec<_>>(),
            ],
        )
        .await?;
    stored.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Marks predictions that no longer count, because another version of their message does.
pub(crate) async fn supersede(tx: &Tx, ids: &[i64]) -> Result<(), db::Error> {
    if !ids.is_empty() {
        tx.execute(
            "update social.message_predictions set superseded = true where id = any ($1)",
            &[&ids],
        )
        .await?;
    }
    Ok(())
}

/// A prediction as counselors read it.
#[derive(Clone, Debug)]
pub(crate) struct Prediction {
    pub(crate) id: i64,
    pub(crate) message_id: i64,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) message_timestamp: DateTime<Utc>,
    pub(crate) scores: Scores,
    pub(crate) risk_score: Probability,
    pub(crate) conversation_type: ConversationType,
    pub(crate) model_version: String,
    pub(crate) counts: bool,
}

/// A client's predictions, newest prediction first. `$1` user, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select p.id, p.message_id, p.timestamp, p.message_timestamp, p.p_craving, p.p_relapse, p.p_negative_mood,
        p.p_neutral, p.p_toxic, p.p_isolation, p.risk_score, p.conversation_type, p.model_version, p.superseded
    from social.message_predictions p
    where p.user_id = $1 and (p.timestamp, p.id) < ($2, $3)
    order by p.timestamp desc, p.id desc
    limit $4";

pub(crate) fn from_row(row: &Row) -> Result<Prediction, db::Error> {
    Ok(Prediction {
        id: row.try_get("id")?,
        message_id: row.try_get("message_id")?,
        timestamp: row.try_get("timestamp")?,
        message_timestamp: row.try_get("message_timestamp")?,
        scores: scores(row)?,
        risk_score: probability(row, "risk_score")?,
        conversation_type: word(row, "conversation_type")?,
        model_version: row.try_get("model_version")?,
        counts: !row.try_get::<_, bool>("superseded")?,
    })
}
