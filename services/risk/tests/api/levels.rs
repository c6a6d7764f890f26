//! The level of clients by all live models: as predictions come, stages change and time passes.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::{Harness, noon};
use crate::planted::Planted;

const ONE: (&str, &str) = ("relapse", "1");
const NEXT: (&str, &str) = ("relapse", "2");
const OTHER: (&str, &str) = ("dropout", "1");

fn said<'a>(by: (&'a str, &'a str), days_ago: i64, horizon_days: i32, probability: f64) -> Planted<'a> {
    Planted {
        user_id: "client-a",
        by,
        predicted_at: noon() - TimeDelta::days(days_ago),
        horizon_days,
        probability,
        stage: "shadow",
    }
}

impl Harness {
    /// A client of the counselor, and these versions in shadow.
    async fn with_shadows(versions: &[(&str, &str)]) -> Self {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        for version in versions {
            h.plant_version(*version, "shadow").await;
        }
        h
    }

    async fn level(&self) -> testkit::Answer {
        self.call("counselor")
            .get("/v1/users/client-a/predictions/latest")
            .await
    }

    /// Puts a version live and settles all its clients.
    async fn goes_live(&self, version: (&str, &str)) {
        self.restage(version, "live").await;
        while self.app.round("stages").await.unwrap() > 0 {}
    }

    /// From, to and cause of every change that was told.
    async fn told(&self) -> Vec<Value> {
        let events = self.events("risk.level.changed").await;
        events
            .iter()
            .map(|event| json!([event["from"], event["to"], event["cause"]]))
            .collect()
    }
}

fn at(time: DateTime<Utc>) -> Value {
    json!(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

#[tokio::test]
async fn of_whom_nothing_was_said_there_is_no_level() {
    let h = Harness::with_shadows(&[]).await;
    let level = h.level().await;
    assert_eq!(level.code(), 200);
    for field in ["risk_level", "level_since", "valid_until", "prediction", "trend"] {
        assert_eq!(level.at(&format!("/{field}")), &json!(null), "{field}");
    }
}

#[tokio::test]
async fn a_version_that_becomes_live_gives_its_clients_their_level_and_says_so_once() {
    let h = Harness::with_shadows(&[ONE]).await;
    let ids = h.plant(&[said(ONE, 3, 7, 0.9), said(ONE, 1, 7, 0.6)]).await;
    assert_eq!(
        h.app.round("stages").await.unwrap(),
        0,
        "a shadow settles nothing"
    );
    assert_eq!(h.level().await.at("/risk_level"), &json!(null));
    h.goes_live(ONE).await;
    let level = h.level().await;
    assert_eq!(level.at("/risk_level"), &json!("HIGH"));
    assert_eq!(level.at("/level_since"), &at(noon()));
    assert_eq!(level.at("/valid_until"), &at(noon() + TimeDelta::days(6)));
    assert_eq!(level.at("/prediction/prediction_id"), &json!(ids[1]));
    assert_eq!(level.at("/trend"), &json!("stable"));
    let events = h.events("risk.level.changed").await;
    assert_eq!(
        json!(events),
        json!([{
            "user_id": "client-a", "from": null, "to": "HIGH", "since": at(noon()), "cause": "stage",
            "prediction_id": ids[1], "model_name": "relapse", "model_version": "1", "probability": 0.6,
            "predicted_at": at(noon() - TimeDelta::days(1)),
        }])
    );
    // Whoever had read the stage before has written a minute later: all are gone through again, and that is it.
    h.clock.advance(TimeDelta::minutes(1));
    assert_eq!(h.app.round("stages").await.unwrap(), 1);
    assert_eq!(h.app.round("stages").await.unwrap(), 0);
    assert_eq!(h.app.round("stages").await.unwrap(), 0);
    assert_eq!(
        h.database
            .count("select count(*) from risk.stage_settlings")
            .await,
        0
    );
    assert_eq!(h.told().await.len(), 1);
}

#[tokio::test]
async fn whose_prediction_came_while_the_stage_changed_is_settled_a_minute_later() {
    let h = Harness::with_shadows(&[ONE]).await;
    h.goes_live(ONE).await;
    // Written by somebody who had read "shadow", and so settled nobody.
    h.plant(&[said(ONE, 0, 7, 0.9)]).await;
    assert_eq!(h.app.round("stages").await.unwrap(), 0);
    h.clock.advance(TimeDelta::minutes(1));
    assert_eq!(h.app.round("stages").await.unwrap(), 1);
    assert_eq!(h.told().await, [json!([null, "VERY_HIGH", "stage"])]);
}

#[tokio::test]
async fn the_severest_of_what_live_models_said_last_counts() {
    let h = Harness::with_shadows(&[ONE, NEXT, OTHER]).await;
    h.plant(&[
        // The word of a version that is no longer its last one.
        said(ONE, 2, 7, 0.95),
        said(ONE, 1, 7, 0.1),
        // In shadow: never counts.
        said(NEXT, 0, 7, 0.95),
        said(OTHER, 3, 7, 0.35),
    ])
    .await;
    h.goes_live(ONE).await;
    assert_eq!(h.level().await.at("/risk_level"), &json!("LOW"));
    h.goes_live(OTHER).await;
    let level = h.level().await;
    assert_eq!(level.at("/risk_level"), &json!("MODERATE"));
    assert_eq!(level.at("/prediction/model_name"), &json!("dropout"));
    h.restage(ONE, "shadow").await;
    h.goes_live(NEXT).await;
    assert_eq!(h.level().await.at("/risk_level"), &json!("VERY_HIGH"));
    h.restage(NEXT, "retired").await;
    while h.app.round("stages").await.unwrap() > 0 {}
    assert_eq!(h.level().await.at("/risk_level"), &json!("MODERATE"));
    assert_eq!(
        h.told().await,
        [
            json!([null, "LOW", "stage"]),
            json!(["LOW", "MODERATE", "stage"]),
            json!(["MODERATE", "VERY_HIGH", "stage"]),
            json!(["VERY_HIGH", "MODERATE", "stage"]),
        ]
    );
}

#[tokio::test]
async fn a_level_ends_with_the_horizon_of_its_prediction_and_what_lasts_longer_takes_over() {
    let h = Harness::with_shadows(&[ONE, OTHER]).await;
    h.plant(&[said(ONE, 1, 2, 0.9), said(OTHER, 1, 5, 0.4)]).await;
    h.goes_live(ONE).await;
    h.goes_live(OTHER).await;
    assert_eq!(h.app.round("levels").await.unwrap(), 0, "nothing is over");
    h.clock.advance(TimeDelta::days(1));
    assert_eq!(h.app.round("levels").await.unwrap(), 1);
    assert_eq!(h.app.round("levels").await.unwrap(), 0, "once");
    let level = h.level().await;
    assert_eq!(level.at("/risk_level"), &json!("MODERATE"));
    assert_eq!(level.at("/level_since"), &at(noon() + TimeDelta::days(1)));
    assert_eq!(level.at("/valid_until"), &at(noon() + TimeDelta::days(4)));
    h.clock.advance(TimeDelta::days(3));
    assert_eq!(h.app.round("levels").await.unwrap(), 1);
    let level = h.level().await;
    assert_eq!(level.at("/risk_level"), &json!(null));
    assert_eq!(level.at("/level_since"), &at(noon() + TimeDelta::days(4)));
    assert_eq!(level.at("/valid_until"), &json!(null));
    assert_eq!(
        h.told().await[1..],
        [
            json!(["VERY_HIGH", "MODERATE", "time"]),
            json!(["MODERATE", null, "time"])
        ]
    );
    let last = h.events("risk.level.changed").await.pop().unwrap();
    for field in [
        "to",
        "prediction_id",
        "model_name",
        "model_version",
        "probability",
        "predicted_at",
    ] {
        assert_eq!(last[field], json!(null), "{field}");
    }
}

#[tokio::test]
async fn of_two_as_severe_the_level_is_by_the_one_that_lasts_longest() {
    let h = Harness::with_shadows(&[ONE, OTHER]).await;
    let ids = h.plant(&[said(ONE, 0, 2, 0.6), said(OTHER, 1, 9, 0.7)]).await;
    h.goes_live(ONE).await;
    h.goes_live(OTHER).await;
    let level = h.level().await;
    assert_eq!(level.at("/prediction/prediction_id"), &json!(ids[1]));
    assert_eq!(level.at("/valid_until"), &at(noon() + TimeDelta::days(8)));
    h.clock.advance(TimeDelta::days(3));
    assert_eq!(
        h.app.round("levels").await.unwrap(),
        0,
        "the end of the other changes nothing"
    );
    assert_eq!(h.told().await.len(), 1);
}

#[tokio::test]
async fn many_clients_are_settled_page_after_page_going_on_where_it_stopped() {
    let h = Harness::with_shadows(&[ONE]).await;
    let sql = "insert into core.users (user_id) select 'many-' || lpad(n::text, 4, '0') from generate_series(1, 1100) n";
    h.database.superuser().await.run(sql).await;
    let ids: Vec<String> = (1..=1_100).map(|n| format!("many-{n:04}")).collect();
    let said: Vec<Planted<'_>> = ids
        .iter()
        .map(|id| Planted {
            user_id: id,
            ..said(ONE, 1, 7, 0.6)
        })
        .collect();
    h.plant(&said).await;
    h.restage(ONE, "live").await;
    assert_eq!(h.app.round("stages").await.unwrap(), 500);
    let settled = "select count(*) from risk.client_levels where risk_level = 'HIGH'";
    assert_eq!(h.database.count(settled).await, 500);
    // The last client of the page leaves: it begins anew, and tells nobody twice.
    h.database
        .superuser()
        .await
        .run("delete from core.users where user_id = 'many-0500'")
        .await;
    let mut rounds = Vec::new();
    loop {
        // Two at once do not trip over each other.
        let (one, other) = tokio::join!(h.app.round("stages"), h.app.round("stages"));
        match (one.unwrap(), other.unwrap()) {
            (0, 0) => break,
            (one, other) => rounds.push(one + other),
        }
    }
    assert_eq!(rounds.iter().sum::<u64>(), 1_099);
    assert_eq!(h.database.count(settled).await, 1_099);
    assert_eq!(h.told().await.len(), 1_100);
    // Levels run out in bounded rounds as well.
    h.clock.advance(TimeDelta::days(6));
    for expected in [500, 500, 99, 0] {
        assert_eq!(h.app.round("levels").await.unwrap(), expected);
    }
    assert_eq!(h.database.count(settled).await, 0);
}

#[tokio::test]
async fn a_trend_is_a_point_a_day_and_a_mean_a_week_of_each_live_version() {
    let h = Harness::with_shadows(&[ONE, NEXT, OTHER]).await;
    let mut given: Vec<Planted<'_>> = (0..14)
        .map(|day| said(ONE, day, 7, if day < 7 { 0.6 } else { 0.2 }))
        .collect();
    given.push(said(OTHER, 1, 7, 0.4));
    given.push(said(OTHER, 31, 7, 0.4));
    given.push(said(NEXT, 1, 7, 0.4));
    h.plant(&given).await;
    h.goes_live(ONE).await;
    h.goes_live(OTHER).await;
    let path = "/v1/users/client-a/predictions/trend";
    let trend = h.call("counselor").get(path).await;
    assert_eq!(trend.code(), 200, "{}", trend.json);
    assert_eq!(trend.at("/days"), &json!(30));
    assert_eq!(trend.at("/models").as_array().unwrap().len(), 2);
    assert_eq!(trend.at("/models/0/model_name"), &json!("dropout"));
    assert_eq!(trend.at("/models/0/points").as_array().unwrap().len(), 1);
    assert_eq!(trend.at("/models/1/trend"), &json!("declining"));
    assert_eq!(trend.at("/models/1/is_complete"), &json!(true));
    assert_eq!(trend.at("/models/1/points").as_array().unwrap().len(), 14);
    assert_eq!(
        trend.at("/models/1/points/13"),
        &json!({"day": "2026-06-15", "count": 1, "mean": 0.6, "max": 0.6})
    );
    assert_eq!(
        trend.at("/models/1/weeks"),
        &json!([
            {"monday": "2026-06-01", "week": "2026-W23", "count": 6, "mean": 0.2},
            {"monday": "2026-06-08", "week": "2026-W24", "count": 7, "mean": (0.2 + 6.0 * 0.6) / 7.0},
            {"monday": "2026-06-15", "week": "2026-W25", "count": 1, "mean": 0.6},
        ])
    );
    assert_eq!(h.level().await.at("/trend"), &json!("declining"));
    let short = h.call("counselor").get(&format!("{path}?days=2")).await;
    assert_eq!(short.at("/models/1/points").as_array().unwrap().len(), 2);
    assert_eq!(short.at("/models/1/trend"), &json!("declining"));
    let long = h.call("counselor").get(&format!("{path}?days=365")).await;
    assert_eq!(long.at("/models/0/points").as_array().unwrap().len(), 2);
    for days in ["0", "366", "-1", "x", "1e9"] {
        let refused = h.call("counselor").get(&format!("{path}?days={days}")).await;
        assert_eq!(refused.code(), 422, "{days}");
    }
}

#[tokio::test]
async fn a_prediction_settles_the_level_in_its_transaction_and_a_late_one_never_overwrites_a_newer_one() {
    let h = Harness::with_model().await;
    h.says("client-a", 0.6, TimeDelta::hours(1)).await;
    h.says("client-a", 0.9, TimeDelta::hours(2)).await;
    let level = h.level().await;
    assert_eq!(level.at("/risk_level"), &json!("HIGH"));
    let last = h.says("client-a", 0.1, TimeDelta::zero()).await;
    assert_eq!(h.level().await.at("/prediction/prediction_id"), &json!(last));
    assert_eq!(
        h.told().await,
        [
            json!([null, "HIGH", "prediction"]),
            json!(["HIGH", "LOW", "prediction"])
        ]
    );
    let recorded = h.events("risk.prediction.recorded").await;
    let current: Vec<&Value> = recorded.iter().map(|event| &event["is_current"]).collect();
    assert_eq!(current, [&json!(true), &json!(false), &json!(true)]);
    let since = h.level().await.at("/level_since").clone();
    h.clock.advance(TimeDelta::hours(1));
    h.says("client-a", 0.2, TimeDelta::zero()).await;
    assert_eq!(
        h.level().await.at("/level_since"),
        &since,
        "the level is the same"
    );
    assert_eq!(h.told().await.len(), 2);
}

#[tokio::test]
async fn whoever_settles_a_level_that_a_former_shadow_raises_says_that_the_stage_did() {
    let h = Harness::with_model().await;
    h.plant_version(OTHER, "shadow").await;
    h.plant(&[said(OTHER, 1, 7, 0.9)]).await;
    h.restage(OTHER, "live").await;
    // Before the job comes by, another model says something: nobody else tells staff of what the shadow said.
    h.says("client-a", 0.1, TimeDelta::zero()).await;
    assert_eq!(h.told().await, [json!([null, "VERY_HIGH", "stage"])]);
    while h.app.round("stages").await.unwrap() > 0 {}
    assert_eq!(h.told().await.len(), 1);
}

#[tokio::test]
async fn predictions_and_jobs_at_once_leave_the_level_of_the_last_word_and_no_gap_in_what_is_told() {
    let h = Harness::with_model().await;
    let posts = (0..24).map(|n| {
        let probability = f64::from(n % 4) * 0.3;
        let body = crate::harness::prediction(
            "client-a",
            "1",
            probability,
            h.ago(TimeDelta::minutes(i64::from(n))),
        );
        let h = &h;
        async move { h.predict(&body).await.code() }
    });
    let jobs = async {
        for _ in 0..10 {
            h.app.round("levels").await.unwrap();
            h.app.round("stages").await.unwrap();
            h.app.round("label").await.unwrap();
        }
    };
    let (codes, ()) = tokio::join!(futures::future::join_all(posts), jobs);
    assert_eq!(codes, vec![201; 24]);
    assert_eq!(h.level().await.at("/risk_level"), &json!("LOW"), "of the newest");
    // Every change goes on from where the one before it ended.
    let told = h.told().await;
    assert_eq!(told[0][0], json!(null));
    for pair in told.windows(2) {
        assert_eq!(pair[0][1], pair[1][0], "{told:?}");
    }
    assert_eq!(told.last().unwrap()[1], json!("LOW"));
}

#[tokio::test]
async fn levels_are_seen_within_the_caseload_alone() {
    let mut h = Harness::with_shadows(&[]).await;
    h.client("client-b", &["counselor_other"]).await;
    for (who, user_id, code) in [
        ("counselor", "client-a", 200),
        ("counselor", "client-b", 404),
        ("counselor", "nobody", 404),
        ("supervisor", "client-a", 404),
        ("pipeline", "client-a", 403),
        ("client-a", "client-a", 403),
        ("admin", "client-a", 403),
    ] {
        for what in ["latest", "trend"] {
            let path = format!("/v1/users/{user_id}/predictions/{what}");
            assert_eq!(
                h.call(who).get(&path).await.code(),
                code,
                "{who} {user_id} {what}"
            );
        }
    }
}
