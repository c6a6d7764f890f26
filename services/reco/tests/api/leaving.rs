//! `core.user.erased`.

use common::{RiskLabel, Trend};
use testkit::leaving;

use crate::profiles::profile;
use crate::started;

#[tokio::test]
async fn what_is_left_of_somebody_is_swept_and_what_comes_late_is_applied_to_nothing() {
    let late = profile("gone", RiskLabel::Low, Trend::Stable, "2026-03-01T08:00:00Z");
    leaving::sweeps_and_applies_nothing_late(&started().await, late, "reco.client_state").await;
}
