//! The thresholds that labels are judged by, one version at a time.

use common::Probability;
use serde::{Deserialize, Serialize};

/// A risk policy as it is stored: a version and its thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) version: String,
    pub(crate) thresholds: Thresholds,
}

/// Where a score counts, each in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "StoredThresholds")]
pub(crate) struct Thresholds {
    /// A risk score that is high by itself.
    #[serde(rename(serialize = "t_high"))]
    pub(crate) high: Probability,
    /// A mean risk score that is moderate.
    #[serde(rename(serialize = "t_mid"))]
    pub(crate) mid: Probability,
    /// A relapse probability that makes a message high-risk.
    #[serde(rename(serialize = "t_relapse"))]
    pub(crate) relapse: Probability,
    /// A craving probability that makes a message high-risk.
    #[serde(rename(serialize = "t_craving"))]
    pub(crate) craving: Probability,
    /// A toxicity that counts as an incident.
    #[serde(rename(serialize = "t_toxic"))]
    pub(crate) toxic: Probability,
    /// A mean isolation that counts.
    #[serde(rename(serialize = "t_iso"))]
    pub(crate) iso: Probability,
    /// A mean risk score that, together with isolation, is high.
    #[serde(rename(serialize = "t_iso_escalate"))]
    pub(crate) iso_escalate: Probability,
}

impl Thresholds {
    /// Whether a message with these scores is high-risk.
    pub(crate) fn is_high_risk(
        &self,
        risk_score: Probability,
        relapse: Probability,
        craving: Probability,
    ) -> bool {
        risk_score >= self.high || relapse >= self.relapse || craving >= self.craving
    }
}

/// The thresholds as `social.risk_policies` spells them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredThresholds {
    t_high: f64,
    t_mid: f64,
    t_relapse: f64,
    t_craving: f64,
    t_toxic: f64,
    t_iso: f64,
    t_iso_escalate: f64,
}

impl TryFrom<StoredThresholds> for Thresholds {
    type Error = &'static str;

    fn try_from(stored: StoredThresholds) -> Result<Self, Self::Error> {
        let read = |value| Probability::new(value).ok_or("a threshold is not in 0..=1");
        Ok(Self {
            high: read(stored.t_high)?,
            mid: read(stored.t_mid)?,
            relapse: read(stored.t_relapse)?,
            craving: read(stored.t_craving)?,
            toxic: read(stored.t_toxic)?,
            iso: read(stored.t_iso)?,
            iso_escalate: read(stored.t_iso_escalate)?,
        })
    }
}
