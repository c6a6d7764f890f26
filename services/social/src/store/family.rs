//! `social.family_share_consents` and `social.family_share_cards`.

use chrono::{DateTime, Utc};
use db::{Row, Tx};
use serde_json::Value;

use crate::domain::family::{NewCard, NewShare};

/// What a consent to share is about.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) consent_id: i64,
    pub(crate) contact_label: String,
    pub(crate) consent_scope: String,
    pub(crate) is_active: bool,
    pub(crate) created_at: DateTime<Utc>,
}

/// Something to be shared.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) card_id: i64,
    pub(crate) consent_id: i64,
    pub(crate) user_id: String,
    pub(crate) role: Option<String>,
    pub(crate) thread_id: Option<String>,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) share_status: String,
    pub(crate) shared_with: Option<String>,
    pub(crate) disclosure_id: Option<i64>,
    pub(crate) metadata: Option<Value>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) shared_at: Option<DateTime<Utc>>,
}

const SHARE: &str = "f.consent_id, f.contact_label, f.consent_scope, f.is_active, f.created_at";
const CARD: &str = "c.card_id, c.consent_id, c.user_id, c.role, c.thread_id, c.title, c.body, c.share_status,
    c.shared_with, c.disclosure_id, c.metadata, c.created_at, c.shared_at";

pub(crate) fn share_from_row(row: &Row) -> Result<Share, db::Error> {
    Ok(Share {
        consent_id: row.try_get("consent_id")?,
        contact_label: row.try_get("contact_label")?,
        consent_scope: row.try_get("consent_scope")?,
        is_active: row.try_get("is_active")?,
        created_at: row.try_get("created_at")?,
    })
}

pub(crate) fn card_from_row(row: &Row) -> Result<Card, db::Error> {
    Ok(Card {
        card_id: row.try_get("card_id")?,
        consent_id: row.try_get("consent_id")?,
        user_id: row.try_get("user_id")?,
        role: row.try_get("role")?,
        thread_id: row.try_get("thread_id")?,
        title: row.try_get("title")?,
        body: row.try_get("body")?,
        share_status: row.try_get("share_status")?,
        shared_with: row.try_get("shared_with")?,
        disclosure_id: row.try_get("disclosure_id")?,
        metadata: row.try_get("metadata")?,
        created_at: row.try_get("created_at")?,
        shared_at: row.try_get("shared_at")?,
    })
}

/// The consent of a client to share with family that holds now, kept from being revoked until the transaction ends: its
/// recipient. `None` where it is somebody else's, for something else, or over.
pub(crate) async fn hold(tx: &Tx, user_id: &str, consent_id: i64) -> Result<Option<String>, db::Error> {
    let held = tx
        .query_opt(
            "select c.recipient from core.consents c
             where c.consent_id = $2 and c.user_id = $1 and c.purpose = 'family_share'
               and core.hold_consent(c.user_id, c.purpose, c.recipient) = c.consent_id",
            &[&user_id, &consent_id],
        )
        .await?;
    held.map(|row| Ok(row.try_get("recipient")?)).transpose()
}

/// Stores what a consent is about, unless that stands; `None` where it does.
pub(crate) async fn insert_share(tx: &Tx, user_id: &str, new: &NewShare) -> Result<Option<Share>, db::Error> {
    let sql = format!(
        "insert into social.family_share_consents as f
            (consent_id, user_id, contact_label, consent_scope, granted_by_request_id)
         select c.consent_id, c.user_id, $3, $4, c.granted_by_request_id
         from core.consents c where c.consent_id = $2 and c.user_id = $1
         on conflict (consent_id) do nothing
         returning {SHARE}"
    );
    let params: db::Params<'_> = &[&user_id, &new.consent_id, &new.contact_label, &new.consent_scope];
    tx.query_opt(&sql, params).await?.as_ref().map(share_from_row).transpose()
}

/// What a consent is about.
pub(crate) async fn find_share(tx: &Tx, user_id: &str, consent_id: i64) -> Result<Option<Share>, db::Error> {
    let sql = format!(
        "select {SHARE} from social.family_share_consents f where f.user_id = $1 and f.consent_id = $2"
    );
    let row = tx.query_opt(&sql, &[&user_id, &consent_id]).await?;
    row.as_ref().map(share_from_row).transpose()
}

/// A client's, newest first. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) fn shares_sql() -> String {
    format!(
        "select {SHARE} from social.family_share_consents f
         where f.user_id = $1 and (f.created_at, f.consent_id) < ($2, $3)
         order by f.created_at desc, f.consent_id desc
         limit $4"
    )
}

/// Stores a card that waits to be shared.
pub(crate) async fn insert_card(tx: &Tx, user_id: &str, new: &NewCard) -> Result<Card, db::Error> {
    let sql = format!(
        "insert into social.family_share_cards as c (consent_id, user_id, role, thread_id, title, body, metadata)
         values ($2, $1, $3, $4, $5, $6, $7)
         returning {CARD}"
    );
    let params: db::Params<'_> = &[
        &user_id,
        &new.consent_id,
        &new.role,
        &new.thread_id,
        &new.title,
        &new.body,
        &new.metadata,
    ];
    card_from_row(&tx.query_one(&sql, params).await?)
}

/// A client's cards, newest first. `$1` client, `$2` status or null, `$3` and `$4` the row to go on behind, `$5` limit.
pub(crate) fn cards_sql() -> String {
    format!(
        "select {CARD} from social.family_share_cards c
         where c.user_id = $1 and ($2::varchar is null or c.share_status = $2) and (c.created_at, c.card_id) < ($3, $4)
         order by c.created_at desc, c.card_id desc
         limit $5"
    )
}

/// Locks a card that the caller sees.
pub(crate) async fn lock_card(tx: &Tx, card_id: i64) -> Result<Option<Card>, db::Error> {
    let sql = format!("select {CARD} from social.family_share_cards c where c.card_id = $1 for update of c");
    tx.query_opt(&sql, &[&card_id]).await?.as_ref().map(card_from_row).transpose()
}

/// Enters a locked card in the ledger and marks it as shared with the recipient of a consent that is held.
pub(crate) async fn share(tx: &Tx, card: &Card, recipient: &str, notice: &str) -> Result<Card, db::Error> {
    let sql = format!(
        "with entered as (
            insert into core.disclosures (user_id, consent_id, recipient, what, notice)
            values ($2, $3, $4, 'family card ' || $1::int8, $5)
            returning disclosure_id, at)
         update social.family_share_cards c
         set share_status = 'shared', shared_with = $4, shared_at = e.at, disclosure_id = e.disclosure_id
         from entered e
         where c.card_id = $1
         returning {CARD}"
    );
    let params: db::Params<'_> = &[&card.card_id, &card.user_id, &card.consent_id, &recipient, &notice];
    card_from_row(&tx.query_one(&sql, params).await?)
}

/// What was to be shared on consents that were taken back is shared no more.
pub(crate) async fn end(tx: &Tx, consent_ids: &[i64]) -> Result<(), db::Error> {
    tx.execute(
        "with over as (
            update social.family_share_consents f
            set is_active = false, revoked_by_request_id = c.revoked_by_request_id
            from core.consents c
            where f.consent_id = any ($1) and c.consent_id = f.consent_id
            returning f.consent_id)
         update social.family_share_cards c set share_status = 'failed'
         from over where c.consent_id = over.consent_id and c.share_status = 'pending'",
        &[&consent_ids],
    )
    .await?;
    Ok(())
}
