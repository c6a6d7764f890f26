"""The label rules of the social service, written plainly, to check the cohort against.

Policy `fusion_v2`. Scores are whole millionths, means exact fractions: no rounding anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

MILLION = 1_000_000
T_HIGH, T_MID, T_RELAPSE, T_CRAVING = 700_000, 300_000, 500_000, 500_000
T_ISO, T_ISO_ESCALATE = 900_000, 700_000
RAPID, TREND_STEP, BUDDY_RISK = 800_000, 150_000, 200_000
BUDDY_SILENCE_DAYS = 5
MIN_PREDICTIONS_FOR_TREND = 5

SHORT, MEDIUM = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True)
class Scored:
    """A scored own message. Scores are millionths, `time` the time of the message (aware)."""

    time: datetime
    conversation_type: str
    craving: int
    relapse: int
    negative_mood: int
    isolation: int

    @property
    def risk(self) -> Fraction:
        """The default risk score, rounded to a whole millionth as it is when it comes in."""
        mood = round(Fraction(7, 10) * self.negative_mood)
        return Fraction(max(self.craving, self.relapse, mood))


def millionths(probability: float) -> int:
    """A probability in [0, 1] in whole millionths."""
    return round(probability * MILLION)


def mean(values: Sequence[Fraction]) -> Fraction | None:
    """The exact mean, None of nothing."""
    return sum(values, Fraction(0)) / len(values) if values else None


def within(history: Sequence[Scored], after: datetime, until: datetime) -> list[Scored]:
    """What was written in (after, until]."""
    return [item for item in history if after < item.time <= until]


def risk_trend(history: Sequence[Scored], now: datetime) -> str:
    """`stable`, `rapid_decline`, `improving` or `declining`."""
    last = mean([item.risk for item in within(history, now - SHORT, now)])
    before = mean([item.risk for item in within(history, now - 2 * SHORT, now - SHORT)])
    medium = within(history, now - MEDIUM, now)
    if len(medium) < MIN_PREDICTIONS_FOR_TREND or last is None or before is None:
        return "stable"
    if any(item.risk >= RAPID for item in within(history, now - timedelta(days=2), now)):
        return "rapid_decline"
    if last - before < -TREND_STEP:
        return "improving"
    return "declining" if last - before > TREND_STEP else "stable"


def buddy_silent(history: Sequence[Scored], now: datetime) -> bool:
    """Whether the last message to the buddy is more than five whole days old, or there is none."""
    times = [item.time for item in history if item.conversation_type == "buddy"]
    return not times or (now - max(times)).days > BUDDY_SILENCE_DAYS


def label(history: Sequence[Scored], now: datetime) -> tuple[str, list[str]]:
    """The label at `now` and the rules that held at its level."""
    short = within(history, now - SHORT, now)
    risks = [item.risk for item in short]
    highest = max(risks, default=Fraction(0))
    average = mean(risks) or Fraction(0)
    isolation = mean([Fraction(item.isolation) for item in short]) or Fraction(0)
    high_count = sum(
        item.risk >= T_HIGH or item.relapse >= T_RELAPSE or item.craving >= T_CRAVING
        for item in short
    )
    trend = risk_trend(history, now)
    levels = {
        "HIGH_RISK": {
            "short_max": highest >= T_HIGH,
            "short_high_risk_count": high_count >= 3,
            "rapid_decline": trend == "rapid_decline",
            "risk_and_isolation": average >= T_ISO_ESCALATE and isolation >= T_ISO,
        },
        "MODERATE_RISK": {
            "short_avg_risk": average >= T_MID,
            "declining": trend == "declining",
            "buddy_silence": buddy_silent(history, now) and average > BUDDY_RISK,
        },
        "ISOLATION_ONLY": {"isolation": isolation >= T_ISO and average < T_MID},
        "LOW_RISK": {"has_predictions": bool(within(history, now - MEDIUM, now))},
    }
    for name, rules in levels.items():
        held = [rule for rule, holds in rules.items() if holds]
        if held:
            return name, held
    return "UNKNOWN", ["no_predictions"]
