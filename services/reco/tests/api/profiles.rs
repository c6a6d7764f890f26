//! `social.profile.changed`.

use common::contracts::ProfileChanged;
use common::{Event, RiskLabel, Trend};
use testkit::{Follower, event};

use crate::started;

pub(crate) fn profile(user_id: &str, label: RiskLabel, risk_trend: Trend, computed_at: &str) -> Event {
    event(&ProfileChanged {
        user_id: user_id.to_owned(),
        current_risk_label: label,
        previous_risk_label: RiskLabel::Unknown,
        risk_trend,
        short_avg_risk_score: None,
        computed_at: computed_at.parse().unwrap(),
    })
}

/// Client, label, trend, time of day it was computed.
async fn states(service: &Follower) -> Vec<String> {
    let sql = "select format('%s %s %s %s', user_id, current_risk_label, risk_trend,
            (computed_at at time zone 'UTC')::time) as line
        from reco.client_state order by user_id";
    service.lines(sql).await
}

#[tokio::test]
async fn a_profile_delivered_twice_is_applied_once() {
    let service = started().await;
    let first = profile("client-a", RiskLabel::Low, Trend::Stable, "2026-03-01T08:00:00Z");
    let second = profile(
        "client-a",
        RiskLabel::High,
        Trend::RapidDecline,
        "2026-03-01T09:00:00Z",
    );
    assert_eq!(service.deliver(std::slice::from_ref(&first)).await, 1);
    assert_eq!(service.deliver(std::slice::from_ref(&second)).await, 1);
    assert_eq!(service.deliver(&[first, second]).await, 0);
    assert_eq!(
        states(&service).await,
        ["client-a HIGH_RISK rapid_decline 09:00:00"]
    );
}

#[tokio::test]
async fn a_late_profile_never_overwrites_a_newer_one() {
    let service = started().await;
    let newer = profile(
        "client-a",
        RiskLabel::High,
        Trend::Declining,
        "2026-03-01T09:00:00Z",
    );
    let older = profile("client-a", RiskLabel::Low, Trend::Stable, "2026-03-01T08:00:00Z");
    service.deliver(&[newer]).await;
    assert_eq!(service.deliver(&[older]).await, 1);
    assert_eq!(states(&service).await, ["client-a HIGH_RISK declining 09:00:00"]);
}

#[tokio::test]
async fn of_several_in_one_batch_the_newest_of_each_client_wins() {
    let service = started().await;
    let batch = [
        profile("client-a", RiskLabel::Low, Trend::Stable, "2026-03-01T08:00:00Z"),
        profile(
            "client-a",
            RiskLabel::Moderate,
            Trend::Declining,
            "2026-03-01T10:00:00Z",
        ),
        profile(
            "client-b",
            RiskLabel::IsolationOnly,
            Trend::Stable,
            "2026-03-01T07:00:00Z",
        ),
        profile(
            "client-a",
            RiskLabel::High,
            Trend::Declining,
            "2026-03-01T09:00:00Z",
        ),
    ];
    assert_eq!(service.deliver(&batch).await, 4);
    let expected = [
        "client-a MODERATE_RISK declining 10:00:00",
        "client-b ISOLATION_ONLY stable 07:00:00",
    ];
    assert_eq!(states(&service).await, expected);
}

#[tokio::test]
async fn a_profile_of_an_erased_client_is_skipped_and_its_neighbour_kept() {
    let service = started().await;
    let batch = [
        profile("gone", RiskLabel::High, Trend::Stable, "2026-03-01T08:00:00Z"),
        profile(
            "client-a",
            RiskLabel::Low,
            Trend::Improving,
            "2026-03-01T08:00:00Z",
        ),
    ];
    assert_eq!(service.deliver(&batch).await, 2);
    assert_eq!(states(&service).await, ["client-a LOW_RISK improving 08:00:00"]);
}
