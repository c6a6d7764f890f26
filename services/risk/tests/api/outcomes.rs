//! What came of clients, and the labels that follow from it.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::{Strategy, any, prop};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Harness, noon};
use crate::planted::Planted;

const MODEL: (&str, &str) = ("relapse", "1");

impl Harness {
    async fn report(&self, who: &str, user_id: &str, body: &Value) -> testkit::Answer {
        self.call(who)
            .post(&format!("/v1/users/{user_id}/outcomes"), body)
            .await
    }

    /// Each prediction's label, or null while there is none.
    async fn labels(&self) -> Vec<Option<bool>> {
        let sql = "select label from risk.model_predictions order by prediction_id";
        let rows = self.database.query(sql).await;
        rows.iter().map(|row| row.get("label")).collect()
    }

    /// A client of the counselor, of whom a prediction was made so many days ago, seven days ahead each.
    async fn predicted(days_ago: &[i64]) -> Self {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        h.plant_version(MODEL, "live").await;
        let predictions: Vec<Planted<'_>> = days_ago
            .iter()
            .map(|days| said("client-a", noon() - TimeDelta::days(*days), 7))
            .collect();
        h.plant(&predictions).await;
        h
    }
}

fn said(user_id: &str, predicted_at: DateTime<Utc>, horizon_days: i32) -> Planted<'_> {
    Planted {
        user_id,
        by: MODEL,
        predicted_at,
        horizon_days,
        probability: 0.4,
        stage: "live",
    }
}

fn outcome(kind: &str, occurred_at: DateTime<Utc>) -> Value {
    json!({"kind": kind, "occurred_at": occurred_at})
}

#[tokio::test]
async fn an_outcome_is_stored_once_whoever_reports_it_again() {
    let h = Harness::predicted(&[]).await;
    let body = json!({"kind": "lapse", "occurred_at": "2026-06-14T20:00:00Z", "date_precision": "day"});
    let first = h.report("counselor", "client-a", &body).await;
    assert_eq!(first.code(), 201, "{}", first.json);
    assert_eq!(first.at("/source"), &json!("counselor"));
    assert_eq!(first.at("/reported_by"), &json!("staff-counselor"));
    assert_eq!(first.at("/reported_at"), &json!("2026-06-15T12:00:00Z"));
    let again = h.report("counselor", "client-a", &body).await;
    assert_eq!(again.code(), 200);
    assert_eq!(again.json, first.json);
    let other = json!({"kind": "lapse", "occurred_at": "2026-06-14T20:00:00Z", "date_precision": "week"});
    assert_eq!(h.report("counselor", "client-a", &other).await.code(), 409);
    assert_eq!(h.database.count("select count(*) from risk.outcomes").await, 1);
}

#[tokio::test]
async fn fifty_reports_of_one_outcome_at_once_are_one() {
    let h = Harness::predicted(&[1]).await;
    let body = outcome("relapse", noon() - TimeDelta::hours(1));
    let reports = futures::future::join_all((0..50).map(|_| h.report("pipeline", "client-a", &body))).await;
    let mut codes: Vec<u16> = reports.iter().map(testkit::Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes[0], 200);
    assert_eq!(codes[49], 201);
    assert_eq!(codes[48], 200);
    assert!(
        reports
            .iter()
            .all(|answer| answer.at("/outcome_id") == reports[0].at("/outcome_id"))
    );
    assert_eq!(h.labels().await, [Some(true)]);
}

#[tokio::test]
async fn a_pipeline_reports_as_itself_and_staff_as_no_pipeline() {
    let h = Harness::predicted(&[]).await;
    let with_source = |source: &str| json!({"kind": "abstinent", "occurred_at": noon(), "source": source});
    let said = h
        .report("pipeline", "client-a", &outcome("abstinent", noon()))
        .await;
    assert_eq!(said.code(), 201, "{}", said.json);
    assert_eq!(said.at("/source"), &json!("pipeline"));
    assert_eq!(said.at("/reported_by"), &json!(null));
    for source in ["self_report", "counselor", "clinical_test"] {
        let refused = h.report("pipeline", "client-a", &with_source(source)).await;
        assert_eq!(refused.code(), 422, "{source}");
        assert_eq!(refused.at("/errors/0/pointer"), &json!("/source"));
        let accepted = h.report("counselor", "client-a", &with_source(source)).await;
        assert_eq!(accepted.code(), 201, "{source}");
    }
    let refused = h.report("counselor", "client-a", &with_source("pipeline")).await;
    assert_eq!(refused.code(), 422);
}

#[tokio::test]
async fn an_outcome_of_no_known_kind_or_time_is_refused_with_all_that_is_wrong() {
    let h = Harness::predicted(&[]).await;
    for (body, pointers) in [
        (
            json!({"kind": "sober", "occurred_at": "2026-06-14"}),
            json!(["/kind", "/occurred_at"]),
        ),
        (
            json!({"kind": "lapse", "occurred_at": "2999-01-01T00:00:00Z"}),
            json!(["/occurred_at"]),
        ),
        (
            json!({"kind": "lapse", "occurred_at": "1999-12-31T23:59:59Z"}),
            json!(["/occurred_at"]),
        ),
        (
            json!({"kind": "lapse", "occurred_at": "2026-06-14T20:00:00"}),
            json!(["/occurred_at"]),
        ),
        (
            json!({"occurred_at": noon(), "date_precision": "year", "reported_by": "x"}),
            json!(["/kind", "/date_precision", "/reported_by"]),
        ),
    ] {
        let refused = h.report("counselor", "client-a", &body).await;
        assert_eq!(refused.code(), 422, "{body}");
        let found: Vec<&Value> = refused
            .at("/errors")
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| &fault["pointer"])
            .collect();
        assert_eq!(json!(found), pointers, "{}", refused.json);
    }
    assert_eq!(h.database.count("select count(*) from risk.outcomes").await, 0);
}

#[tokio::test]
async fn outcomes_are_told_and_shown_within_the_caseload_alone() {
    let mut h = Harness::predicted(&[]).await;
    h.client("client-b", &["counselor_other"]).await;
    let body = outcome("lapse", noon());
    for (who, user_id, code) in [
        ("counselor", "client-b", 404),
        ("counselor", "nobody", 404),
        ("pipeline", "nobody", 404),
        ("pipeline", "staff-counselor", 404),
        ("oncall", "client-a", 403),
        ("admin", "client-a", 403),
        ("client-a", "client-a", 403),
        ("pipeline", "client-b", 201),
        ("counselor", "client-a", 201),
    ] {
        assert_eq!(
            h.report(who, user_id, &body).await.code(),
            code,
            "{who} {user_id}"
        );
    }
    for (who, user_id, code) in [
        ("counselor", "client-a", 200),
        ("counselor", "client-b", 404),
        ("pipeline", "client-a", 403),
        ("client-a", "client-a", 403),
    ] {
        let path = format!("/v1/users/{user_id}/outcomes");
        assert_eq!(h.call(who).get(&path).await.code(), code, "{who} {user_id}");
    }
}

#[tokio::test]
async fn who_sees_a_client_for_a_crisis_alone_learns_nothing_of_outcomes_and_reports_none() {
    let mut h = Harness::predicted(&[]).await;
    h.client("client-b", &["counselor_other"]).await;
    let access = "insert into core.temporary_access (staff_id, client_id, cause, reference, until)
        values ('staff-counselor', 'client-b', 'escalation', 1, now() + interval '1 hour')";
    h.database.superuser().await.run(access).await;
    let body = outcome("lapse", noon());
    assert_eq!(h.report("counselor", "client-b", &body).await.code(), 404);
    for path in ["outcomes", "predictions/latest", "predictions/trend"] {
        let path = format!("/v1/users/client-b/{path}");
        assert_eq!(h.call("counselor").get(&path).await.code(), 404, "{path}");
    }
}

#[tokio::test]
async fn outcomes_are_listed_the_last_to_happen_first_page_after_page() {
    let h = Harness::predicted(&[]).await;
    for hours in [30, 10, 20] {
        let body = outcome("abstinent", noon() - TimeDelta::hours(hours));
        assert_eq!(h.report("counselor", "client-a", &body).await.code(), 201);
    }
    let page = h
        .call("counselor")
        .get("/v1/users/client-a/outcomes?limit=2")
        .await;
    assert_eq!(page.at("/items/0/occurred_at"), &json!("2026-06-15T02:00:00Z"));
    assert_eq!(page.at("/items/1/occurred_at"), &json!("2026-06-14T16:00:00Z"));
    let cursor = page.at("/next_cursor").as_str().unwrap().to_owned();
    let path = format!("/v1/users/client-a/outcomes?limit=2&cursor={cursor}");
    let last = h.call("counselor").get(&path).await;
    assert_eq!(last.items().len(), 1);
    assert_eq!(last.at("/next_cursor"), &json!(null));
}

#[tokio::test]
async fn a_relapse_labels_what_foresaw_it_at_once_and_nothing_else() {
    // Made 8, 7 and 3 days ago, and now: the second ends with this minute, the last begins with it.
    let h = Harness::predicted(&[8, 7, 3, 0]).await;
    let answer = h
        .report("pipeline", "client-a", &outcome("relapse", noon()))
        .await;
    assert_eq!(answer.code(), 201);
    assert_eq!(h.labels().await, [None, Some(true), Some(true), None]);
    assert_eq!(h.app.round("label").await.unwrap(), 1, "one horizon was over");
    assert_eq!(h.labels().await, [Some(false), Some(true), Some(true), None]);
    assert_eq!(h.app.round("label").await.unwrap(), 0);
    h.clock.advance(TimeDelta::days(7));
    assert_eq!(h.app.round("label").await.unwrap(), 1);
    assert_eq!(
        h.labels().await,
        [Some(false), Some(true), Some(true), Some(false)]
    );
}

#[tokio::test]
async fn a_late_relapse_settles_a_negative_label_anew_and_says_when() {
    let h = Harness::predicted(&[10]).await;
    h.app.round("label").await.unwrap();
    assert_eq!(h.labels().await, [Some(false)]);
    let before = h.revision().await;
    h.clock.advance(TimeDelta::days(1));
    let late = outcome("lapse", noon() - TimeDelta::days(5));
    assert_eq!(h.report("counselor", "client-a", &late).await.code(), 201);
    assert_eq!(h.labels().await, [Some(true)]);
    let sql = "select labelled_at = '2026-06-16T12:00:00Z' as is_new from risk.model_predictions";
    assert!(h.database.query(sql).await[0].get::<_, bool>("is_new"));
    assert!(
        h.revision().await > before,
        "what was measured of that day is measured anew"
    );
}

impl Harness {
    async fn revision(&self) -> i64 {
        self.database
            .count("select sum(revision)::bigint from risk.metric_days")
            .await
    }
}

#[tokio::test]
async fn nobody_can_know_after_a_dropout_unless_there_was_a_relapse() {
    let h = Harness::predicted(&[10, 20, 30]).await;
    for (kind, days) in [("dropout", 9), ("unknown", 19), ("dropout", 29), ("relapse", 28)] {
        let body = outcome(kind, noon() - TimeDelta::days(days));
        assert_eq!(h.report("pipeline", "client-a", &body).await.code(), 201);
    }
    assert_eq!(h.app.round("label").await.unwrap(), 0, "all three were looked at");
    assert_eq!(h.labels().await, [None, None, Some(true)]);
    let due = "select count(*) from risk.model_predictions where label_due_at is not null";
    assert_eq!(h.database.count(due).await, 0);
    // What somebody says later settles that as well.
    let late = outcome("lapse", noon() - TimeDelta::days(8));
    h.report("pipeline", "client-a", &late).await;
    assert_eq!(h.labels().await, [Some(true), None, Some(true)]);
}

#[tokio::test]
async fn a_prediction_that_is_posted_after_the_relapse_is_labelled_at_once() {
    let h = Harness::predicted(&[]).await;
    h.report(
        "pipeline",
        "client-a",
        &outcome("relapse", noon() - TimeDelta::days(1)),
    )
    .await;
    h.plant(&[
        said("client-a", noon() - TimeDelta::days(2), 7),
        said("client-a", noon() - TimeDelta::days(1), 7),
    ])
    .await;
    assert_eq!(h.labels().await, [Some(true), None]);
}

#[tokio::test]
async fn labels_are_settled_in_bounded_batches_by_two_at_once_each_once() {
    let h = Harness::predicted(&[]).await;
    let many: Vec<Planted<'_>> = (0..1_500)
        .map(|n| {
            said(
                "client-a",
                noon() - TimeDelta::days(20) - TimeDelta::seconds(n),
                7,
            )
        })
        .collect();
    h.plant(&many).await;
    let (one, other) = tokio::join!(h.app.round("label"), h.app.round("label"));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one <= 1_000 && other <= 1_000, "{one} {other}");
    let rest = h.app.round("label").await.unwrap();
    assert_eq!(one + other + rest, 1_500);
    assert_eq!(h.labels().await, vec![Some(false); 1_500]);
}

#[tokio::test]
async fn predictions_and_a_relapse_that_come_at_once_are_labelled_whoever_is_first() {
    let h = Harness::with_model().await;
    let posts = (1..=12).map(|n| {
        let body = crate::harness::prediction("client-a", "1", 0.4, h.ago(TimeDelta::hours(n)));
        let h = &h;
        async move { h.predict(&body).await.code() }
    });
    let came = outcome("relapse", noon());
    let reported = h.report("counselor", "client-a", &came);
    let (codes, reported) = tokio::join!(futures::future::join_all(posts), reported);
    assert_eq!(codes, vec![201; 12]);
    assert_eq!(reported.code(), 201);
    assert_eq!(h.labels().await, vec![Some(true); 12]);
}

#[tokio::test]
async fn two_outcomes_of_a_client_at_once_are_both_seen_by_the_labels() {
    let h = Harness::predicted(&[10, 11, 12]).await;
    for n in 1..6 {
        let relapse = outcome("relapse", noon() - TimeDelta::days(9) - TimeDelta::minutes(n));
        let unknown = outcome("unknown", noon() - TimeDelta::days(9) + TimeDelta::minutes(n));
        let (one, other) = tokio::join!(
            h.report("pipeline", "client-a", &unknown),
            h.report("counselor", "client-a", &relapse)
        );
        assert_eq!((one.code(), other.code()), (201, 201));
        assert_eq!(h.labels().await, vec![Some(true); 3]);
        let anew =
            "delete from risk.outcomes; update risk.model_predictions set label = null, labelled_at = null";
        h.database.superuser().await.run(anew).await;
    }
}

#[tokio::test]
async fn outcomes_go_when_their_term_is_over_and_not_before() {
    let h = Harness::predicted(&[]).await;
    let sql = "insert into risk.outcomes (user_id, kind, occurred_at, source, reported_at)
        select 'client-a', o.kind, now() - o.age, 'counselor', now() - o.told
        from (values ('lapse', interval '731 days 1 minute', interval '731 days 1 minute'),
            ('relapse', interval '730 days', interval '730 days'),
            ('abstinent', interval '900 days', interval '10 days')) as o (kind, age, told)";
    h.database.superuser().await.run(sql).await;
    while h.app.round("retention").await.unwrap() > 0 {}
    let kept = h
        .database
        .query("select kind from risk.outcomes order by kind")
        .await;
    let kept: Vec<&str> = kept.iter().map(|row| row.get("kind")).collect();
    assert_eq!(kept, ["abstinent", "relapse"]);
}

/// The rule as the design says it, by brute force.
fn expected(
    predicted_at: DateTime<Utc>,
    horizon_days: i32,
    outcomes: &[(&str, DateTime<Utc>)],
    now: DateTime<Utc>,
) -> Option<bool> {
    let ends_at = predicted_at + TimeDelta::days(horizon_days.into());
    let came = |kinds: &[&str]| {
        outcomes
            .iter()
            .any(|(kind, at)| kinds.contains(kind) && *at > predicted_at && *at <= ends_at)
    };
    if came(&["relapse", "lapse"]) {
        Some(true)
    } else if ends_at > now || came(&["dropout", "unknown"]) {
        None
    } else {
        Some(false)
    }
}

/// What happens in one run, in order.
#[derive(Clone, Debug)]
enum Step {
    /// A prediction of so many hours ago, for so many days.
    Predicts(i64, i32),
    /// An outcome of so many hours ago.
    Comes(&'static str, i64),
    /// The job runs.
    Settles,
    /// So many hours go by.
    Passes(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = prop::sample::select(vec!["relapse", "lapse", "abstinent", "dropout", "unknown"]);
    // Whole half-days, so that ends and beginnings of horizons are hit.
    let half_days = |upto: i64| (0..=upto).prop_map(|n| n * 12);
    (any::<u8>(), half_days(40), 1..=9_i32, kinds).prop_map(|(what, hours, days, kind)| match what % 8 {
        0..=2 => Step::Predicts(hours, days),
        3..=5 => Step::Comes(kind, hours),
        6 => Step::Settles,
        _ => Step::Passes(hours / 4 / 12 * 12),
    })
}

#[tokio::test]
async fn labels_are_those_of_the_rule_in_whatever_order_predictions_and_outcomes_come() {
    let h = Harness::predicted(&[]).await;
    let seed = [6; 32];
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    for run in 0..8 {
        h.database
            .superuser()
            .await
            .run("delete from risk.model_predictions; delete from risk.feature_snapshots; delete from risk.outcomes")
            .await;
        let steps = prop::collection::vec(step(), 30)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut predictions = Vec::new();
        let mut outcomes = Vec::new();
        for step in &steps {
            match *step {
                Step::Predicts(hours, days) => {
                    let at = h.ago(TimeDelta::hours(hours));
                    h.plant(&[said("client-a", at, days)]).await;
                    predictions.push((at, days));
                }
                Step::Comes(kind, hours) => {
                    let at = h.ago(TimeDelta::hours(hours));
                    let answer = h.report("pipeline", "client-a", &outcome(kind, at)).await;
                    assert!(answer.code() < 300, "{}", answer.json);
                    outcomes.push((kind, at));
                }
                Step::Settles => {
                    h.app.round("label").await.unwrap();
                }
                Step::Passes(hours) => h.clock.advance(TimeDelta::hours(hours)),
            }
        }
        h.app.round("label").await.unwrap();
        let now = h.ago(TimeDelta::zero());
        let expected: Vec<Option<bool>> = predictions
            .iter()
            .map(|(at, days)| expected(*at, *days, &outcomes, now))
            .collect();
        assert_eq!(h.labels().await, expected, "run {run}: {steps:?}");
        // Positive ones are not waited for: those that the job has not seen are labelled as well.
        let waits = format!(
            "select count(*) from risk.model_predictions where (label is not null and label_due_at is not null)
                or label_due_at <= '{}'",
            now.to_rfc3339()
        );
        assert_eq!(h.database.count(&waits).await, 0, "run {run}");
    }
}
