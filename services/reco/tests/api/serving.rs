//! What every service answers.

use db::Error;

use crate::world::World;

#[tokio::test]
async fn a_started_service_is_healthy_ready_and_documented() {
    let world = World::new().await;
    assert_eq!(world.http.get("/healthz").await.code(), 200);
    let ready = world.http.get("/readyz").await;
    assert_eq!(ready.code(), 200, "{}", ready.json);
    assert_eq!(ready.at("/checks/postgres"), "ok");
    let document = world.http.get("/openapi.json").await;
    assert_eq!(document.at("/info/title"), "Recoverly reco");
    assert_eq!(
        document.json,
        serde_json::to_value(reco_service::openapi()).unwrap()
    );
    assert_eq!(world.http.get("/docs/").await.code(), 200);
    world.app.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let world = World::new().await;
    let refused = world.http.get("/v1/nothing").await;
    assert_eq!(refused.code(), 404);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(refused.at("/status"), 404);
    world.app.stop().await;
}

#[tokio::test]
async fn the_service_may_read_no_message_and_no_name() {
    let world = World::new().await;
    let pools = world.database.pools("reco");
    for secret in [
        "select message_id from core.messages",
        "select message_text from core.messages",
        "select display_name from core.users",
    ] {
        let refused = pools.worker_query(secret, &[]).await.expect_err(secret);
        assert!(
            matches!(&refused, Error::Refused { sqlstate, .. } if sqlstate == "42501"),
            "{secret}: {refused}"
        );
    }
}
