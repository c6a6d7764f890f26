"""The label rules at their boundaries."""

from __future__ import annotations

import unittest
from datetime import datetime, timedelta, timezone

import support  # noqa: F401 (puts the examples on the path)

from cohort.reference import Scored, label, risk_trend

NOW = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)


def said(age: timedelta, craving: int = 0, isolation: int = 0, channel: str = "buddy") -> Scored:
    """A message of `age` before NOW; scores in thousandths."""
    return Scored(NOW - age, channel, craving * 1000, 0, 0, isolation * 1000)


def days(number: float) -> timedelta:
    return timedelta(days=number)


class ReferenceTest(unittest.TestCase):
    def test_no_prediction_in_thirty_days_is_unknown(self) -> None:
        self.assertEqual(label([], NOW)[0], "UNKNOWN")
        self.assertEqual(label([said(days(30))], NOW)[0], "UNKNOWN")
        self.assertEqual(label([said(days(30) - MICROSECOND)], NOW)[0], "LOW_RISK")

    def test_one_high_score_within_seven_days_is_high_risk(self) -> None:
        just_within = [said(days(7) - MICROSECOND, 700)]
        self.assertEqual(label(just_within, NOW), ("HIGH_RISK", ["short_max"]))
        self.assertEqual(label([said(days(7), 700)], NOW)[0], "LOW_RISK")

    def test_three_scores_from_a_half_on_are_high_risk(self) -> None:
        three = [said(days(age), 500) for age in (1, 2, 3)]
        self.assertEqual(label(three, NOW), ("HIGH_RISK", ["short_high_risk_count"]))
        self.assertEqual(label(three[:2], NOW)[0], "MODERATE_RISK")

    def test_a_mean_of_three_tenths_is_moderate(self) -> None:
        self.assertEqual(label([said(days(1), 300)], NOW), ("MODERATE_RISK", ["short_avg_risk"]))
        self.assertEqual(label([said(days(1), 299)], NOW)[0], "LOW_RISK")

    def test_silence_towards_the_buddy_counts_from_the_sixth_whole_day(self) -> None:
        sad = said(days(1), 201, channel="assistant")
        self.assertEqual(label([sad], NOW), ("MODERATE_RISK", ["buddy_silence"]))
        self.assertEqual(label([sad, said(days(6), 201)], NOW)[0], "MODERATE_RISK")
        self.assertEqual(label([sad, said(days(6) - MICROSECOND, 201)], NOW)[0], "LOW_RISK")

    def test_isolation_alone(self) -> None:
        self.assertEqual(label([said(days(1), 0, 900)], NOW)[0], "ISOLATION_ONLY")
        self.assertEqual(label([said(days(1), 0, 899)], NOW)[0], "LOW_RISK")
        self.assertEqual(label([said(days(1), 300, 900)], NOW)[0], "MODERATE_RISK")

    def test_a_trend_needs_five_predictions_and_both_weeks(self) -> None:
        week = [said(days(age), 900) for age in (0.1, 1, 2, 3)]
        before = said(days(7))
        self.assertEqual(risk_trend([*week, said(days(6))], NOW), "stable")
        self.assertEqual(risk_trend([*week[:3], before], NOW), "stable")
        self.assertEqual(risk_trend([*week, before], NOW), "rapid_decline")

    def test_a_step_of_exactly_the_threshold_is_stable(self) -> None:
        before = [said(days(age), 100) for age in (8, 9, 10)]
        for score, trend in ((250, "stable"), (251, "declining")):
            now = [said(days(age), score) for age in (1, 2)]
            self.assertEqual(risk_trend([*before, *now], NOW), trend)
        before = [said(days(age), 400) for age in (8, 9, 10)]
        for score, trend in ((250, "stable"), (249, "improving")):
            now = [said(days(age), score) for age in (1, 2)]
            self.assertEqual(risk_trend([*before, *now], NOW), trend)

    def test_what_lies_in_the_future_does_not_count_yet(self) -> None:
        self.assertEqual(label([said(-MICROSECOND, 900)], NOW)[0], "UNKNOWN")


if __name__ == "__main__":
    unittest.main()
