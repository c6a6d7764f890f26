//! What the social service does when the risk service tells it of models.

use chrono::TimeDelta;
use common::Event;
use serde_json::{Value, json};
use testkit::event_of;

use crate::harness::{Harness, noon, scores};

/// A prediction of a version that had this stage when it came; the last word of that version.
pub(crate) fn predicted(id: i64, user_id: &str, level: &str, stage: &str) -> Event {
    event_of("risk.prediction.recorded", prediction(id, user_id, level, stage))
}

fn prediction(id: i64, user_id: &str, level: &str, stage: &str) -> Value {
    json!({
        "prediction_id": id, "user_id": user_id, "model_name": "relapse", "model_version": "3", "stage": stage,
        "probability": 0.91, "risk_level": level, "predicted_at": noon(), "is_current": true,
    })
}

/// The level of a client as it was settled so many minutes ago, by a prediction (or none, where there is no level).
fn level(user_id: &str, to: Option<&str>, minutes_ago: i64, (cause, id): (&str, i64)) -> Event {
    let of = |value: Value| to.map(|_| value);
    event_of(
        "risk.level.changed",
        json!({
            "user_id": user_id, "from": null, "to": to, "since": noon() - TimeDelta::minutes(minutes_ago),
            "cause": cause, "prediction_id": of(json!(id)), "model_name": of(json!("relapse")),
            "model_version": of(json!("3")), "probability": of(json!(0.91)),
            "predicted_at": of(json!(noon() - TimeDelta::hours(1))),
        }),
    )
}

impl Harness {
    async fn hears(&self, events: &[Event]) {
        assert_eq!(
            self.app.consumer().apply_events(events).await.unwrap() as usize,
            events.len()
        );
    }

    async fn listed(&self) -> Value {
        let list = self.call("counselor").get("/v1/risk-profiles").await;
        list.at("/items/0").clone()
    }

    /// How often each episode of a model was triggered, the first to open first.
    async fn triggers(&self) -> Vec<i32> {
        let sql = "select trigger_count from social.escalations where escalation_type = 'model_risk' order by escalation_id";
        let rows = self.database.query(sql).await;
        rows.iter().map(|row| row.get("trigger_count")).collect()
    }

    async fn of_client_a() -> Self {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        h
    }
}

#[tokio::test]
async fn a_live_model_that_says_very_high_escalates_and_never_changes_the_label() {
    let mut h = Harness::of_client_a().await;
    h.writes("client-a", &scores(0.1, 0.1)).await;
    h.hears(&[
        predicted(1, "client-a", "VERY_HIGH", "live"),
        level("client-a", Some("VERY_HIGH"), 0, ("prediction", 1)),
    ])
    .await;
    let listed = h.listed().await;
    assert_eq!(listed["current_risk_label"], "LOW_RISK");
    assert_eq!(listed["model_risk_level"], "VERY_HIGH");
    assert_eq!(listed["open_escalations"][0]["escalation_type"], "model_risk");
    assert_eq!(h.events("social.escalation.raised").await.len(), 1);
    assert_eq!(
        h.triggers().await,
        [1],
        "the level is by the same prediction: one trigger"
    );
}

#[tokio::test]
async fn high_is_a_reason_on_the_caseload_list_that_says_which_model_and_pages_nobody() {
    let h = Harness::of_client_a().await;
    h.hears(&[
        predicted(1, "client-a", "HIGH", "live"),
        level("client-a", Some("HIGH"), 0, ("prediction", 1)),
    ])
    .await;
    let listed = h.listed().await;
    let reasons = listed["reasons"].as_array().unwrap();
    let texts: Vec<&Value> = reasons
        .iter()
        .filter(|reason| reason["code"] == "model_risk")
        .map(|reason| &reason["text"])
        .collect();
    assert_eq!(texts, ["The live risk model relapse 3 says HIGH."]);
    assert_eq!(listed["open_escalations"], json!([]));
    assert_eq!(listed["current_risk_label"], "UNKNOWN");
    let profile = h.call("counselor").get("/v1/users/client-a/risk-profile").await;
    assert_eq!(profile.at("/model_level_since"), &json!("2026-06-15T12:00:00Z"));
    assert_eq!(profile.at("/model_predicted_at"), &json!("2026-06-15T11:00:00Z"));
}

#[tokio::test]
async fn the_level_is_what_the_risk_service_says_last_and_is_cleared_when_nothing_holds() {
    let h = Harness::of_client_a().await;
    h.hears(&[level("client-a", Some("HIGH"), 10, ("prediction", 1))])
        .await;
    // A prediction alone changes no level: of several live models the severest counts, and only risk knows them all.
    h.hears(&[predicted(2, "client-a", "LOW", "live")]).await;
    assert_eq!(h.listed().await["model_risk_level"], "HIGH");
    h.hears(&[level("client-a", None, 5, ("time", 0))]).await;
    let listed = h.listed().await;
    for field in [
        "model_risk_level",
        "model_predicted_at",
        "model_name",
        "model_version",
    ] {
        assert_eq!(listed[field], json!(null), "{field}");
    }
    assert_eq!(listed["reasons"], json!([]));
    // What was said before comes late, and is over.
    h.hears(&[level("client-a", Some("MODERATE"), 7, ("prediction", 1))])
        .await;
    assert_eq!(h.listed().await["model_risk_level"], json!(null));
    // Several at once: the latest counts, in whatever order they lie.
    h.hears(&[
        level("client-a", Some("LOW"), 1, ("time", 3)),
        level("client-a", Some("HIGH"), 3, ("prediction", 3)),
    ])
    .await;
    assert_eq!(h.listed().await["model_risk_level"], "LOW");
}

#[tokio::test]
async fn a_shadow_a_late_prediction_and_a_level_by_prediction_page_nobody() {
    let h = Harness::of_client_a().await;
    let mut late = prediction(2, "client-a", "VERY_HIGH", "live");
    late["is_current"] = json!(false);
    h.hears(&[
        predicted(1, "client-a", "VERY_HIGH", "shadow"),
        event_of("risk.prediction.recorded", late),
        level("client-a", Some("VERY_HIGH"), 1, ("prediction", 3)),
        level("client-a", Some("VERY_HIGH"), 0, ("time", 4)),
        level("client-a", Some("HIGH"), 0, ("stage", 5)),
    ])
    .await;
    assert!(h.triggers().await.is_empty());
}

#[tokio::test]
async fn a_prediction_that_does_not_say_whether_it_is_current_pages() {
    let h = Harness::of_client_a().await;
    let mut said = prediction(1, "client-a", "VERY_HIGH", "live");
    said.as_object_mut().unwrap().remove("is_current");
    h.hears(&[event_of("risk.prediction.recorded", said)]).await;
    assert_eq!(h.triggers().await, [1]);
}

#[tokio::test]
async fn a_version_that_becomes_live_pages_for_what_it_said_as_a_shadow_once() {
    let h = Harness::of_client_a().await;
    h.hears(&[predicted(1, "client-a", "VERY_HIGH", "shadow")]).await;
    h.hears(&[level("client-a", Some("VERY_HIGH"), 3, ("stage", 1))])
        .await;
    assert_eq!(h.triggers().await, [1]);
    // It is taken back and made live again: the same prediction.
    h.hears(&[level("client-a", None, 2, ("stage", 0))]).await;
    h.hears(&[level("client-a", Some("VERY_HIGH"), 1, ("stage", 1))])
        .await;
    assert_eq!(h.triggers().await, [1]);
    assert_eq!(h.listed().await["model_risk_level"], "VERY_HIGH");
}

#[tokio::test]
async fn no_prediction_triggers_twice_in_whatever_order_its_events_come() {
    for is_level_first in [false, true] {
        let h = Harness::of_client_a().await;
        let mut told = [
            predicted(1, "client-a", "VERY_HIGH", "live"),
            level("client-a", Some("VERY_HIGH"), 0, ("stage", 1)),
        ];
        if is_level_first {
            told.reverse();
        }
        for event in told {
            h.hears(&[event]).await;
        }
        assert_eq!(h.triggers().await, [1]);
    }
}

#[tokio::test]
async fn every_further_very_high_joins_and_opens_anew_once_the_episode_was_closed() {
    let h = Harness::of_client_a().await;
    h.hears(&[predicted(1, "client-a", "VERY_HIGH", "live")]).await;
    h.hears(&[predicted(2, "client-a", "VERY_HIGH", "live")]).await;
    assert_eq!(h.triggers().await, [2]);
    let list = h.call("counselor").get("/v1/escalations").await;
    let id = list.at("/items/0/escalation_id").as_i64().unwrap();
    let counselor = h.call("counselor");
    counselor
        .post(&format!("/v1/escalations/{id}/acknowledge"), &json!({}))
        .await;
    let ended = counselor
        .post(
            &format!("/v1/escalations/{id}/resolve"),
            &json!({"outcome": "spoke", "notes": "well"}),
        )
        .await;
    assert_eq!(ended.code(), 200, "{}", ended.json);
    // The level is the same as before, so no change of level tells of it.
    h.hears(&[predicted(3, "client-a", "VERY_HIGH", "live")]).await;
    assert_eq!(h.triggers().await, [2, 1]);
}

#[tokio::test]
async fn a_very_high_of_one_model_pages_whatever_another_model_said_later() {
    let h = Harness::of_client_a().await;
    let mut other = prediction(1, "client-a", "LOW", "live");
    other["model_name"] = json!("dropout");
    let mut earlier = prediction(2, "client-a", "VERY_HIGH", "live");
    earlier["predicted_at"] = json!(noon() - TimeDelta::hours(2));
    for said in [other, earlier] {
        h.hears(&[event_of("risk.prediction.recorded", said)]).await;
    }
    assert_eq!(h.triggers().await, [1]);
}

#[tokio::test]
async fn what_comes_before_its_account_is_announced_is_kept_and_what_is_of_an_erased_account_passed_over() {
    let h = Harness::new().await;
    h.database
        .superuser()
        .await
        .run("insert into core.users (user_id) values ('client-new')")
        .await;
    h.hears(&[
        predicted(1, "client-new", "VERY_HIGH", "live"),
        predicted(2, "client-erased", "VERY_HIGH", "live"),
        level("client-new", Some("VERY_HIGH"), 0, ("prediction", 1)),
        level("client-erased", Some("VERY_HIGH"), 0, ("stage", 2)),
    ])
    .await;
    let kept = "select count(*) from social.user_risk_profiles where model_risk_level = 'VERY_HIGH'";
    assert_eq!(h.database.count(kept).await, 1);
    assert_eq!(h.triggers().await, [1]);
}
