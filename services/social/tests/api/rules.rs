//! Two hundred clients with random histories: every profile equal to an independent computation from raw rows, also
//! after time has gone by.

use chrono::{DateTime, TimeDelta, Utc};
use db::Row;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::harness::{Harness, noon};
use crate::reference::{self, Message, Prediction, Profile};

const CLIENTS: usize = 200;
const BATCH: usize = 1_000;

/// Ages that lie on the borders of the windows, to the microsecond, and ages that lie anywhere.
fn age() -> impl Strategy<Value = i64> {
    let day: i64 = 86_400_000_000;
    prop_oneof![
        3 => 0..35 * day,
        2 => (prop::sample::select(vec![0, 2, 6, 7, 14, 30]), -1_i64..=1).prop_map(move |(days, off)| days * day + off),
        1 => -290_000_000_i64..0,
    ]
}

/// Scores anywhere, and scores that lie on a threshold or next to it.
fn score() -> impl Strategy<Value = i128> {
    prop_oneof![
        4 => 0_i128..=1_000_000,
        4 => 0_i128..=350_000,
        2 => (prop::sample::select(vec![200_000, 300_000, 500_000, 700_000, 800_000, 900_000_i128]), -1_i128..=1)
            .prop_map(|(threshold, off)| threshold + off),
        1 => Just(950_000),
    ]
}

fn prediction(model_version: &'static str) -> impl Strategy<Value = Prediction> {
    (
        score(),
        score(),
        0_i128..=600_000,
        0_i128..=600_000,
        score(),
        -3_i64..=3,
    )
        .prop_map(
            move |(risk, isolation, craving, relapse, toxic, minutes)| Prediction {
                position: 0,
                timestamp: noon() + TimeDelta::minutes(minutes),
                model_version,
                risk,
                isolation,
                craving,
                relapse,
                toxic,
            },
        )
}

fn message() -> impl Strategy<Value = Message> {
    let kind = prop::sample::select(vec!["buddy", "counselor", "group", "assistant"]);
    let sender = prop_oneof![4 => Just("user"), 1 => Just("staff")];
    let predictions = (
        prop::option::weighted(0.8, prediction("m1")),
        prop::option::weighted(0.2, prediction("m2")),
        prop::option::weighted(0.1, prediction("m3")),
    );
    (age(), kind, sender, predictions).prop_map(|(age, conversation_type, sender_role, (one, two, three))| {
        Message {
            timestamp: noon() - TimeDelta::microseconds(age),
            conversation_type,
            sender_role,
            predictions: if sender_role == "user" {
                [one, two, three].into_iter().flatten().collect()
            } else {
                Vec::new()
            },
        }
    })
}

fn p(micros: i128) -> f64 {
    micros as f64 / 1e6
}

fn body(message_id: i64, prediction: &Prediction) -> Value {
    json!({
        "message_id": message_id, "model_version": prediction.model_version, "timestamp": prediction.timestamp,
        "p_craving": p(prediction.craving), "p_relapse": p(prediction.relapse), "p_toxic": p(prediction.toxic),
        "p_isolation": p(prediction.isolation), "p_negative_mood": 0.0, "p_neutral": 0.0, "risk_score": p(prediction.risk),
    })
}

#[tokio::test]
async fn random_histories_make_the_profiles_that_the_rules_say() {
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(prop::collection::vec(message(), 0..30), CLIENTS);
    let mut clients = strategy.new_tree(&mut runner).expect("histories").current();
    let h = Harness::new().await;
    plant(&h, &clients).await;

    // In an order that has nothing to do with time, so that most come late.
    let mut posts = Vec::new();
    for (client, messages) in clients.iter().enumerate() {
        for (index, message) in messages.iter().enumerate() {
            for prediction in 0..message.predictions.len() {
                posts.push((client, index, prediction));
            }
        }
    }
    let shuffled = Just(posts)
        .prop_shuffle()
        .new_tree(&mut runner)
        .expect("an order")
        .current();
    for (position, (client, index, prediction)) in shuffled.iter().enumerate() {
        clients[*client][*index].predictions[*prediction].position = position;
    }
    for chunk in shuffled.chunks(BATCH) {
        let items: Vec<Value> = chunk
            .iter()
            .map(|(c, m, n)| body(message_id(*c, *m), &clients[*c][*m].predictions[*n]))
            .collect();
        // Twice: a repeat changes nothing.
        for _ in 0..2 {
            let answer = h
                .call("pipeline")
                .post("/v1/predictions:batch", &json!({"items": items}))
                .await;
            assert_eq!(answer.code(), 200, "{}", answer.json);
        }
    }
    // Clients whose messages were never scored are due by their messages alone.
    h.database
        .superuser()
        .await
        .run("update social.user_risk_profiles set next_recompute_at = '2000-01-01Z'")
        .await;
    let mut labels = std::collections::BTreeMap::new();
    for step in 0..6 {
        while h.app.round("sweep").await.unwrap() > 0 {}
        let now = h.clock.fixed().unwrap();
        for (row, messages) in profiles(&h).await.iter().zip(&clients) {
            let expected = reference::profile(messages, now);
            compare(row, &expected, step);
            *labels.entry(expected.label).or_insert(0) += 1;
        }
        h.clock
            .advance(TimeDelta::microseconds(86_400_000_000 * 3 / 2 + 1));
    }
    assert!(
        labels.len() >= 4 && labels.values().all(|n| *n >= 5),
        "the histories reach too few labels: {labels:?}"
    );
}

fn message_id(client: usize, message: usize) -> i64 {
    (client * 100 + message + 1) as i64
}

async fn plant(h: &Harness, clients: &[Vec<Message>]) {
    let mut sql = String::new();
    for (client, messages) in clients.iter().enumerate() {
        sql.push_str(&format!(
            "insert into core.users (user_id) values ('client-{client:03}');"
        ));
        sql.push_str(&format!(
            "insert into social.user_risk_profiles (user_id, policy_version, risk_label_since)
             values ('client-{client:03}', 'fusion_v2', '{}');",
            noon().to_rfc3339()
        ));
        for (index, message) in messages.iter().enumerate() {
            sql.push_str(&format!(
                "insert into core.messages (message_id, user_id, message_text, timestamp, conversation_type, sender_role)
                 overriding system value values ({}, 'client-{client:03}', 'text', '{}', '{}', '{}');",
                message_id(client, index),
                message.timestamp.to_rfc3339(),
                message.conversation_type,
                message.sender_role
            ));
        }
    }
    h.database.superuser().await.run(&sql).await;
}

async fn profiles(h: &Harness) -> Vec<Row> {
    h.database
        .query("select * from social.user_risk_profiles order by user_id")
        .await
}

fn compare(row: &Row, expected: &Profile, step: usize) {
    let user: &str = row.get("user_id");
    let about = format!("{user} at step {step}");
    let mean = |column: &str, expected: Option<(i128, i128)>| {
        let found: Option<f64> = row.get(column);
        let expected = expected.map(|(sum, count)| sum as f64 / (count as f64 * 1e6));
        assert_eq!(found, expected, "{column} of {about}");
    };
    let score = |column: &str, expected: Option<i128>| {
        assert_eq!(
            row.get::<_, Option<f64>>(column),
            expected.map(p),
            "{column} of {about}"
        );
    };
    mean("short_avg_risk_score", expected.short_avg);
    mean("short_avg_isolation", expected.short_isolation);
    mean("medium_avg_risk_score", expected.medium_avg);
    mean("medium_avg_isolation", expected.medium_isolation);
    score("short_max_risk_score", expected.short_max);
    score("medium_max_risk_score", expected.medium_max);
    for (column, expected) in [
        ("short_high_risk_count", expected.high_risk_count),
        ("short_toxic_incidents", expected.toxic),
        ("total_messages_7d", expected.messages[0]),
        ("buddy_messages_7d", expected.messages[1]),
        ("counselor_messages_7d", expected.messages[2]),
    ] {
        assert_eq!(row.get::<_, i32>(column), expected, "{column} of {about}");
    }
    for (column, expected) in [
        ("risk_trend", expected.risk_trend),
        ("isolation_trend", expected.isolation_trend),
        ("current_risk_label", expected.label),
    ] {
        assert_eq!(row.get::<_, &str>(column), expected, "{column} of {about}");
    }
    assert_eq!(
        row.get::<_, Option<i32>>("days_since_last_buddy_msg"),
        expected.buddy_days,
        "{about}"
    );
    assert_eq!(
        row.get::<_, Option<DateTime<Utc>>>("last_message_time"),
        expected.last_message,
        "{about}"
    );
    let reasons: Value = row.get("reasons");
    let codes: Vec<&str> = reasons
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, expected.codes, "{about}");
    if expected.label != "UNKNOWN" {
        let due: Option<DateTime<Utc>> = row.get("next_recompute_at");
        let reconsider: Option<DateTime<Utc>> = row.get("nudge_reconsider_at");
        assert_eq!(
            due,
            expected.changes_at.into_iter().chain(reconsider).min(),
            "next_recompute_at of {about}"
        );
    }
}
