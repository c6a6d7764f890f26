//! `social.family_share_consents` and `social.family_share_cards`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::REDISCLOSURE_NOTICE;
use db::{Row, Tx};
use serde_json::Value;

use crate::domain::family::{Held, NewCard, NewShare, NotTold, Notice, PERIODIC_UPDATES, Told};

/// What a consent to share is about.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) consent_id: i64,
    pub(crate) contact_label: String,
    pub(crate) consent_scope: String,
    /// Whether the consent holds.
    pub(crate) is_active: bool,
    pub(crate) created_at: DateTime<Utc>,
}

/// Something to be shared, or that was.
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

/// By the clock by which core decides whether a consent holds: of `f`, with its consent `k`.
const SHARE: &str = "f.consent_id, f.contact_label, f.consent_scope, f.created_at,
    k.revoked_at is null and coalesce(k.expires_at > clock_timestamp(), true) as is_active";
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

/// The consent of a client to share with family, kept from being revoked until the transaction ends. `None` where it is
/// somebody else's, for something else, or over.
pub(crate) async fn hold(tx: &Tx, user_id: &str, consent_id: i64) -> Result<Option<Held>, db::Error> {
    let held = tx
        .query_opt(
            "select c.recipient, c.scope from core.consents c
             where c.consent_id = $2 and c.user_id = $1 and c.purpose = 'family_share'
               and core.hold_consent(c.user_id, c.purpose, c.recipient) = c.consent_id",
            &[&user_id, &consent_id],
        )
        .await?;
    held.map(|row| {
        Ok(Held {
            recipient: row.try_get("recipient")?,
            scope: row.try_get("scope")?,
        })
    })
    .transpose()
}

/// Stores what a consent that is held is about, unless that stands; whether it did.
pub(crate) async fn insert_share(
    tx: &Tx,
    user_id: &str,
    new: &NewShare,
    now: Option<DateTime<Utc>>,
) -> Result<bool, db::Error> {
    let stored = tx
        .execute(
            "insert into social.family_share_consents
                (consent_id, user_id, contact_label, consent_scope, granted_by_request_id, created_at)
             select c.consent_id, c.user_id, $3, $4, c.granted_by_request_id, coalesce($5::timestamptz, now())
             from core.consents c where c.consent_id = $2 and c.user_id = $1
             on conflict (consent_id) do nothing",
            &[
                &user_id,
                &new.consent_id,
                &new.contact_label,
                &new.consent_scope,
                &now,
            ],
        )
        .await?;
    Ok(stored > 0)
}

/// What a consent is about.
pub(crate) async fn find_share(tx: &Tx, user_id: &str, consent_id: i64) -> Result<Option<Share>, db::Error> {
    let sql = format!(
        "select {SHARE} from social.family_share_consents f join core.consents k on k.consent_id = f.consent_id
         where f.user_id = $1 and f.consent_id = $2"
    );
    let row = tx.query_opt(&sql, &[&user_id, &consent_id]).await?;
    row.as_ref().map(share_from_row).transpose()
}

/// What a client's consents are about, newest first. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit.
pub(crate) fn shares_sql() -> String {
    format!(
        "select {SHARE} from social.family_share_consents f join core.consents k on k.consent_id = f.consent_id
         where f.user_id = $1 and (f.created_at, f.consent_id) < ($2, $3)
         order by f.created_at desc, f.consent_id desc
         limit $4"
    )
}

/// Stores a card that waits to be shared on a consent that is held.
pub(crate) async fn insert_card(
    tx: &Tx,
    user_id: &str,
    new: &NewCard,
    now: Option<DateTime<Utc>>,
) -> Result<Card, db::Error> {
    let sql = format!(
        "insert into social.family_share_cards as c
            (consent_id, user_id, role, thread_id, title, body, metadata, created_at)
         values ($2, $1, $3, $4, $5, $6, $7, coalesce($8::timestamptz, now()))
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
        &now,
    ];
    card_from_row(&tx.query_one(&sql, params).await?)
}

/// Cards of the rules that wait to be shared: one on each consent of these clients that is for periodic updates and holds,
/// and is held; a card of the same words that waits already is enough. What became of it by client. The clients' profiles are locked.
pub(crate) async fn notify(
    tx: &Tx,
    asked: &[(&str, Option<&Notice>)],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Told>, db::Error> {
    let texts = |part: fn(&Notice) -> &str| -> Vec<Option<&str>> {
        asked.iter().map(|(_, notice)| notice.map(part)).collect()
    };
    let rows = tx
        .query(
            "with held as materialized (
                select n.user_id, n.title, n.body, k.consent_id, f.consent_scope = $5 as is_periodic
                from unnest($1::varchar[], $2::text[], $3::text[]) as n (user_id, title, body)
                join core.consents k on k.user_id = n.user_id and k.purpose = 'family_share' and k.revoked_at is null
                left join social.family_share_consents f on f.consent_id = k.consent_id
                where core.hold_consent(k.user_id, k.purpose, k.recipient) = k.consent_id),
             wanted as (
                select h.*, c.card_id from held h
                left join social.family_share_cards c on c.consent_id = h.consent_id and c.share_status = 'pending'
                    and c.title = h.title and c.body = h.body
                where h.is_periodic and h.title is not null),
             made as (
                insert into social.family_share_cards (consent_id, user_id, title, body, created_at)
                select w.consent_id, w.user_id, w.title, w.body, $4 from wanted w where w.card_id is null
                returning user_id, card_id)
             select n.user_id, array(
                    select m.card_id from made m where m.user_id = n.user_id
                    union select w.card_id from wanted w where w.user_id = n.user_id and w.card_id is not null
                    order by card_id) as cards,
                exists (select from held h where h.user_id = n.user_id) as is_held,
                exists (select from held h where h.user_id = n.user_id and h.is_periodic) as is_periodic
             from unnest($1::varchar[]) as n (user_id)",
            &[
                &asked.iter().map(|(user_id, _)| *user_id).collect::<Vec<_>>(),
                &texts(|notice| &notice.title),
                &texts(|notice| &notice.body),
                &now,
                &PERIODIC_UPDATES,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("user_id")?, told(row)?)))
        .collect()
}

fn told(row: &Row) -> Result<Told, db::Error> {
    let cards: Vec<i64> = row.try_get("cards")?;
    let (is_held, is_periodic): (bool, bool) = (row.try_get("is_held")?, row.try_get("is_periodic")?);
    Ok(match (is_held, is_periodic) {
        _ if !cards.is_empty() => Told::Cards(cards),
        (_, true) => Told::Withheld(NotTold::NoTemplate),
        (true, false) => Told::Withheld(NotTold::NotPeriodic),
        (false, false) => Told::Withheld(NotTold::NoConsent),
    })
}

/// A client's cards, newest first. `$1` client, `$2` and `$3` the row to go on behind, `$4` limit, `$5` status or null.
pub(crate) fn cards_sql() -> String {
    format!(
        "select {CARD} from social.family_share_cards c
         where c.user_id = $1 and (c.created_at, c.card_id) < ($2, $3)
            and ($5::varchar is null or c.share_status = $5)
         order by c.created_at desc, c.card_id desc
         limit $4"
    )
}

/// Whose a card is that the transaction sees, and on which consent it rests: neither changes.
pub(crate) async fn rests_on(tx: &Tx, card_id: i64) -> Result<Option<(String, i64)>, db::Error> {
    let row = tx
        .query_opt(
            "select c.user_id, c.consent_id from social.family_share_cards c where c.card_id = $1",
            &[&card_id],
        )
        .await?;
    row.map(|row| Ok((row.try_get("user_id")?, row.try_get("consent_id")?)))
        .transpose()
}

/// Locks a card.
pub(crate) async fn lock_card(tx: &Tx, card_id: i64) -> Result<Option<Card>, db::Error> {
    let sql = format!("select {CARD} from social.family_share_cards c where c.card_id = $1 for update of c");
    let row = tx.query_opt(&sql, &[&card_id]).await?;
    row.as_ref().map(card_from_row).transpose()
}

/// Enters a locked card in the ledger, and marks it as shared with the recipient of the consent that is held. The ledger
/// asks for the consent once more, and refuses as `ck_disclosures_consent`. What it says is a description: it outlives the
/// card.
pub(crate) async fn share(tx: &Tx, card: &Card, recipient: &str) -> Result<Card, db::Error> {
    let sql = format!(
        "with entered as (
            insert into core.disclosures (user_id, consent_id, recipient, what, notice)
            select f.user_id, f.consent_id, $3, 'family card ' || $1::int8 || ', ' || f.consent_scope, $4
            from social.family_share_consents f where f.consent_id = $2
            returning disclosure_id, at)
         update social.family_share_cards c
         set share_status = 'shared', shared_with = $3, shared_at = e.at, disclosure_id = e.disclosure_id
         from entered e
         where c.card_id = $1
         returning {CARD}"
    );
    let params: db::Params<'_> = &[&card.card_id, &card.consent_id, &recipient, &REDISCLOSURE_NOTICE];
    card_from_row(&tx.query_one(&sql, params).await?)
}

/// Consents that ran out, and whose end nobody has heard of, with their clients. By core's clock: while a consent holds
/// there, its cards may be shared.
pub(crate) async fn run_out(tx: &Tx, limit: i64) -> Result<Vec<(String, i64)>, db::Error> {
    let rows = tx
        .query(
            "select f.user_id, f.consent_id
             from social.family_share_consents f join core.consents k on k.consent_id = f.consent_id
             where f.is_active and (k.revoked_at is not null or k.expires_at <= clock_timestamp())
             order by f.consent_id limit $1",
            &[&limit],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("user_id")?, row.try_get("consent_id")?)))
        .collect()
}

/// Marks those of these consents as ended that are over in core; the cards that waited on them have failed. The clients'
/// profiles are locked.
pub(crate) async fn end(tx: &Tx, consent_ids: &[i64]) -> Result<Vec<Card>, db::Error> {
    tx.execute(
        "update social.family_share_consents f
         set is_active = false, revoked_by_request_id = k.revoked_by_request_id
         from core.consents k
         where f.consent_id = any ($1) and k.consent_id = f.consent_id and f.is_active
            and (k.revoked_at is not null or k.expires_at <= clock_timestamp())",
        &[&consent_ids],
    )
    .await?;
    let sql = format!(
        "update social.family_share_cards c set share_status = 'failed'
         from social.family_share_consents f
         where c.consent_id = any ($1) and c.share_status = 'pending' and f.consent_id = c.consent_id and not f.is_active
         returning {CARD}"
    );
    let failed = tx.query(&sql, &[&consent_ids]).await?;
    failed.iter().map(card_from_row).collect()
}
