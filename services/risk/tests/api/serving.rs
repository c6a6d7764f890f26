//! What every service answers.

use testkit::serving;

use crate::started;

#[tokio::test]
async fn a_started_service_is_healthy_ready_and_documented() {
    serving::is_healthy_ready_and_documented(started().await, &risk_service::openapi()).await;
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    serving::answers_an_unknown_path_as_a_problem(&started().await).await;
}

#[tokio::test]
async fn the_service_may_read_no_message_and_no_name() {
    serving::may_read_no_message_and_no_name(&started().await).await;
}
