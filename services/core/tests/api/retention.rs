//! What is kept for a while goes when its term is over, and not before.

use core_service::Config;
use testkit::serving;

use crate::harness::Harness;

#[tokio::test]
async fn answers_events_and_receipts_go_when_their_term_is_over() {
    let h = Harness::new().await;
    serving::plant_what_ends(&h.database, "core").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 3);
    serving::keeps_what_has_not_ended(&h.database, "core").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 0, "again does nothing");
}

#[tokio::test]
async fn disclosures_go_after_three_years_and_not_before() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.run(
        "insert into core.consents (user_id, purpose, recipient, granted_at)
             values ('client-a', 'family_share', 'contact-1', now() - interval '4 years');
         insert into core.disclosures (user_id, consent_id, recipient, what, notice, at)
         select 'client-a', c.consent_id, 'contact-1', 'attendance', 'n', now() - d.age
         from core.consents c,
             unnest(array['3 years 1 minute', '2 years 364 days', '0']::interval[]) as d (age)",
    )
    .await;
    assert_eq!(h.app.round("end_terms").await.unwrap(), 1);
    let kept = "select count(*) from core.disclosures where at > now() - interval '3 years'";
    assert_eq!(h.database.count(kept).await, 2);
    assert_eq!(h.app.round("end_terms").await.unwrap(), 0, "again does nothing");
}

/// Writes an audit row as of a time, and lets it wait for its seal.
const ROW_OF: &str = "
    with written as (
        insert into core.audit_events (at, event_type, actor, actor_kind, action, decision)
        values (AT, 'read', 'x', 'service', 'x', 'allow') returning id, at)
    insert into core.audit_pending (id, at) select w.id, w.at from written w";

#[tokio::test]
async fn audit_rows_go_by_month_after_six_years_and_their_seals_stay() {
    let h = Harness::new().await;
    let (over, kept) = ("now() - interval '6 years 1 month'", "now() - interval '6 years'");
    for at in [over, kept] {
        h.run(&format!("select core.add_audit_partition(({at})::date)"))
            .await;
        h.run(&ROW_OF.replace("AT", at)).await;
    }
    assert_eq!(
        h.app.round("end_terms").await.unwrap(),
        0,
        "it waits for its seal"
    );
    h.app.round("seal").await.unwrap();
    h.run(&ROW_OF.replace("AT", "now()")).await;
    h.app.round("seal").await.unwrap();
    assert_eq!(h.app.round("end_terms").await.unwrap(), 1);
    assert_eq!(
        h.database.count("select count(*) from core.audit_events").await,
        2
    );
    let verified = async || {
        let (db, mut out) = (h.database.pools("core"), Vec::new());
        let sealing = Config::for_testing(h.anchor.clone()).audit;
        core_service::admin::audit::verify(&db, sealing, 10, &mut out).await
    };
    verified().await.unwrap();
    // Nobody makes the rest look as old.
    let older = format!(
        "set session_replication_role = replica;
         delete from core.audit_events where at > now() - interval '1 day';
         update core.audit_seals set first_at = {over} where seq = 2"
    );
    h.run(&older).await;
    let refused = verified().await.unwrap_err().to_string();
    assert_eq!(refused, "the audit is not as it was sealed: 1 faults");
}
