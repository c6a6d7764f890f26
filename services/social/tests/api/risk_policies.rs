//! Risk policies: what another version would change, and what follows when it holds.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};
use social_service::Config;

use crate::harness::{Harness, scores};

/// The policy that came with the software, with another threshold for what is high.
fn with_high(version: &str, t_high: f64) -> Value {
    json!({"version": version, "thresholds": {"t_high": t_high, "t_mid": 0.3, "t_relapse": 0.5, "t_craving": 0.5,
        "t_toxic": 0.7, "t_iso": 0.9, "t_iso_escalate": 0.7}})
}

/// Writes a message of so many days ago, and has it scored.
async fn wrote(h: &mut Harness, user_id: &str, days_ago: i64, risk: f64) {
    let message_id = h.message(user_id, TimeDelta::days(days_ago)).await;
    assert_eq!(h.predict(message_id, &scores(risk, 0.1)).await.code(), 201);
}

/// One client whom a lower threshold would call high-risk now, one whom it would have called so twice before, and one who
/// is calm.
async fn three_clients() -> Harness {
    let mut h = Harness::new().await;
    for client in ["client-now", "client-before", "client-calm"] {
        h.client(client, &["counselor"]).await;
    }
    wrote(&mut h, "client-now", 1, 0.65).await;
    // Both are over before the other begins; neither is within seven days.
    wrote(&mut h, "client-before", 40, 0.65).await;
    wrote(&mut h, "client-before", 31, 0.1).await;
    wrote(&mut h, "client-before", 20, 0.65).await;
    wrote(&mut h, "client-before", 10, 0.1).await;
    wrote(&mut h, "client-before", 1, 0.1).await;
    wrote(&mut h, "client-calm", 1, 0.1).await;
    let made = h
        .call("admin")
        .post("/v1/risk-policies", &with_high("lower", 0.6))
        .await;
    assert_eq!(made.code(), 201, "{}", made.json);
    h
}

async fn labels(h: &Harness) -> Vec<String> {
    let sql = "select user_id || ' ' || current_risk_label || ' ' || policy_version as line
        from social.user_risk_profiles order by user_id";
    h.database
        .query(sql)
        .await
        .iter()
        .map(|row| row.get("line"))
        .collect()
}

#[tokio::test]
async fn a_preview_says_whose_label_would_change_and_how_many_more_pages_there_would_have_been() {
    let h = three_clients().await;
    let before = labels(&h).await;
    let preview = h
        .call("supervisor")
        .post("/v1/risk-policies/lower/preview", &json!({}))
        .await;
    assert_eq!(
        preview.json,
        json!({"version": "lower", "active_version": "fusion_v2", "days": 90, "clients": 3, "clients_replayed": 3,
            "clients_changed": 1, "changes": {"MODERATE_RISK": {"HIGH_RISK": 1}},
            "crises_active": 0, "crises_candidate": 3, "more_pages_a_week": 0.2})
    );
    let week = h
        .call("admin")
        .post("/v1/risk-policies/lower/preview", &json!({"days": 7}))
        .await;
    assert_eq!(
        (week.at("/crises_candidate"), week.at("/more_pages_a_week")),
        (&json!(1), &json!(1.0))
    );
    let same = h
        .call("admin")
        .post("/v1/risk-policies/fusion_v2/preview", &json!({}))
        .await;
    assert_eq!(
        (same.at("/clients_changed"), same.at("/more_pages_a_week")),
        (&json!(0), &json!(0.0))
    );
    assert_eq!(labels(&h).await, before, "it changes nothing");
    assert!(!preview.json.to_string().contains("client-"), "and names nobody");
}

#[tokio::test]
async fn what_a_preview_said_is_what_an_activation_does() {
    let h = three_clients().await;
    let admin = h.call("admin");
    let high = h.call("counselor").get("/v1/escalations").await.items().len();
    let activated = admin.post("/v1/risk-policies/lower/activate", &json!({})).await;
    assert_eq!((activated.code(), activated.at("/active")), (200, &json!(true)));
    assert_eq!(activated.at("/settled_at"), &Value::Null);
    assert_eq!(h.app.round("sweep").await.unwrap(), 3);
    assert_eq!(
        labels(&h).await,
        [
            "client-before LOW_RISK lower",
            "client-calm LOW_RISK lower",
            "client-now HIGH_RISK lower"
        ]
    );
    let escalations = h.call("counselor").get("/v1/escalations").await.items();
    assert_eq!(escalations.len(), high + 1, "who is high-risk by it is helped");
    h.clock.advance(TimeDelta::seconds(61));
    assert_eq!(h.app.round("sweep").await.unwrap(), 0);
    let lists = admin.get("/v1/risk-policies").await.items();
    let of = |version: &str| {
        lists
            .iter()
            .find(|one| one["version"] == json!(version))
            .unwrap()
            .clone()
    };
    assert_eq!(of("fusion_v2")["active"], json!(false));
    assert_ne!(of("lower")["settled_at"], Value::Null);
    assert_eq!(of("lower")["created_by"], json!("staff-admin"));
    let again = admin.post("/v1/risk-policies/lower/activate", &json!({})).await;
    assert_ne!(
        again.at("/settled_at"),
        &Value::Null,
        "what is active already stays as it is"
    );
    let rows = "select count(*) from core.audit_events where decision = 'allow'
        and action = 'POST /v1/risk-policies/{version}/activate' and object_id = 'lower'";
    assert_eq!(h.database.count(rows).await, 2, "it is on record");
}

#[tokio::test]
async fn a_policy_by_which_nobody_is_at_moderate_risk_after_high_risk_is_not_kept() {
    let h = Harness::new().await;
    let refused = h
        .call("supervisor")
        .post("/v1/risk-policies", &with_high("upside-down", 0.2))
        .await;
    assert_eq!(
        (refused.code(), refused.at("/errors/0/pointer")),
        (422, &json!("/thresholds/t_mid")),
        "{}",
        refused.json
    );
}

#[tokio::test]
async fn of_two_who_activate_at_once_one_policy_holds() {
    let h = Harness::new().await;
    let admin = h.call("admin");
    for version in ["one", "two"] {
        admin.post("/v1/risk-policies", &with_high(version, 0.6)).await;
    }
    let supervisor = h.call("supervisor");
    let none = json!({});
    let (one, two) = tokio::join!(
        admin.post("/v1/risk-policies/one/activate", &none),
        supervisor.post("/v1/risk-policies/two/activate", &none),
    );
    assert_eq!((one.code(), two.code()), (200, 200));
    let active = "select count(*) from social.risk_policies where active and version in ('one', 'two')";
    assert_eq!(h.database.count(active).await, 1);
}

#[tokio::test]
async fn a_version_is_never_changed_and_is_written_by_those_who_may() {
    let h = Harness::new().await;
    let admin = h.call("admin");
    assert_eq!(
        admin
            .post("/v1/risk-policies", &with_high("next", 0.6))
            .await
            .code(),
        201
    );
    assert_eq!(
        admin
            .post("/v1/risk-policies", &with_high("next", 0.6))
            .await
            .code(),
        200
    );
    assert_eq!(
        admin
            .post("/v1/risk-policies", &with_high("next", 0.61))
            .await
            .code(),
        409
    );
    assert_eq!(
        admin.get("/v1/risk-policies/next").await.at("/thresholds/t_high"),
        &json!(0.6)
    );
    for name in ["counselor", "oncall", "auditor", "app", "pipeline", "service"] {
        let caller = h.call(name);
        assert_eq!(caller.get("/v1/risk-policies").await.code(), 403, "{name}");
        for act in ["preview", "activate"] {
            let path = format!("/v1/risk-policies/next/{act}");
            assert_eq!(caller.post(&path, &json!({})).await.code(), 403, "{name} {act}");
        }
    }
    for act in ["preview", "activate"] {
        let path = format!("/v1/risk-policies/nobody/{act}");
        assert_eq!(admin.post(&path, &json!({})).await.code(), 404, "{act}");
    }
    let mut bad = with_high("bad one", 1.01);
    bad["thresholds"].as_object_mut().unwrap().remove("t_iso");
    let refused = admin.post("/v1/risk-policies", &bad).await;
    let mut places: Vec<&str> = refused.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["/thresholds/t_high", "/thresholds/t_iso", "/version"]);
    for days in [6, 91] {
        let refused = admin
            .post("/v1/risk-policies/next/preview", &json!({"days": days}))
            .await;
        assert_eq!(refused.code(), 422, "{days}");
    }
}

#[tokio::test]
async fn a_preview_that_would_read_too_much_says_to_ask_for_fewer_days() {
    let config = Config {
        preview_rows: 3,
        ..Config::default()
    };
    let nowhere = SecretString::from("amqp://127.0.0.1:1/none");
    let mut h = Harness::with_config(nowhere, &config).await;
    h.client("client-a", &["counselor"]).await;
    // Each is a message to a buddy and its prediction; one is out of sight where fewer days are asked for.
    wrote(&mut h, "client-a", 60, 0.1).await;
    wrote(&mut h, "client-a", 1, 0.1).await;
    let ask = async |days: i32| {
        let path = "/v1/risk-policies/fusion_v2/preview";
        h.call("admin").post(path, &json!({"days": days})).await
    };
    let refused = ask(90).await;
    assert_eq!(
        (refused.code(), refused.at("/errors/0/pointer")),
        (422, &json!("/days")),
        "{}",
        refused.json
    );
    assert_eq!(ask(7).await.code(), 200);
}
