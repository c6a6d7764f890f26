//! What every service answers.

use testkit::serving;

use crate::started;

#[tokio::test]
async fn a_started_service_is_healthy_ready_and_documented() {
    serving::is_healthy_ready_and_documented(started().await, &causal_service::openapi()).await;
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    serving::answers_an_unknown_path_as_a_problem(&started().await).await;
}

#[tokio::test]
async fn the_service_may_read_no_message_and_no_name() {
    serving::may_read_no_message_and_no_name(&started().await).await;
}

#[tokio::test]
async fn answers_events_and_receipts_go_when_their_term_is_over() {
    let world = started().await;
    serving::plant_what_ends(&world.database, "causal").await;
    assert_eq!(world.app.round("retention").await.unwrap(), 3);
    serving::keeps_what_has_not_ended(&world.database, "causal").await;
    assert_eq!(
        world.app.round("retention").await.unwrap(),
        0,
        "again does nothing"
    );
    world.app.stop().await;
}
