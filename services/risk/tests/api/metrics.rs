//! How good a version is: measures, comparisons, replays, and what is told when it drifts.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{FEATURES, Harness, MODEL};

const METRICS: &str = "/v1/models/relapse-7d/1/metrics";

/// Predictions of a version, forty of fifty clients a day, ending yesterday.
#[derive(Clone, Copy)]
struct Past {
    version: &'static str,
    days: i32,
    /// SQL, of `g` the number of the prediction.
    probability: &'static str,
    /// SQL, of `p` the probability and `g`.
    label: &'static str,
    /// SQL, of `g` and `day` the days before yesterday.
    sleep_hours: &'static str,
}

/// Two in five clients of 0.4 relapse.
const PAST: Past = Past {
    version: "1",
    days: 10,
    probability: "round((g * 7919 % 1000) / 1000.0, 6)",
    label: "case when g % 10 = 0 then null else (g * 104729 % 1000) / 1000.0 < p end",
    sleep_hours: "g * 31 % 90 / 10.0",
};

async fn measured() -> Harness {
    let h = Harness::new().await;
    h.declare().await;
    h.register("1", "live").await;
    h
}

impl Harness {
    async fn plant_past(&self, past: Past) {
        let sql = format!(
            "insert into core.users (user_id, kind, username, display_name)
             select 'c-' || g, 'client', 'c-' || g, 'c-' || g from generate_series(0, 49) g on conflict do nothing;
             with given as (
                select g, g / 40 as day, 'c-' || g % 50 as user_id, {probability} as p,
                    ('{today}'::date - 1 - g / 40)::timestamp at time zone 'UTC' + g % 40 * interval '1 minute' as at
                from generate_series(0, {last}) g),
             snapshots as (
                insert into risk.feature_snapshots (user_id, captured_at, feature_set_version, features, source, features_hash)
                select user_id, at, '{FEATURES}', jsonb_build_object('messages_7d', g % 40, 'sleep_hours', {sleep},
                        'lives_alone', g % 3 = 0),
                    '{version}', decode(repeat('00', 32), 'hex')
                from given returning snapshot_id, user_id, captured_at)
             insert into risk.model_predictions (user_id, snapshot_id, model_name, model_version, predicted_at, horizon_days,
                probability, risk_level, threshold, stage, created_at, label, labelled_at)
             select d.user_id, s.snapshot_id, '{MODEL}', '{version}', d.at, 7, d.p, 'LOW', 0.8, 'live', d.at, l.label,
                case when l.label is not null then d.at end
             from given d join snapshots s on s.user_id = d.user_id and s.captured_at = d.at
             cross join lateral (select {label} as label) l",
            probability = past.probability,
            label = past.label,
            sleep = past.sleep_hours,
            version = past.version,
            today = self.ago(TimeDelta::zero()).date_naive(),
            last = past.days * 40 - 1,
        );
        self.database.superuser().await.run(&sql).await;
    }

    async fn metrics(&self, query: &str) -> Value {
        let answer = self.call("supervisor").get(&format!("{METRICS}{query}")).await;
        assert_eq!(answer.code(), 200, "{}", answer.json);
        answer.json
    }

    /// Brier score and AUROC of all labelled predictions, as one would write them down.
    async fn directly(&self, version: &str) -> [f64; 2] {
        let sql = format!(
            "with p as (select probability as p, label::int as y from risk.model_predictions
                where model_version = '{version}' and label is not null)
             select avg((p.p - p.y) ^ 2) as brier,
                (select avg(case when a.p > b.p then 1 when a.p = b.p then 0.5 else 0 end)
                 from p a cross join p b where a.y = 1 and b.y = 0)::float8 as auroc
             from p"
        );
        let row = self.database.query(&sql).await.remove(0);
        [row.get("brier"), row.get("auroc")]
    }

    /// Makes every nightly measurement that is due.
    async fn night(&self) {
        while self.app.round("measure").await.unwrap() > 0 {}
    }
}

fn value(metrics: &Value, name: &str) -> f64 {
    metrics["measures"][name]["value"].as_f64().unwrap()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

#[tokio::test]
async fn measures_are_those_of_the_predictions_of_the_window() {
    let h = measured().await;
    h.plant_past(PAST).await;
    let found = h.metrics("").await;
    let [brier, auroc] = h.directly("1").await;
    near(value(&found, "brier"), brier);
    near(value(&found, "auroc"), auroc);
    assert_eq!(found["n"], 400);
    assert_eq!(found["n_labelled"], 360);
    near(value(&found, "labelled_share"), 0.9);
    let bins = found["reliability"].as_array().unwrap();
    assert_eq!(bins.len(), 10);
    let labelled: i64 = bins.iter().map(|bin| bin["n"].as_i64().unwrap()).sum();
    assert_eq!(labelled, 360);
    assert_eq!(
        h.metrics("?window=5").await["n"],
        160,
        "four days are over of the last five"
    );
    assert_eq!(h.metrics("?window=1&until=2026-06-13").await["n"], 40);
}

#[tokio::test]
async fn a_label_that_comes_and_a_client_who_goes_change_the_measures_at_once() {
    let h = measured().await;
    h.plant_past(PAST).await;
    h.metrics("").await;
    let changes = [
        "update risk.model_predictions set label = true, labelled_at = now() where label is null and probability > 0.5",
        "update risk.model_predictions set label = not label where label is not null and user_id = 'c-7'",
        "delete from core.users where user_id = 'c-3'",
        "delete from risk.model_predictions where predicted_at >= '2026-06-10' and predicted_at < '2026-06-11'",
    ];
    for change in changes {
        h.database.superuser().await.run(change).await;
        let found = h.metrics("").await;
        let [brier, auroc] = h.directly("1").await;
        near(value(&found, "brier"), brier);
        near(value(&found, "auroc"), auroc);
    }
}

#[tokio::test]
async fn what_cannot_be_measured_is_null_with_a_reason() {
    let h = measured().await;
    let found = h.metrics("").await;
    assert_eq!(
        found["measures"]["brier"],
        json!({"value": null, "reason": "no_predictions"})
    );
    assert_eq!(found["nightly"], Value::Null);
    h.plant_past(Past {
        label: "null::boolean",
        days: 1,
        ..PAST
    })
    .await;
    assert_eq!(h.metrics("").await["measures"]["brier"]["reason"], "no_labels");
    let relabel = async |sql: &str| {
        let sql = format!("update risk.model_predictions set label = {sql}, labelled_at = now()");
        h.database.superuser().await.run(&sql).await;
        h.metrics("").await["measures"].clone()
    };
    let nobody = relabel("false").await;
    assert_eq!(nobody["auroc"]["reason"], "no_positives");
    assert_eq!(nobody["auprc"]["reason"], "no_positives");
    assert_eq!(nobody["prevalence"]["value"], 0.0);
    let everybody = relabel("true").await;
    assert_eq!(everybody["auroc"]["reason"], "no_negatives");
    assert_eq!(everybody["auprc"]["value"], 1.0);
}

#[tokio::test]
async fn a_pipeline_measures_the_versions_that_it_registered_and_no_others() {
    let h = measured().await;
    assert_eq!(h.call("pipeline").get(METRICS).await.code(), 200);
    h.database
        .superuser()
        .await
        .run("update risk.model_versions set registered_by = 'pipeline:another'")
        .await;
    for path in ["metrics", "compare?with=1", "replay?threshold=0.5"] {
        let path = format!("/v1/models/{MODEL}/1/{path}");
        assert_eq!(h.call("pipeline").get(&path).await.code(), 404, "{path}");
        assert_eq!(h.call("supervisor").get(&path).await.code(), 200, "{path}");
        assert_eq!(h.call("counselor").get(&path).await.code(), 403, "{path}");
    }
}

#[tokio::test]
async fn a_window_that_is_none_is_refused_by_name() {
    let h = measured().await;
    for query in [
        "?window=0",
        "?window=367",
        "?window=1.5",
        "?until=yesterday",
        "?until=1999-12-31",
        "?until=2026-02-30",
        "?unknown=1",
    ] {
        let answer = h.call("admin").get(&format!("{METRICS}{query}")).await;
        assert_eq!(answer.code(), 422, "{query}: {}", answer.json);
    }
    for query in [
        "",
        "?threshold=0",
        "?threshold=1.01",
        "?threshold=NaN",
        "?threshold=1e999",
    ] {
        let path = format!("/v1/models/{MODEL}/1/replay{query}");
        let answer = h.call("admin").get(&path).await;
        assert_eq!(answer.code(), 422, "{query}: {}", answer.json);
    }
    let none = h
        .call("admin")
        .get(&format!("/v1/models/{MODEL}/2/metrics"))
        .await;
    assert_eq!(none.code(), 404);
}

#[tokio::test]
async fn a_better_version_is_better_over_the_same_clients_and_days_and_the_seed_repeats_it() {
    let h = measured().await;
    h.register("2", "shadow").await;
    h.plant_past(PAST).await;
    // Surer of the same, in the direction of what came.
    let surer =
        "case when (g * 104729 % 1000) / 1000.0 < round((g * 7919 % 1000) / 1000.0, 6) then 0.9 else 0.1 end";
    let label =
        "case when g % 10 = 0 then null else (g * 104729 % 1000) / 1000.0 < (g * 7919 % 1000) / 1000.0 end";
    h.plant_past(Past {
        version: "2",
        probability: surer,
        label,
        ..PAST
    })
    .await;
    let path = format!("/v1/models/{MODEL}/1/compare?with=2&seed=7");
    let compared = h.call("supervisor").get(&path).await;
    assert_eq!(compared.code(), 200, "{}", compared.json);
    assert_eq!(h.call("supervisor").get(&path).await.json, compared.json);
    let differences = compared.at("/differences");
    let (brier, auroc) = (&differences["brier"], &differences["auroc"]);
    assert!(brier["high"].as_f64().unwrap() < 0.0, "{brier}");
    assert!(auroc["low"].as_f64().unwrap() > 0.0, "{auroc}");
    let [first, second] = [h.directly("1").await, h.directly("2").await];
    assert!((brier["value"].as_f64().unwrap() - (second[0] - first[0])).abs() < 0.05);
    let itself = h
        .call("supervisor")
        .get(&format!("/v1/models/{MODEL}/1/compare?with=1"))
        .await;
    assert_eq!(itself.at("/differences/brier/value"), 0.0);
    let unknown = h
        .call("supervisor")
        .get(&format!("/v1/models/{MODEL}/1/compare?with=9"))
        .await;
    assert_eq!(unknown.code(), 422);
    assert_eq!(unknown.at("/errors/0/pointer"), "?with");
}

#[tokio::test]
async fn a_lower_threshold_pages_more_and_catches_a_relapse_earlier() {
    let mut h = measured().await;
    h.client("client-a", &["counselor"]).await;
    for (probability, days) in [(0.3, 9), (0.7, 6), (0.9, 4)] {
        h.says("client-a", probability, TimeDelta::days(days)).await;
    }
    let relapse = json!({"kind": "relapse", "occurred_at": h.ago(TimeDelta::days(2))});
    let told = h
        .call("counselor")
        .post("/v1/users/client-a/outcomes", &relapse)
        .await;
    assert_eq!(told.code(), 201, "{}", told.json);
    let path = format!("/v1/models/{MODEL}/1/replay?threshold=0.6");
    let found = h.call("supervisor").get(&path).await;
    assert_eq!(found.code(), 200, "{}", found.json);
    assert_eq!(found.at("/today/pages"), 1);
    assert_eq!(found.at("/today/lead_days_median"), 2.0);
    assert_eq!(found.at("/candidate/lead_days_median"), 4.0);
    assert_eq!(found.at("/candidate/caught"), 1);
    assert_eq!(found.at("/earlier/days"), 2.0);
    assert_eq!(
        found.at("/summary"),
        "0.0 more pages a week, 1 caught 2.0 days earlier"
    );
    let never = h
        .call("supervisor")
        .get(&format!("/v1/models/{MODEL}/1/replay?threshold=0.95"))
        .await;
    assert_eq!(never.at("/no_longer_caught"), 1);
}

#[tokio::test]
async fn every_version_is_measured_once_for_a_day_that_is_over_with_intervals_and_groups() {
    let h = measured().await;
    h.plant_past(PAST).await;
    h.night().await;
    assert_eq!(h.app.round("measure").await.unwrap(), 0);
    assert_eq!(
        h.database.count("select count(*) from risk.model_metrics").await,
        3
    );
    let found = h.metrics("").await;
    let nightly = &found["nightly"];
    assert_eq!(nightly["window_end"], "2026-06-14");
    assert_eq!(nightly["psi_score"], 0.0, "its first month is its reference");
    let pages = |unit: &str| nightly[unit].as_f64().unwrap();
    near(pages("pages_per_shift") * 21.0, pages("pages_per_week"));
    let brier = &nightly["intervals"]["brier"];
    assert!(brier["low"].as_f64() < brier["estimate"].as_f64(), "{brier}");
    let groups = nightly["subgroups"][0]["groups"].as_array().unwrap();
    assert_eq!(nightly["subgroups"][0]["feature"], "lives_alone");
    assert_eq!(groups.len(), 2);
    h.clock.advance(TimeDelta::days(1));
    h.night().await;
    assert_eq!(
        h.database.count("select count(*) from risk.model_metrics").await,
        6
    );
}

#[tokio::test]
async fn a_group_of_fewer_than_ten_people_is_told_of_by_nothing() {
    let h = measured().await;
    h.plant_past(PAST).await;
    h.database
        .superuser()
        .await
        .run(
            "update risk.feature_snapshots set features = features || jsonb_build_object('lives_alone',
                substr(user_id, 3)::int < 9)",
        )
        .await;
    h.night().await;
    let found = h.metrics("").await;
    let groups = found["nightly"]["subgroups"][0]["groups"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(
        (&groups[0]["value"], &groups[0]["clients"]),
        (&json!("false"), &json!(41))
    );
}

#[tokio::test]
async fn a_feature_that_drifts_is_told_of_once_a_day_until_it_does_so_no_more() {
    let h = measured().await;
    h.database
        .superuser()
        .await
        .run("update risk.model_versions set reference_from = '2026-04-01', reference_until = '2026-05-01'")
        .await;
    // In the reference window everybody slept well; the clients of the last month do not.
    let drifting = "case when day > 44 then 8.0 + g % 10 / 10.0 else 3.0 + g % 10 / 10.0 end";
    h.plant_past(Past {
        days: 75,
        sleep_hours: drifting,
        ..PAST
    })
    .await;
    h.night().await;
    assert_eq!(h.app.round("drift").await.unwrap(), 1);
    let told = h.events("risk.drift.detected").await;
    assert_eq!(told[0]["kind"], "feature_drift");
    assert_eq!(told[0]["feature_name"], "sleep_hours");
    assert!(told[0]["measure"].as_f64() > Some(0.2));
    h.clock.advance(TimeDelta::hours(23));
    assert_eq!(h.app.round("drift").await.unwrap(), 0);
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.app.round("drift").await.unwrap(), 1);
    let again = h.events("risk.drift.detected").await;
    assert_eq!(again[0]["alert_id"], again[1]["alert_id"]);
    let list = h.call("supervisor").get("/v1/drift-alerts?open=true").await;
    assert_eq!(list.items().len(), 1, "{}", list.json);
    h.database
        .superuser()
        .await
        .run("update risk.model_metrics set psi_features = '{}'")
        .await;
    assert_eq!(h.app.round("drift").await.unwrap(), 0);
    assert!(
        h.call("supervisor")
            .get("/v1/drift-alerts?open=true")
            .await
            .items()
            .is_empty()
    );
    assert!(h.call("supervisor").get("/v1/drift-alerts").await.items()[0]["closed_at"].is_string());
}

#[tokio::test]
async fn a_model_that_is_no_longer_calibrated_or_labelled_or_heard_is_told_of() {
    let h = measured().await;
    // Sure of everybody, and wrong; and of the month that was settled last it was said of every other what came.
    let label = "case when day < 37 and g % 2 = 0 then null else false end";
    h.plant_past(Past {
        days: 68,
        label,
        ..PAST
    })
    .await;
    h.clock.advance(TimeDelta::days(-8));
    h.night().await;
    assert_eq!(
        h.app.round("drift").await.unwrap(),
        0,
        "labels of the last week may still come"
    );
    h.clock.advance(TimeDelta::days(8));
    h.night().await;
    h.database
        .superuser()
        .await
        .run(
            "insert into risk.model_metrics (model_name, model_version, window_days, window_end, n, n_labelled, n_positive)
             values ('relapse-7d', '1', 30, '2026-05-07', 1200, 1200, 0)",
        )
        .await;
    h.app.round("drift").await.unwrap();
    let kinds = async || {
        let told = h.events("risk.drift.detected").await;
        let mut kinds: Vec<String> = told
            .iter()
            .map(|event| event["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds().await, ["calibration", "labels_missing"]);
    h.clock.advance(TimeDelta::hours(20));
    h.database
        .superuser()
        .await
        .run(
            "update risk.model_predictions set created_at = '2026-06-15 06:00:00+00';
             update risk.model_versions set stage_since = '2026-01-01'",
        )
        .await;
    h.app.round("drift").await.unwrap();
    assert_eq!(kinds().await.len(), 2, "the last word is 26 hours old, not more");
    h.clock.advance(TimeDelta::minutes(1));
    h.app.round("drift").await.unwrap();
    assert_eq!(kinds().await, ["calibration", "labels_missing", "silent"]);
}

#[tokio::test]
async fn few_predictions_are_no_drift() {
    let h = measured().await;
    h.plant_past(Past {
        days: 5,
        label: "false",
        ..PAST
    })
    .await;
    h.database
        .superuser()
        .await
        .run("delete from risk.model_predictions where prediction_id in (select prediction_id from risk.model_predictions limit 1)")
        .await;
    h.night().await;
    assert_eq!(h.app.round("drift").await.unwrap(), 0);
}
