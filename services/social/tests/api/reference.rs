//! The rules once more, as plainly as they can be written: everything recomputed from raw rows, nothing shared with
//! the service.

use chrono::{DateTime, TimeDelta, Utc};

#[derive(Clone, Debug)]
pub(crate) struct Prediction {
    /// In the order in which they were stored.
    pub(crate) position: usize,
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) model_version: &'static str,
    /// Millionths.
    pub(crate) risk: i128,
    pub(crate) isolation: i128,
    pub(crate) craving: i128,
    pub(crate) relapse: i128,
    pub(crate) toxic: i128,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) conversation_type: &'static str,
    pub(crate) sender_role: &'static str,
    pub(crate) predictions: Vec<Prediction>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Profile {
    pub(crate) short_avg: Option<(i128, i128)>,
    pub(crate) short_max: Option<i128>,
    pub(crate) short_isolation: Option<(i128, i128)>,
    pub(crate) medium_avg: Option<(i128, i128)>,
    pub(crate) medium_max: Option<i128>,
    pub(crate) medium_isolation: Option<(i128, i128)>,
    pub(crate) high_risk_count: i32,
    pub(crate) toxic: i32,
    pub(crate) risk_trend: &'static str,
    pub(crate) isolation_trend: &'static str,
    pub(crate) label: &'static str,
    pub(crate) codes: Vec<&'static str>,
    pub(crate) messages: [i32; 3],
    pub(crate) last_message: Option<DateTime<Utc>>,
    pub(crate) buddy_days: Option<i32>,
    pub(crate) changes_at: Option<DateTime<Utc>>,
}

/// The scores that count: one a message, of the greatest (timestamp, position).
fn counting(messages: &[Message]) -> Vec<(DateTime<Utc>, Prediction)> {
    let mut found = Vec::new();
    for message in messages {
        let mut best: Option<&Prediction> = None;
        for prediction in &message.predictions {
            let better = match best {
                None => true,
                Some(best) => (prediction.timestamp, prediction.position) > (best.timestamp, best.position),
            };
            if better {
                best = Some(prediction);
            }
        }
        if let Some(best) = best {
            found.push((message.timestamp, best.clone()));
        }
    }
    found
}

fn mean(rows: &[&(DateTime<Utc>, Prediction)], of: fn(&Prediction) -> i128) -> Option<(i128, i128)> {
    if rows.is_empty() {
        return None;
    }
    let mut sum = 0;
    for (_, prediction) in rows {
        sum += of(prediction);
    }
    Some((sum, rows.len() as i128))
}

/// Whether a mean (sum over count) is at least so many millionths.
fn at_least(mean: Option<(i128, i128)>, micros: i128) -> bool {
    mean.is_some_and(|(sum, count)| sum >= micros * count)
}

fn trend(now: Option<(i128, i128)>, before: Option<(i128, i128)>) -> &'static str {
    let (Some((a, n)), Some((b, m))) = (now, before) else {
        return "stable";
    };
    let difference = a * m - b * n;
    if difference > 150_000 * n * m {
        "declining"
    } else if difference < -150_000 * n * m {
        "improving"
    } else {
        "stable"
    }
}

pub(crate) fn profile(messages: &[Message], now: DateTime<Utc>) -> Profile {
    let scored = counting(messages);
    let within = |days: i64, until_days: i64| -> Vec<&(DateTime<Utc>, Prediction)> {
        let (from, until) = (now - TimeDelta::days(days), now - TimeDelta::days(until_days));
        scored
            .iter()
            .filter(|(at, _)| *at > from && *at <= until)
            .collect()
    };
    let (rapid, short, before, medium) = (within(2, 0), within(7, 0), within(14, 7), within(30, 0));
    let short_avg = mean(&short, |p| p.risk);
    let short_isolation = mean(&short, |p| p.isolation);
    let short_max = short.iter().map(|(_, p)| p.risk).max();
    let high = |p: &Prediction| p.risk >= 700_000 || p.relapse >= 500_000 || p.craving >= 500_000;
    let high_risk_count = short.iter().filter(|(_, p)| high(p)).count() as i32;
    let has_trend = medium.len() >= 5 && !short.is_empty() && !before.is_empty();
    let risk_trend = if !has_trend {
        "stable"
    } else if rapid.iter().any(|(_, p)| p.risk >= 800_000) {
        "rapid_decline"
    } else {
        trend(short_avg, mean(&before, |p| p.risk))
    };
    let isolation_trend = if has_trend {
        trend(short_isolation, mean(&before, |p| p.isolation))
    } else {
        "stable"
    };
    let own: Vec<&Message> = messages
        .iter()
        .filter(|m| m.sender_role == "user" && m.timestamp <= now)
        .collect();
    let week: Vec<&&Message> = own
        .iter()
        .filter(|m| m.timestamp > now - TimeDelta::days(7))
        .collect();
    let count = |kind: &str| week.iter().filter(|m| m.conversation_type == kind).count() as i32;
    let last_buddy = own
        .iter()
        .filter(|m| m.conversation_type == "buddy")
        .map(|m| m.timestamp)
        .max();
    let buddy_days = last_buddy.map(|at| (now - at).num_days() as i32);

    let (label, codes) = judge(&Measures {
        short_avg,
        short_isolation,
        short_max,
        high_risk_count,
        risk_trend,
        buddy_days,
        scored: medium.len(),
    });
    Profile {
        short_avg,
        short_max,
        short_isolation,
        medium_avg: mean(&medium, |p| p.risk),
        medium_max: medium.iter().map(|(_, p)| p.risk).max(),
        medium_isolation: mean(&medium, |p| p.isolation),
        high_risk_count,
        toxic: short.iter().filter(|(_, p)| p.toxic >= 700_000).count() as i32,
        risk_trend,
        isolation_trend,
        label,
        codes,
        messages: [week.len() as i32, count("buddy"), count("counselor")],
        last_message: own.iter().map(|m| m.timestamp).max(),
        buddy_days,
        changes_at: changes_at(messages, &scored, last_buddy, now),
    }
}

/// What the label depends on.
struct Measures {
    short_avg: Option<(i128, i128)>,
    short_isolation: Option<(i128, i128)>,
    short_max: Option<i128>,
    high_risk_count: i32,
    risk_trend: &'static str,
    buddy_days: Option<i32>,
    scored: usize,
}

fn judge(m: &Measures) -> (&'static str, Vec<&'static str>) {
    let mut codes = Vec::new();
    if m.short_max.is_some_and(|max| max >= 700_000) {
        codes.push("max_risk_score");
    }
    if m.high_risk_count >= 3 {
        codes.push("high_risk_count");
    }
    if m.risk_trend == "rapid_decline" {
        codes.push("rapid_decline");
    }
    if at_least(m.short_avg, 700_000) && at_least(m.short_isolation, 900_000) {
        codes.push("high_risk_and_isolation");
    }
    let mut label = "HIGH_RISK";
    if codes.is_empty() {
        label = "MODERATE_RISK";
        if at_least(m.short_avg, 300_000) {
            codes.push("avg_risk_score");
        }
        if m.risk_trend == "declining" {
            codes.push("declining");
        }
        if m.buddy_days.is_none_or(|days| days > 5) && m.short_avg.is_some_and(|(sum, n)| sum > 200_000 * n) {
            codes.push("no_buddy_contact");
        }
    }
    if codes.is_empty() && at_least(m.short_isolation, 900_000) && !at_least(m.short_avg, 300_000) {
        label = "ISOLATION_ONLY";
        codes.push("isolation");
    }
    if codes.is_empty() {
        (label, codes) = if m.scored == 0 {
            ("UNKNOWN", vec!["no_recent_data"])
        } else {
            ("LOW_RISK", vec!["no_rule_holds"])
        };
    }
    (label, codes)
}

/// The first instant after now at which one of the inputs is another, found by listing all of them.
fn changes_at(
    messages: &[Message],
    scored: &[(DateTime<Utc>, Prediction)],
    last_buddy: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut instants = Vec::new();
    for (at, _) in scored {
        instants.push(*at);
        for days in [2, 7, 14, 30] {
            instants.push(*at + TimeDelta::days(days));
        }
    }
    for message in messages.iter().filter(|m| m.sender_role == "user") {
        instants.push(message.timestamp);
        instants.push(message.timestamp + TimeDelta::days(7));
    }
    if let Some(at) = last_buddy {
        instants.push(at + TimeDelta::days((now - at).num_days() + 1));
    }
    instants.into_iter().filter(|instant| *instant > now).min()
}
