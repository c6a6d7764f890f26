//! `social.message_predictions`.

use chrono::{DateTime, Utc};
use common::{ConversationType, Probability, SenderRole};
use db::{Row, ToSql, Tx};

use super::{probability, profiles, word};
use crate::domain::prediction::{NewPrediction, Scores};

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

const EXISTING: &str = "
    select p.id, p.message_id, p.timestamp, p.p_craving, p.p_relapse, p.p_negative_mood, p.p_neutral, p.p_toxic,
        p.p_isolation, p.risk_score, p.model_version, p.superseded
    from social.message_predictions p
    where p.message_id = any ($1)";

/// Every prediction of messages.
pub(crate) async fn existing(tx: &Tx, message_ids: &[i64]) -> Result<Vec<Existing>, db::Error> {
    if message_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx.query(EXISTING, &[&message_ids]).await?;
    rows.iter().map(existing_from_row).collect()
}

fn existing_from_row(row: &Row) -> Result<Existing, db::Error> {
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

/// Predictions side by side, as [`STORE`] takes them.
pub(crate) struct Columns {
    message_ids: Vec<i64>,
    timestamps: Vec<Option<DateTime<Utc>>>,
    model_versions: Vec<String>,
    scores: [Vec<f64>; 7],
    now: Option<DateTime<Utc>>,
}

impl Columns {
    pub(crate) fn new(given: &[NewPrediction], now: Option<DateTime<Utc>>) -> Self {
        let column = |of: fn(&NewPrediction) -> Probability| given.iter().map(|p| of(p).as_f64()).collect();
        Self {
            message_ids: given.iter().map(|p| p.message_id).collect(),
            timestamps: given.iter().map(|p| p.timestamp).collect(),
            model_versions: given.iter().map(|p| p.model_version.clone()).collect(),
            scores: [
                column(|p| p.scores.p_craving),
                column(|p| p.scores.p_relapse),
                column(|p| p.scores.p_negative_mood),
                column(|p| p.scores.p_neutral),
                column(|p| p.scores.p_toxic),
                column(|p| p.scores.p_isolation),
                column(|p| p.risk_score),
            ],
            now,
        }
    }

    pub(crate) fn message_ids(&self) -> &Vec<i64> {
        &self.message_ids
    }

    pub(crate) fn now(&self) -> &Option<DateTime<Utc>> {
        &self.now
    }

    pub(crate) fn params(&self) -> [&(dyn ToSql + Sync); 11] {
        let [craving, relapse, mood, neutral, toxic, isolation, risk] = &self.scores;
        [
            &self.message_ids,
            &self.timestamps,
            &self.model_versions,
            craving,
            relapse,
            mood,
            neutral,
            toxic,
            isolation,
            risk,
            &self.now,
        ]
    }
}

/// Stores what is new of the predictions given ([`Columns::params`]) and says of each whose message it is about, whether
/// it was stored, and whether another prediction of that message stood before. What is about an unknown message, or one
/// that the client did not write, is not stored; nor is what stands already. Rows are stored in the order of messages, so
/// that two who store the same ones wait for each other instead of deadlocking, and told in the order given.
pub(crate) const STORE: &str = "
    with given as materialized (
        select n.position, n.message_id, n.timestamp, n.model_version, n.p_craving, n.p_relapse, n.p_negative_mood,
            n.p_neutral, n.p_toxic, n.p_isolation, n.risk_score, m.user_id, m.timestamp as message_timestamp,
            m.conversation_type, m.sender_role
        from unnest($1::int8[], $2::timestamptz[], $3::varchar[], $4::float8[], $5::float8[], $6::float8[],
                $7::float8[], $8::float8[], $9::float8[], $10::float8[]) with ordinality
            as n (message_id, timestamp, model_version, p_craving, p_relapse, p_negative_mood, p_neutral, p_toxic,
                p_isolation, risk_score, position)
        cross join lateral (
            select f.user_id, f.timestamp, f.conversation_type, f.sender_role
            from core.messages f where f.message_id = n.message_id and f.user_id is not null offset 0) as m),
    stored as (
        insert into social.message_predictions (message_id, user_id, timestamp, message_timestamp, p_craving,
            p_relapse, p_negative_mood, p_neutral, p_toxic, p_isolation, risk_score, conversation_type, model_version)
        select g.message_id, g.user_id, coalesce(g.timestamp, $11, (select clock_timestamp())), g.message_timestamp,
            g.p_craving, g.p_relapse, g.p_negative_mood, g.p_neutral, g.p_toxic, g.p_isolation, g.risk_score,
            g.conversation_type, g.model_version
        from given g
        where g.sender_role = 'user'
        order by g.message_id, g.position
        on conflict (message_id, model_version) do nothing
        returning id, message_id, model_version)
    select g.position, g.message_id, g.user_id, g.message_timestamp, g.sender_role, s.id,
        exists (select from social.message_predictions o where o.message_id = g.message_id) as is_contested
    from given g
    left join stored s on s.message_id = g.message_id and s.model_version = g.model_version
    order by g.position";

/// What became of one of the predictions given to [`STORE`].
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Which one, from 0.
    pub(crate) position: usize,
    pub(crate) message_id: i64,
    pub(crate) user_id: String,
    pub(crate) message_timestamp: DateTime<Utc>,
    pub(crate) sender_role: SenderRole,
    /// Its row; none where it stood already, or may not be stored.
    pub(crate) id: Option<i64>,
    /// Whether the message had a prediction before.
    pub(crate) is_contested: bool,
}

pub(crate) fn stored_from_row(row: &Row) -> Result<Stored, db::Error> {
    let position: i64 = row.try_get("position")?;
    Ok(Stored {
        position: usize::try_from(position - 1).map_err(|_| db::Error::Row("position".to_owned()))?,
        message_id: row.try_get("message_id")?,
        user_id: row.try_get("user_id")?,
        message_timestamp: row.try_get("message_timestamp")?,
        sender_role: word(row, "sender_role")?,
        id: row.try_get("id")?,
        is_contested: row.try_get("is_contested")?,
    })
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

/// Deletes what was said of messages of these clients that are gone. The profiles are locked first, as by everybody who
/// works on a client: what is being stored of these messages is there by then.
pub(crate) async fn delete(tx: &Tx, user_ids: &[&str], message_ids: &[i64]) -> Result<(), db::Error> {
    tx.pipeline(&[
        (profiles::LOCK, &[&user_ids]),
        (
            "delete from social.message_predictions p where p.message_id = any ($1) and p.user_id = any ($2)",
            &[&message_ids, &user_ids],
        ),
    ])
    .await?;
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
