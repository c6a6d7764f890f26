//! What is kept for a while goes when its term is over, and not before.

use testkit::serving;

use crate::harness::Harness;

#[tokio::test]
async fn answers_events_and_receipts_go_when_their_term_is_over() {
    let h = Harness::new().await;
    serving::plant_what_ends(&h.database, "social").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 3);
    serving::keeps_what_has_not_ended(&h.database, "social").await;
    assert_eq!(h.app.round("retention").await.unwrap(), 0, "again does nothing");
}
