//! The label: the first level of which a rule holds, with every rule that held there.

use common::{Probability, RiskLabel, Trend};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::policy::Thresholds;
use super::windows::Windows;

/// So many high-risk messages in seven days are a high risk whatever their scores.
const HIGH_RISK_COUNT_MIN: i64 = 3;
/// Longer than this many days without a buddy message counts as being without one.
const DAYS_WITHOUT_BUDDY: i64 = 5;
/// From this mean on, being without a buddy is a moderate risk.
const WITHOUT_BUDDY_RISK: f64 = 0.2;

/// One rule that held, in words and numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Reason {
    /// Which rule, for programs.
    pub(crate) code: String,
    /// Which rule, for people.
    pub(crate) text: String,
    /// What was measured; null where the measure is an absence.
    pub(crate) value: Option<f64>,
    /// What it was held against.
    pub(crate) threshold: Option<f64>,
}

/// Judges the windows: the first level that has a rule which holds.
pub(crate) fn judge(windows: &Windows, thresholds: &Thresholds) -> (RiskLabel, Vec<Reason>) {
    let levels = [
        (RiskLabel::High, high(windows, thresholds)),
        (RiskLabel::Moderate, moderate(windows, thresholds)),
        (RiskLabel::IsolationOnly, isolation(windows, thresholds)),
    ];
    levels
        .into_iter()
        .find(|(_, reasons)| !reasons.is_empty())
        .unwrap_or_else(|| data_only(windows))
}

fn high(windows: &Windows, thresholds: &Thresholds) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(max) = windows.short_max.filter(|max| *max >= thresholds.high) {
        reasons.push(reason(
            "max_risk_score",
            "A message of the last 7 days has a very high risk score.",
            max.as_f64(),
            thresholds.high.as_f64(),
        ));
    }
    if windows.short_high_risk_count >= HIGH_RISK_COUNT_MIN {
        reasons.push(reason(
            "high_risk_count",
            "Several messages of the last 7 days are high-risk.",
            count(windows.short_high_risk_count),
            count(HIGH_RISK_COUNT_MIN),
        ));
    }
    if windows.risk_trend() == Trend::RapidDecline {
        reasons.push(reason(
            "rapid_decline",
            "Risk rose sharply within the last 2 days.",
            windows.rapid_max.map_or(0.0, Probability::as_f64),
            0.8,
        ));
    }
    if let (Some(risk), Some(isolation)) = (windows.short.mean_risk(), windows.short.mean_isolation())
        && risk >= thresholds.iso_escalate.as_f64()
        && isolation >= thresholds.iso.as_f64()
    {
        reasons.push(reason(
            "high_risk_and_isolation",
            "Average risk and isolation of the last 7 days are both high.",
            isolation,
            thresholds.iso.as_f64(),
        ));
    }
    reasons
}

fn moderate(windows: &Windows, thresholds: &Thresholds) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let risk = windows.short.mean_risk();
    if let Some(risk) = risk.filter(|risk| *risk >= thresholds.mid.as_f64()) {
        reasons.push(reason(
            "avg_risk_score",
            "Average risk of the last 7 days is raised.",
            risk,
            thresholds.mid.as_f64(),
        ));
    }
    if windows.risk_trend() == Trend::Declining {
        let delta = risk.unwrap_or_default() - windows.before.mean_risk().unwrap_or_default();
        reasons.push(reason(
            "declining",
            "Risk of the last 7 days is higher than the week before.",
            delta,
            0.15,
        ));
    }
    let days = windows.days_since_last_buddy_msg();
    if days.is_none_or(|days| days > DAYS_WITHOUT_BUDDY) && risk.is_some_and(|risk| risk > WITHOUT_BUDDY_RISK)
    {
        reasons.push(Reason {
            code: "no_buddy_contact".to_owned(),
            text: "No message to a buddy for more than 5 days, with some risk.".to_owned(),
            value: days.map(count),
            threshold: Some(count(DAYS_WITHOUT_BUDDY)),
        });
    }
    reasons
}

fn isolation(windows: &Windows, thresholds: &Thresholds) -> Vec<Reason> {
    let (Some(risk), Some(isolation)) = (windows.short.mean_risk(), windows.short.mean_isolation()) else {
        return Vec::new();
    };
    if isolation >= thresholds.iso.as_f64() && risk < thresholds.mid.as_f64() {
        let text = "Average isolation of the last 7 days is high, without raised risk.";
        return vec![reason("isolation", text, isolation, thresholds.iso.as_f64())];
    }
    Vec::new()
}

/// No rule holds: low risk where there is data, unknown where there is none.
fn data_only(windows: &Windows) -> (RiskLabel, Vec<Reason>) {
    let found = windows.medium.count;
    if found > 0 {
        let text = "There are scored messages of the last 30 days, and no rule holds.";
        (
            RiskLabel::Low,
            vec![reason("no_rule_holds", text, count(found), 1.0)],
        )
    } else {
        let text = "There is no scored message of the last 30 days: no data is not low risk.";
        (RiskLabel::Unknown, vec![reason("no_recent_data", text, 0.0, 1.0)])
    }
}

fn reason(code: &str, text: &str, value: f64, threshold: f64) -> Reason {
    Reason {
        code: code.to_owned(),
        text: text.to_owned(),
        value: Some(value),
        threshold: Some(threshold),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one client's messages and days"
)]
fn count(n: i64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::super::windows::Sums;
    use super::super::windows::tests::{sums, windows};
    use super::*;

    fn p(value: f64) -> Probability {
        Probability::new(value).unwrap_or_default()
    }

    fn fusion_v2() -> Thresholds {
        Thresholds {
            high: p(0.7),
            mid: p(0.3),
            relapse: p(0.5),
            craving: p(0.5),
            toxic: p(0.7),
            iso: p(0.9),
            iso_escalate: p(0.7),
        }
    }

    fn codes(windows: &Windows) -> (RiskLabel, Vec<String>) {
        let (label, reasons) = judge(windows, &fusion_v2());
        (label, reasons.into_iter().map(|reason| reason.code).collect())
    }

    fn with_buddy(mut windows: Windows) -> Windows {
        windows.messages.last_buddy_at = Some(windows.now - TimeDelta::days(1));
        windows
    }

    #[test]
    fn no_data_is_not_low_risk() {
        assert_eq!(
            codes(&windows()),
            (RiskLabel::Unknown, vec!["no_recent_data".to_owned()])
        );
    }

    #[test]
    fn a_score_of_exactly_the_threshold_is_high() {
        let found = Windows {
            short: sums(1, 0.7),
            medium: sums(1, 0.7),
            short_max: Some(p(0.7)),
            ..windows()
        };
        assert_eq!(
            codes(&found),
            (RiskLabel::High, vec!["max_risk_score".to_owned()])
        );
    }

    #[test]
    fn a_mean_of_exactly_the_threshold_is_moderate() {
        let found = with_buddy(Windows {
            short: sums(3, 0.3),
            medium: sums(3, 0.3),
            ..windows()
        });
        assert_eq!(
            codes(&found),
            (RiskLabel::Moderate, vec!["avg_risk_score".to_owned()])
        );
        let below = with_buddy(Windows {
            short: sums(3, 0.299_999),
            medium: sums(3, 0.299_999),
            ..windows()
        });
        assert_eq!(codes(&below).0, RiskLabel::Low);
    }

    #[test]
    fn some_risk_without_a_buddy_is_moderate() {
        let found = Windows {
            short: sums(2, 0.21),
            medium: sums(2, 0.21),
            ..windows()
        };
        assert_eq!(
            codes(&found),
            (RiskLabel::Moderate, vec!["no_buddy_contact".to_owned()])
        );
        assert_eq!(codes(&with_buddy(found)).0, RiskLabel::Low);
    }

    #[test]
    fn every_rule_that_held_at_the_winning_level_is_a_reason() {
        let isolated = Sums {
            isolation_micros: 3 * 950_000,
            ..sums(3, 0.75)
        };
        let found = Windows {
            short: isolated,
            medium: isolated,
            short_max: Some(p(0.75)),
            short_high_risk_count: 3,
            ..windows()
        };
        let expected = ["max_risk_score", "high_risk_count", "high_risk_and_isolation"].map(str::to_owned);
        assert_eq!(codes(&found), (RiskLabel::High, expected.to_vec()));
    }

    #[test]
    fn isolation_without_risk_is_its_own_label() {
        let isolated = Sums {
            isolation_micros: 2 * 900_000,
            ..sums(2, 0.1)
        };
        let found = with_buddy(Windows {
            short: isolated,
            medium: isolated,
            ..windows()
        });
        assert_eq!(
            codes(&found),
            (RiskLabel::IsolationOnly, vec!["isolation".to_owned()])
        );
    }
}
