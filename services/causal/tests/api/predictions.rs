//! `social.prediction.recorded`.

use common::Event;
use common::contracts::PredictionRecorded;
use testkit::{Follower, event};

use crate::started;

pub(crate) fn prediction(user_id: &str, message_timestamp: &str, risk_score: f64) -> Event {
    event(&PredictionRecorded {
        prediction_id: 1,
        message_id: 1,
        user_id: user_id.to_owned(),
        message_timestamp: message_timestamp.parse().unwrap(),
        model_version: "v1".to_owned(),
        risk_score,
        p_isolation: 0.0,
    })
}

/// Client, day, predictions, sum in millionths.
async fn risk(service: &Follower) -> Vec<String> {
    let sql = "select format('%s %s %s %s', user_id, day, predictions, risk_score_sum_millionths) as line
        from causal.daily_risk order by user_id, day";
    service.lines(sql).await
}

#[tokio::test]
async fn a_prediction_delivered_twice_is_added_once() {
    let service = started().await;
    let once = prediction("client-a", "2026-03-01T08:00:00Z", 0.25);
    assert_eq!(service.deliver(std::slice::from_ref(&once)).await, 1);
    assert_eq!(service.deliver(std::slice::from_ref(&once)).await, 0);
    assert_eq!(
        service
            .deliver(&[once, prediction("client-a", "2026-03-01T07:00:00Z", 0.5)])
            .await,
        1
    );
    assert_eq!(risk(&service).await, ["client-a 2026-03-01 2 750000"]);
}

#[tokio::test]
async fn scores_add_up_exactly_in_whatever_order_and_batches_they_come() {
    let service = started().await;
    let (tenth, fifth) = (
        prediction("client-a", "2026-03-01T08:00:00Z", 0.1),
        prediction("client-a", "2026-03-01T09:00:00Z", 0.2),
    );
    let seventh = prediction("client-a", "2026-03-01T10:00:00Z", 1.0 / 7.0);
    service.deliver(&[seventh]).await;
    service.deliver(&[fifth, tenth]).await;
    assert_eq!(risk(&service).await, ["client-a 2026-03-01 3 442857"]);
}

#[tokio::test]
async fn a_prediction_counts_on_the_day_its_message_was_written_in_utc() {
    let service = started().await;
    let batch = [
        prediction("client-b", "2026-03-01T12:00:00Z", 0.0),
        prediction("client-a", "2026-03-01T23:59:59Z", 0.5),
        prediction("client-a", "2026-03-01T23:30:00-05:00", 1.0),
    ];
    service.deliver(&batch).await;
    let expected = [
        "client-a 2026-03-01 1 500000",
        "client-a 2026-03-02 1 1000000",
        "client-b 2026-03-01 1 0",
    ];
    assert_eq!(risk(&service).await, expected);
}

#[tokio::test]
async fn a_prediction_of_an_erased_client_is_skipped_and_its_neighbour_added() {
    let service = started().await;
    let batch = [
        prediction("gone", "2026-03-01T08:00:00Z", 0.9),
        prediction("client-a", "2026-03-01T08:00:00Z", 0.3),
    ];
    assert_eq!(service.deliver(&batch).await, 2);
    assert_eq!(risk(&service).await, ["client-a 2026-03-01 1 300000"]);
}

#[tokio::test]
async fn a_score_that_is_no_probability_is_refused_and_nothing_of_its_batch_is_kept() {
    let service = started().await;
    let batch = [
        prediction("client-a", "2026-03-01T08:00:00Z", 0.3),
        prediction("client-a", "2026-03-01T08:00:00Z", 1.5),
    ];
    let refused = service.app.consumer().apply_events(&batch).await.unwrap_err();
    assert_eq!(refused.to_string(), "risk_score is not in 0..=1");
    assert!(risk(&service).await.is_empty());
    assert_eq!(service.deliver(&batch[..1]).await, 1);
}
