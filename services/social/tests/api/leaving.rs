//! What the social service does about people who left.

use chrono::TimeDelta;
use serde_json::{Value, json};
use testkit::event_of;
use uuid::Uuid;

use crate::harness::{Harness, calm, noon};

impl Harness {
    /// Erases a client as core does.
    async fn erase(&self, user_id: &str) {
        let key = web::ErasureKey::new(
            &service::Settings::for_testing("social", "x".into(), "x".into()).erasure_key,
        )
        .unwrap();
        let hash: String = key
            .hash(user_id)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.database
            .superuser()
            .await
            .run(&format!(
                "select social.erase_user('{user_id}'); select core.erase_user('{user_id}');
                 insert into core.erasures (user_id_hmac, requested_by, counts)
                 values (decode('{hash}', 'hex'), 'self', '{{}}')"
            ))
            .await;
    }
}

fn erased(user_id: &str) -> common::Event {
    event_of(
        "core.user.erased",
        json!({"user_id": user_id, "erased_at": noon()}),
    )
}

#[tokio::test]
async fn events_about_somebody_who_was_erased_are_applied_to_nothing() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let message_id = h.message("client-a", TimeDelta::hours(1)).await;
    h.erase("client-a").await;
    let late = [
        event_of(
            "core.user.created",
            json!({"user_id": "client-a", "kind": "client", "created_at": noon()}),
        ),
        event_of(
            "core.message.created",
            json!({
                "message_id": message_id, "user_id": "client-a", "timestamp": noon(), "conversation_type": "buddy",
                "sender_role": "user",
            }),
        ),
        event_of(
            "risk.prediction.recorded",
            json!({
                "prediction_id": 1, "user_id": "client-a", "model_name": "relapse", "model_version": "3",
                "stage": "live", "probability": 0.91, "risk_level": "VERY_HIGH", "predicted_at": noon(),
            }),
        ),
        erased("client-a"),
    ];
    assert_eq!(h.app.consumer().apply_events(&late).await.unwrap(), 4);
    for table in [
        "social.user_risk_profiles",
        "social.escalations",
        "social.outbox",
        "core.temporary_access",
    ] {
        let rows = h.database.count(&format!("select count(*) from {table}")).await;
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(
        h.predict(message_id, &calm()).await.code(),
        404,
        "a pipeline is not told"
    );
}

#[tokio::test]
async fn what_was_left_in_the_outbox_is_swept_when_the_erasure_is_heard_of() {
    let mut h = Harness::new().await;
    h.client("client-b", &[]).await;
    let row = |user_id: &str| {
        format!(
            "insert into social.outbox (event_id, event_type, subject, data)
             values ('{}', 'social.nudge.sent', '{user_id}', '{{}}');",
            Uuid::now_v7()
        )
    };
    h.database
        .superuser()
        .await
        .run(&format!("{}{}", row("client-a"), row("client-b")))
        .await;
    // The second has an account again: it keeps what it has.
    let heard = [erased("client-a"), erased("client-b")];
    assert_eq!(h.app.consumer().apply_events(&heard).await.unwrap(), 2);
    let rows = h.database.query("select subject from social.outbox").await;
    let subjects: Vec<&str> = rows.iter().map(|row| row.get("subject")).collect();
    assert_eq!(subjects, ["client-b"]);
}

#[tokio::test]
async fn an_app_learns_of_an_erasure_here_as_well_and_staff_do_not() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.erase("client-a").await;
    let app = h.call("app");
    let gone = app.get("/v1/users/client-a/nudges").await;
    assert_eq!((gone.code(), gone.at("/type")), (410, &json!("/problems/gone")));
    let viewed = app
        .with_header("x-on-behalf-of", "client-a")
        .post("/v1/nudges/1/viewed", &json!({}))
        .await;
    assert_eq!(viewed.code(), 410);
    assert!(viewed.at("/request_id").is_string());
    assert_eq!(app.get("/v1/users/nobody/nudges").await.code(), 404);
    let hidden = h.call("counselor").get("/v1/users/client-a/risk-profile").await;
    assert_eq!((hidden.code(), hidden.at("/errors")), (404, &Value::Null));
}

#[tokio::test]
async fn kept_answers_name_whom_they_are_about() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let message_id = h.message("client-a", TimeDelta::hours(1)).await;
    let keyed = |name: &str| {
        h.call(name)
            .with_header("idempotency-key", &Uuid::now_v7().to_string())
    };
    let scored = keyed("pipeline")
        .post(&format!("/v1/messages/{message_id}/predictions"), &calm())
        .await;
    assert_eq!(scored.code(), 201);
    let mut again = calm();
    again["message_id"] = json!(message_id);
    let batch = keyed("pipeline")
        .post("/v1/predictions:batch", &json!({"items": [again]}))
        .await;
    assert_eq!(batch.code(), 200);
    let nudged = keyed("counselor")
        .post(
            "/v1/users/client-a/nudges",
            &json!({"nudge_type": "check_in", "nudge_message": "text"}),
        )
        .await;
    assert_eq!(nudged.code(), 201);
    let unnamed =
        "select count(*) from social.idempotency_keys where not people @> array['client-a']::varchar[]";
    assert_eq!(h.database.count(unnamed).await, 0);
    assert_eq!(
        h.database
            .count("select count(*) from social.idempotency_keys")
            .await,
        3
    );
}
