//! What models say of clients: one prediction at a time.

use chrono::TimeDelta;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, MODEL, feature_set, features, prediction};

const LIST: &str = "/v1/users/client-a/predictions";

/// What version 1 says of client-a of an hour ago.
fn said(h: &Harness, probability: f64) -> Value {
    prediction("client-a", "1", probability, h.ago(TimeDelta::hours(1)))
}

async fn stored(h: &Harness) -> i64 {
    h.database
        .count("select count(*) from risk.model_predictions")
        .await
}

/// Posts what must be refused; returns pointers and what is told there.
async fn refused(h: &Harness, body: &Value) -> Vec<String> {
    let answer = h.predict(body).await;
    assert_eq!(answer.code(), 422, "{}", answer.json);
    let errors = answer.at("/errors").as_array().unwrap();
    let told = |error: &Value| {
        let [pointer, detail] = ["pointer", "detail"].map(|name| error[name].as_str().unwrap());
        format!("{pointer} {detail}")
    };
    errors.iter().map(told).collect()
}

/// The same prediction with another field.
fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut other = body.clone();
    other[field] = value;
    other
}

/// The same prediction without a field.
fn without(body: &Value, field: &str) -> Value {
    let mut other = body.clone();
    other.as_object_mut().unwrap().remove(field);
    other
}

#[tokio::test]
async fn a_prediction_is_stored_with_its_snapshot_its_level_and_one_event() {
    let h = Harness::with_model().await;
    let answer = h.predict(&said(&h, 0.654_321_4)).await;
    assert_eq!(answer.code(), 201, "{}", answer.json);
    let id = answer.at("/prediction_id").as_i64().unwrap();
    assert_eq!(
        answer.headers["location"],
        format!("/v1/predictions/{id}").as_str()
    );
    assert_eq!(
        answer.json,
        json!({
            "prediction_id": id, "snapshot_id": answer.at("/snapshot_id"), "user_id": "client-a", "model_name": MODEL,
            "model_version": "1", "predicted_at": "2026-06-15T11:00:00Z", "horizon_days": 7, "probability": 0.654_321,
            "risk_level": "HIGH", "threshold": 0.8, "stage": "live",
        })
    );
    let snapshots = h
        .call("counselor")
        .get("/v1/users/client-a/feature-snapshots")
        .await;
    assert_eq!(snapshots.at("/items/0/features"), &features());
    assert_eq!(snapshots.at("/items/0/captured_at"), "2026-06-15T11:00:00Z");
    assert_eq!(
        h.events("risk.prediction.recorded").await,
        [json!({
            "prediction_id": id, "user_id": "client-a", "model_name": MODEL, "model_version": "1", "stage": "live",
            "probability": 0.654_321, "risk_level": "HIGH", "predicted_at": "2026-06-15T11:00:00Z", "is_current": true,
        })]
    );
    assert_eq!(h.events("risk.level.changed").await.len(), 1);
}

#[tokio::test]
async fn a_level_begins_at_its_threshold_in_six_decimals() {
    let h = Harness::with_model().await;
    let mut levels = Vec::new();
    for (hours, probability) in [
        (1, 0.299_999),
        (2, 0.299_999_6),
        (3, 0.5),
        (4, 0.799_999),
        (5, 0.8),
        (6, 1.0),
        (7, 0.0),
    ] {
        let body = prediction("client-a", "1", probability, h.ago(TimeDelta::hours(hours)));
        levels.push(h.predict(&body).await.at("/risk_level").clone());
    }
    assert_eq!(
        levels,
        ["LOW", "MODERATE", "HIGH", "HIGH", "VERY_HIGH", "VERY_HIGH", "LOW"]
    );
}

#[tokio::test]
async fn the_same_again_is_the_same_row_and_anything_else_is_refused() {
    let h = Harness::with_model().await;
    let body = with(
        &said(&h, 0.6),
        "metadata",
        json!({"run": 1e16, "of": [1.0, null]}),
    );
    let first = h.predict(&body).await;
    let again = h.predict(&body).await;
    assert_eq!((first.code(), again.code()), (201, 200), "{}", again.json);
    assert_eq!(again.json, first.json);
    for other in [
        with(&body, "probability", json!(0.61)),
        with(&body, "horizon_days", json!(8)),
        with(&body, "metadata", json!({"run": 2})),
        without(&body, "metadata"),
        with(
            &body,
            "explanations",
            json!([{"method": "lime", "contributions": [{"feature": "sleep_hours", "contribution": 0.1}]}]),
        ),
        with(
            &body,
            "features",
            json!({"messages_7d": 13, "sleep_hours": 6.5, "lives_alone": true}),
        ),
    ] {
        let refused = h.predict(&other).await;
        assert_eq!(refused.code(), 409, "{other}");
        assert_eq!(refused.at("/type"), "/problems/differs");
    }
    assert_eq!(stored(&h).await, 1);
    assert_eq!(h.events("risk.prediction.recorded").await.len(), 1);
}

#[tokio::test]
async fn of_a_stored_snapshot_a_repeat_that_names_no_time_is_the_same() {
    let h = Harness::with_model().await;
    let captured = json!({"feature_set_version": "engagement-1", "features": features()});
    let path = "/v1/users/client-a/feature-snapshots";
    let snapshot = h.call("pipeline").post(path, &captured).await;
    let id = snapshot.at("/snapshot_id").clone();
    let body = json!({
        "user_id": "client-a", "model_name": MODEL, "model_version": "1", "probability": 0.2, "horizon_days": 7,
        "snapshot_id": id,
    });
    let first = h.predict(&body).await;
    assert_eq!(first.code(), 201, "{}", first.json);
    h.clock.advance(TimeDelta::hours(1));
    let again = h.predict(&body).await;
    assert_eq!((again.code(), &again.json), (200, &first.json));
    let timed = with(&body, "predicted_at", json!("2026-06-15T12:30:00Z"));
    assert_eq!(h.predict(&timed).await.code(), 409);
    let early = with(&body, "predicted_at", json!("2026-06-15T11:59:59Z"));
    assert_eq!(
        refused(&h, &early).await,
        ["/predicted_at must not be before the snapshot was captured"]
    );
    let both = with(&body, "features", features());
    assert_eq!(
        refused(&h, &both).await,
        ["/features must not be there with snapshot_id, which has them"]
    );
}

#[tokio::test]
async fn fifty_posts_of_one_prediction_at_once_store_one_row() {
    let h = Harness::with_model().await;
    let body = said(&h, 0.9);
    let answers = join_all((0..50).map(|_| h.predict(&body))).await;
    let mut codes: Vec<u16> = answers.iter().map(Answer::code).collect();
    codes.sort_unstable();
    assert_eq!((codes[0], codes[48], codes[49]), (200, 200, 201));
    assert!(answers.iter().all(|answer| answer.json == answers[0].json));
    assert_eq!(stored(&h).await, 1);
    assert_eq!(h.events("risk.prediction.recorded").await.len(), 1);
    assert_eq!(h.events("risk.level.changed").await.len(), 1);
}

#[tokio::test]
async fn of_fifty_that_say_different_things_at_once_one_stands() {
    let h = Harness::with_model().await;
    let bodies: Vec<Value> = (0..50)
        .map(|number| said(&h, f64::from(number) / 100.0))
        .collect();
    let answers = join_all(bodies.iter().map(|body| h.predict(body))).await;
    let made = answers.iter().filter(|answer| answer.code() == 201).count();
    let refused = answers.iter().filter(|answer| answer.code() == 409).count();
    assert_eq!((made, refused), (1, 49));
    assert_eq!(stored(&h).await, 1);
}

#[tokio::test]
async fn fifty_posts_under_one_key_have_one_effect_and_one_answer() {
    let h = Harness::with_model().await;
    // Without a time: by itself each would be another.
    let body = without(&said(&h, 0.4), "predicted_at");
    let keyed = h.call("pipeline").with_header("idempotency-key", "k1");
    let answers = join_all((0..50).map(|_| keyed.post("/v1/predictions", &body))).await;
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.code() == 201).collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|answer| answer.bytes == made[0].bytes));
    assert!(answers.iter().all(|answer| matches!(answer.code(), 201 | 409)));
    assert_eq!(stored(&h).await, 1);
    let other = keyed
        .post("/v1/predictions", &with(&body, "probability", json!(0.5)))
        .await;
    assert_eq!(
        (other.code(), other.at("/type")),
        (422, &json!("/problems/key-reused"))
    );
}

#[tokio::test]
async fn what_is_no_prediction_is_refused_with_all_faults_at_once() {
    let h = Harness::with_model().await;
    let body = json!({
        "user_id": "a b", "model_name": "", "probability": 1.01, "horizon_days": 366, "predicted_at": "2098-01-01T00:00:00Z",
        "metadata": [], "risk_level": "LOW", "explanations": [{"method": "guess", "contributions": []}],
    });
    let told = refused(&h, &body).await;
    let pointers: Vec<&str> = told
        .iter()
        .map(|fault| fault.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/user_id",
            "/model_name",
            "/model_version",
            "/predicted_at",
            "/horizon_days",
            "/probability",
            "/features",
            "/metadata",
            "/explanations/0/method",
            "/explanations/0/contributions",
            "/risk_level",
        ],
        "{told:#?}"
    );
    for probability in ["-0.01", "1.000001", "null", "\"0.5\"", "1e999", "true"] {
        let text = said(&h, 0.987).to_string().replace("0.987", probability);
        let path = "/v1/predictions";
        let answer = h
            .call("pipeline")
            .send(Method::POST, path, Some(text.into_bytes()))
            .await;
        assert_eq!(answer.code(), 422, "{probability}");
        assert_eq!(answer.at("/errors/0/pointer"), "/probability", "{probability}");
    }
    for (text, code) in [
        ("{\"user_id\": \"a\", \"user_id\": \"a\"}", 400),
        ("{\"probability\": NaN}", 422),
        ("[", 400),
    ] {
        let answer = h
            .call("pipeline")
            .send(Method::POST, "/v1/predictions", Some(text.as_bytes().to_vec()))
            .await;
        assert_eq!(answer.code(), code, "{text}");
    }
    assert_eq!(stored(&h).await, 0);
}

#[tokio::test]
async fn a_prediction_is_not_made_of_what_came_later() {
    let h = Harness::with_model().await;
    let body = with(&said(&h, 0.5), "captured_at", json!("2026-06-15T11:00:01Z"));
    assert_eq!(
        refused(&h, &body).await,
        ["/captured_at must not be after predicted_at"]
    );
    let body = with(&body, "captured_at", json!("2026-06-15T04:00:00Z"));
    assert_eq!(h.predict(&body).await.code(), 201);
}

#[tokio::test]
async fn features_are_those_that_the_version_reads() {
    let h = Harness::with_model().await;
    let made = h
        .call("admin")
        .post("/v1/feature-sets", &feature_set("engagement-2"))
        .await;
    assert_eq!(made.code(), 201);
    let body = said(&h, 0.5);
    assert_eq!(
        refused(&h, &with(&body, "feature_set_version", json!("engagement-2"))).await,
        ["/feature_set_version is engagement-2, and this version reads engagement-1"]
    );
    assert_eq!(
        refused(
            &h,
            &with(
                &body,
                "features",
                json!({"messages_7d": -1, "lives_alone": true, "x": 0})
            )
        )
        .await,
        [
            "/features/messages_7d must be from 0 to 10000",
            "/features/sleep_hours is required",
            "/features/x is no feature of engagement-1",
        ]
    );
    let captured = json!({"feature_set_version": "engagement-2", "features": features()});
    let path = "/v1/users/client-a/feature-snapshots";
    let other = h.call("pipeline").post(path, &captured).await;
    let of_other = with(
        &without(&without(&body, "features"), "source"),
        "snapshot_id",
        other.at("/snapshot_id").clone(),
    );
    assert_eq!(
        refused(&h, &of_other).await,
        ["/snapshot_id is of engagement-2, and this version reads engagement-1"]
    );
}

#[tokio::test]
async fn a_snapshot_is_the_clients_own() {
    let mut h = Harness::with_model().await;
    h.client("client-b", &["counselor"]).await;
    let theirs = h
        .predict(&prediction("client-b", "1", 0.1, h.ago(TimeDelta::hours(1))))
        .await;
    let body = without(&without(&said(&h, 0.5), "features"), "source");
    for id in [theirs.at("/snapshot_id").clone(), json!(999_999_999)] {
        assert_eq!(
            refused(&h, &with(&body, "snapshot_id", id)).await,
            ["/snapshot_id is no snapshot of this client; post it, or give features"]
        );
    }
}

#[tokio::test]
async fn a_prediction_is_of_a_registered_version_that_is_not_retired() {
    let h = Harness::with_model().await;
    let body = with(&said(&h, 0.5), "model_version", json!("2"));
    assert_eq!(
        refused(&h, &body).await,
        ["/model_version is no registered version of this model; post it to /v1/models first"]
    );
    h.register("2", "retired").await;
    let retired = h.predict(&body).await;
    assert_eq!(
        (retired.code(), retired.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    assert_eq!(stored(&h).await, 0);
}

#[tokio::test]
async fn a_prediction_is_about_a_client_and_only_a_pipeline_posts_it() {
    let h = Harness::with_model().await;
    for nobody in ["absent", "staff-counselor"] {
        let answer = h.predict(&with(&said(&h, 0.5), "user_id", json!(nobody))).await;
        assert_eq!(answer.code(), 404, "{nobody}");
    }
    for name in ["counselor", "supervisor", "admin", "app", "oncall", "auditor"] {
        let answer = h.call(name).post("/v1/predictions", &json!({"no": "such"})).await;
        assert_eq!(answer.code(), 403, "{name}");
    }
}

#[tokio::test]
async fn a_shadow_is_listened_to_and_changes_no_level() {
    let h = Harness::with_model().await;
    h.register("2", "shadow").await;
    let body = with(&said(&h, 0.95), "model_version", json!("2"));
    let answer = h.predict(&body).await;
    assert_eq!(answer.at("/stage"), "shadow");
    assert_eq!(answer.at("/risk_level"), "VERY_HIGH");
    let events = h.events("risk.prediction.recorded").await;
    assert_eq!(
        (&events[0]["stage"], &events[0]["is_current"]),
        (&json!("shadow"), &Value::Null)
    );
    assert!(h.events("risk.level.changed").await.is_empty());
}

#[tokio::test]
async fn a_late_prediction_is_kept_and_is_not_the_last_word() {
    let h = Harness::with_model().await;
    h.says("client-a", 0.2, TimeDelta::hours(1)).await;
    h.says("client-a", 0.9, TimeDelta::hours(2)).await;
    let current: Vec<Value> = h
        .events("risk.prediction.recorded")
        .await
        .iter()
        .map(|event| event["is_current"].clone())
        .collect();
    assert_eq!(current, [json!(true), json!(false)]);
    let changes = h.events("risk.level.changed").await;
    assert_eq!((changes.len(), &changes[0]["to"]), (1, &json!("LOW")));
}

#[tokio::test]
async fn predictions_are_listed_newest_first_by_model_and_version() {
    let h = Harness::with_model().await;
    h.team().await;
    h.register("2", "shadow").await;
    for (version, hours) in [("1", 3), ("2", 2), ("1", 1)] {
        let body = prediction("client-a", version, 0.4, h.ago(TimeDelta::hours(hours)));
        assert_eq!(h.predict(&body).await.code(), 201);
    }
    let listed = async |name: &str, query: &str| {
        let page = h.call(name).get(&format!("{LIST}{query}")).await;
        assert_eq!(page.code(), 200, "{}", page.json);
        page.items()
            .iter()
            .map(|item| {
                format!(
                    "{} {}",
                    item["model_version"].as_str().unwrap(),
                    item["predicted_at"].as_str().unwrap()
                )
            })
            .collect::<Vec<_>>()
    };
    let all = [
        "1 2026-06-15T11:00:00Z",
        "2 2026-06-15T10:00:00Z",
        "1 2026-06-15T09:00:00Z",
    ];
    assert_eq!(listed("counselor", "").await, all);
    assert_eq!(listed("supervisor", "?version=2").await, all[1..2]);
    assert_eq!(
        listed("counselor", "?model=relapse-7d&version=1").await,
        [all[0], all[2]]
    );
    assert!(listed("counselor", "?model=other").await.is_empty());
    let first = h
        .call("counselor")
        .get(&format!("{LIST}?version=1&limit=1"))
        .await;
    let cursor = first.at("/next_cursor").as_str().unwrap();
    assert_eq!(
        listed("counselor", &format!("?version=1&limit=1&cursor={cursor}")).await,
        all[2..]
    );
    // A cursor is of one list under one filter.
    let elsewhere = h
        .call("counselor")
        .get(&format!("{LIST}?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(elsewhere.code(), 422);
    for (name, code) in [
        ("counselor_other", 404),
        ("pipeline", 403),
        ("oncall", 403),
        ("admin", 403),
    ] {
        assert_eq!(h.call(name).get(LIST).await.code(), code, "{name}");
    }
    assert_eq!(
        h.call("counselor")
            .get("/v1/users/absent/predictions")
            .await
            .code(),
        404
    );
}

#[tokio::test]
async fn nobody_reads_a_prediction_of_a_client_of_others() {
    let h = Harness::with_model().await;
    h.team().await;
    let id = h.says("client-a", 0.4, TimeDelta::hours(1)).await;
    let path = format!("/v1/predictions/{id}");
    for (name, code) in [
        ("counselor", 200),
        ("supervisor", 200),
        ("counselor_other", 404),
        ("pipeline", 403),
        ("app", 403),
    ] {
        assert_eq!(h.call(name).get(&path).await.code(), code, "{name}");
    }
    assert_eq!(
        h.call("counselor").get("/v1/predictions/999999999").await.code(),
        404
    );
    // Who was told of an escalation sees the client, and nothing that a model says.
    let superuser = h.database.superuser().await;
    superuser
        .run(
            "insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall') on conflict do nothing;
             insert into core.temporary_access (staff_id, client_id, cause, reference, until)
             values ('staff-counselor_other', 'client-a', 'escalation', 1, 'infinity')",
        )
        .await;
    assert_eq!(h.call("counselor_other").get(&path).await.code(), 404);
    assert_eq!(h.call("counselor_other").get(LIST).await.code(), 404);
}

#[tokio::test]
async fn predictions_and_what_they_were_made_of_go_when_their_term_is_over_and_not_before() {
    let h = Harness::with_model().await;
    let superuser = h.database.superuser().await;
    superuser
        .run(
            "insert into risk.feature_snapshots (user_id, captured_at, feature_set_version, features, source, features_hash,
                 created_at)
             select 'client-a', now() - s.age, 'engagement-1', '{}', s.name, sha256(''), now() - s.age
             from (values ('over', interval '365 days 1 minute'), ('kept', interval '364 days'),
                 ('alone over', interval '365 days 1 minute'), ('of a young one', interval '400 days')) as s (name, age);
             insert into risk.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at, horizon_days,
                 probability, risk_level, threshold, stage, created_at)
             select 'client-a', s.snapshot_id, 'relapse-7d', '1', now() - p.age, 7, 0.5, 'HIGH', 0.8, 'live', now() - p.age
             from (values ('over', interval '365 days 1 minute'), ('kept', interval '364 days'),
                 ('of a young one', interval '364 days')) as p (name, age)
             join risk.feature_snapshots s on s.source = p.name;
             insert into risk.xai_explanations (prediction_id, method, rank, feature_name, contribution)
             select prediction_id, 'lime', 1, 'sleep_hours', 0.1 from risk.model_predictions",
        )
        .await;
    // What a round leaves because something refers to it still, the next one takes.
    while h.app.round("retention").await.unwrap() > 0 {}
    let rows = h
        .database
        .query(
            "select 'snapshot ' || source as line from risk.feature_snapshots
             union all select 'prediction ' || s.source from risk.model_predictions p join risk.feature_snapshots s using (snapshot_id)
             union all select 'explanation ' || s.source from risk.xai_explanations join risk.model_predictions p using (prediction_id)
                 join risk.feature_snapshots s using (snapshot_id)
             order by 1",
        )
        .await;
    let there: Vec<&str> = rows.iter().map(|row| row.get("line")).collect();
    assert_eq!(
        there,
        [
            "explanation kept",
            "explanation of a young one",
            "prediction kept",
            "prediction of a young one",
            "snapshot kept",
            "snapshot of a young one",
        ]
    );
}
