//! `social.escalation_comments`.

use chrono::{DateTime, Utc};
use db::{Row, Tx};

/// A comment.
pub(crate) struct Comment {
    pub(crate) comment_id: i64,
    pub(crate) escalation_id: i64,
    pub(crate) client_id: String,
    pub(crate) author_id: Option<String>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) kind: String,
    pub(crate) comment: String,
}

pub(crate) fn from_row(row: &Row) -> Result<Comment, db::Error> {
    Ok(Comment {
        comment_id: row.try_get("comment_id")?,
        escalation_id: row.try_get("escalation_id")?,
        client_id: row.try_get("client_id")?,
        author_id: row.try_get("author_id")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        comment: row.try_get("comment")?,
    })
}

/// Writes a comment (its kind and text) on an episode that the transaction sees; `None` where there is none.
pub(crate) async fn insert(
    tx: &Tx,
    escalation_id: i64,
    author_id: &str,
    (kind, comment): (&str, &str),
    now: Option<DateTime<Utc>>,
) -> Result<Option<Comment>, db::Error> {
    let row = tx
        .query_opt(
            "insert into social.escalation_comments (escalation_id, client_id, author_id, at, kind, comment)
             select e.escalation_id, e.user_id, $2, coalesce($5::timestamptz, now()), $3, $4
             from social.escalations e where e.escalation_id = $1 and e.user_id is not null
             returning comment_id, escalation_id, client_id, author_id, at, kind, comment",
            &[&escalation_id, &author_id, &kind, &comment, &now],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Newest first. `$1` the episode, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) const LIST: &str = "
    select c.comment_id, c.escalation_id, c.client_id, c.author_id, c.at, c.kind, c.comment
    from social.escalation_comments c
    where c.escalation_id = $1 and (c.at, c.comment_id) < ($2, $3)
    order by c.at desc, c.comment_id desc
    limit $4";
