//! What does not work as it should, as operators are warned of it.

/// Of what kind a warning is; at most one of each is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages wait for a prediction and none has come.
    PipelineSilent,
    /// Staff on duty have no verified way to be reached outside the app.
    StaffUnreachable,
    /// Events wait for the broker.
    OutboxLag,
    /// Pages wait to be sent.
    DeliveryLag,
    /// A rehearsal did not reach everybody whom it was to reach.
    DrillFailed,
    /// In the next 14 days nobody but the last resort of a policy would be told for a while.
    CoverageGap,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::PipelineSilent,
        Self::StaffUnreachable,
        Self::OutboxLag,
        Self::DeliveryLag,
        Self::DrillFailed,
        Self::CoverageGap,
    ];
    /// Those that are looked for again and again; drills tell of themselves.
    pub(crate) const WATCHED: [Self; 5] = [
        Self::PipelineSilent,
        Self::StaffUnreachable,
        Self::OutboxLag,
        Self::DeliveryLag,
        Self::CoverageGap,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PipelineSilent => "pipeline_silent",
            Self::StaffUnreachable => "staff_unreachable",
            Self::OutboxLag => "outbox_lag",
            Self::DeliveryLag => "delivery_lag",
            Self::DrillFailed => "drill_failed",
            Self::CoverageGap => "coverage_gap",
        }
    }

    /// The kind of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
