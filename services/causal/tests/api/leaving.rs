//! `core.user.erased`.

use testkit::leaving;

use crate::predictions::prediction;
use crate::started;

#[tokio::test]
async fn what_is_left_of_somebody_is_swept_and_what_comes_late_is_applied_to_nothing() {
    let late = prediction("gone", "2026-03-01T08:00:00Z", 0.5);
    leaving::sweeps_and_applies_nothing_late(&started().await, late, "causal.daily_risk").await;
}
