//! A revocation against queued shares: whichever comes first, nothing is shared after it.

use std::cell::Cell;

use futures::StreamExt;
use futures::future::{join, join_all};
use serde_json::json;
use testkit::{Client, event_of};

use crate::family::{place, revoke};
use crate::harness::{Harness, noon};

const ADVISORY_WAITS: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'";
const ROW_WAITS: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and wait_event <> 'advisory'";

impl Harness {
    /// Whether a revocation waits for a share that has done everything but commit.
    async fn revocation_waits(&self, consent_id: i64) -> bool {
        let card_id = self.waiting(consent_id).await;
        let holder = self.database.superuser().await;
        holder
            .run(
                "create function public.stop_here() returns trigger language plpgsql
                 as 'begin perform pg_advisory_xact_lock(1); return null; end';
                 create trigger stop_here after update on social.family_share_cards
                 for each row execute function public.stop_here();
                 select pg_advisory_lock(1)",
            )
            .await;
        let meanwhile = async {
            while self.database.count(ADVISORY_WAITS).await == 0 {}
            let is_revoked = Cell::new(false);
            let revoke = async {
                self.revoke(consent_id).await;
                is_revoked.set(true);
            };
            let watch = async {
                let mut waits = false;
                while !waits && !is_revoked.get() {
                    waits = self.database.count(ROW_WAITS).await > 0;
                }
                holder.run("select pg_advisory_unlock(1)").await;
                waits
            };
            join(revoke, watch).await.1
        };
        let (shared, waits) = join(self.share(card_id), meanwhile).await;
        assert_eq!(shared.code(), 200, "{}", shared.json);
        waits
    }
}

#[tokio::test]
async fn a_revocation_waits_for_a_share_that_is_under_way() {
    let (h, consent_id) = Harness::sharing().await;
    assert!(h.revocation_waits(consent_id).await);
}

#[tokio::test]
async fn without_the_lock_a_card_would_be_shared_after_the_revocation() {
    let (h, consent_id) = Harness::sharing().await;
    h.database
        .superuser()
        .await
        .run(
            "create or replace function core.hold_consent(of_user varchar, for_purpose varchar, to_recipient varchar)
             returns bigint language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
                select c.consent_id from core.consents c
                where c.user_id = of_user and c.purpose = for_purpose and c.recipient = to_recipient
                  and c.revoked_at is null
             $$",
        )
        .await;
    assert!(!h.revocation_waits(consent_id).await);
}

/// Plants 500 clients who consented, each with two cards that wait.
const RACERS: &str = "
    insert into core.users (user_id, kind) select 'raced-' || n, 'client' from generate_series(1, 500) as n;
    insert into social.user_risk_profiles (user_id, policy_version)
    select 'raced-' || n, 'fusion_v2' from generate_series(1, 500) as n;
    insert into core.consents (user_id, purpose, recipient)
    select 'raced-' || n, 'family_share', 'contact-1' from generate_series(1, 500) as n;
    insert into social.family_share_consents (consent_id, user_id, contact_label, consent_scope)
    select consent_id, user_id, 'my sister', 'summary_card' from core.consents;
    insert into social.family_share_cards (consent_id, user_id, title, body)
    select consent_id, user_id, 'title', 'body' from core.consents, generate_series(1, 2)";

/// As many as a pool of a test has connections.
const RACES_AT_A_TIME: usize = 4;

/// Services beside the one that shares.
struct Beside {
    core: db::Db,
    social: db::Db,
}

impl Beside {
    /// Cards of a consent that were shared.
    async fn shared(&self, consent_id: i64) -> i64 {
        let sql = "select count(*) as shared from social.family_share_cards
            where consent_id = $1 and share_status = 'shared'";
        let rows = self.social.worker_query(sql, &[&consent_id]).await.unwrap();
        rows[0].get("shared")
    }
}

/// Shares the cards of a client while the consent is taken back. Returns how many were answered as shared, and how many
/// were shared when the revocation was committed.
async fn race(app: Client, beside: &Beside, consent_id: i64, cards: Vec<i64>) -> (i64, i64) {
    let share = async |card_id: &i64| app.post(&place(*card_id), &json!({})).await.code();
    let revocation = async {
        revoke(&beside.core, consent_id).await;
        beside.shared(consent_id).await
    };
    let (codes, at_the_revocation) = join(join_all(cards.iter().map(share)), revocation).await;
    assert!(codes.iter().all(|code| [200, 403].contains(code)), "{codes:?}");
    let answered = codes.iter().map(|code| i64::from(*code == 200)).sum();
    (answered, at_the_revocation)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_500_revocations_against_queued_shares_none_has_a_late_one() {
    let h = Harness::new().await;
    h.database.superuser().await.run(RACERS).await;
    let racers = "select user_id, consent_id, array_agg(card_id) as cards from social.family_share_cards group by 1, 2";
    let racers = h.database.query(racers).await;
    assert_eq!(racers.len(), 500);
    let beside = Beside {
        core: h.database.pools("core"),
        social: h.database.pools("social"),
    };
    let app = h.call("app");
    let races = racers.iter().map(|row| {
        let app = app.with_header("x-on-behalf-of", row.get("user_id"));
        race(app, &beside, row.get("consent_id"), row.get("cards"))
    });
    let found: Vec<(i64, i64)> = futures::stream::iter(races)
        .buffer_unordered(RACES_AT_A_TIME)
        .collect()
        .await;
    let of_status = async |status: &str| {
        let sql = format!("select count(*) from social.family_share_cards where share_status = '{status}'");
        h.database.count(&sql).await
    };
    let shared = of_status("shared").await;
    let before: i64 = found.iter().map(|(_, before)| before).sum();
    assert_eq!(shared - before, 0, "late");
    let answered: i64 = found.iter().map(|(answered, _)| answered).sum();
    assert_eq!(shared, answered, "none is shared that was not answered");
    assert!(
        (1..1_000).contains(&shared),
        "{shared}: a race that one side always wins is none"
    );
    let ledger = "select count(*) from core.disclosures d join core.consents k using (consent_id) where d.at < k.revoked_at";
    assert_eq!(
        h.database.count(ledger).await,
        shared,
        "each is in the ledger, before the revocation"
    );
    let told: Vec<_> = racers
        .iter()
        .map(|row| {
            let (consent_id, user_id): (i64, &str) = (row.get("consent_id"), row.get("user_id"));
            let data = json!({
                "consent_id": consent_id, "user_id": user_id, "purpose": "family_share", "changed_at": noon(),
            });
            event_of("core.consent.revoked", data)
        })
        .collect();
    for some in told.chunks(100) {
        h.app.consumer().apply_events(some).await.unwrap();
    }
    assert_eq!(of_status("failed").await, 1_000 - shared);
}
