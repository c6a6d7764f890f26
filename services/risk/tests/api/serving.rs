//! What every service answers.

use testkit::serving;

use crate::world::World;

#[tokio::test]
async fn a_started_service_is_healthy_ready_and_documented() {
    let world = World::new().await;
    let document = serde_json::to_value(risk_service::openapi()).unwrap();
    serving::is_healthy_ready_and_documented(&world.http, "Recoverly risk", &document).await;
    world.app.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let world = World::new().await;
    serving::answers_an_unknown_path_as_a_problem(&world.http).await;
    world.app.stop().await;
}

#[tokio::test]
async fn the_service_may_read_no_message_and_no_name() {
    let world = World::new().await;
    let secrets = [
        "select message_id from core.messages",
        "select message_text from core.messages",
        "select display_name from core.users",
    ];
    serving::may_read_none_of(&world.database.pools("risk"), &secrets).await;
}

#[tokio::test]
async fn answers_events_and_receipts_go_when_their_term_is_over() {
    let world = World::new().await;
    serving::plant_what_ends(&world.database, "risk").await;
    assert_eq!(world.app.round("retention").await.unwrap(), 3);
    serving::keeps_what_has_not_ended(&world.database, "risk").await;
    assert_eq!(
        world.app.round("retention").await.unwrap(),
        0,
        "again does nothing"
    );
    world.app.stop().await;
}
