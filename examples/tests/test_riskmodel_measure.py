"""Measures, and the comparison of a service's with them: what differs is shown and never passes."""

from __future__ import annotations

import copy
import unittest
from typing import Any

import numpy as np
from riskfake import answer_of

from riskmodel import compare
from riskmodel.measure import Measured, ece, measure, reliability


def measured(scores: list[float], labels: list[bool | None], alert: float = 0.5) -> Measured:
    return measure(np.array(scores), labels, alert)


class MeasureTest(unittest.TestCase):
    def test_measures_that_can_be_reckoned_by_hand(self) -> None:
        found = measured([0.1, 0.4, 0.4, 0.9], [False, False, True, True]).measures
        self.assertAlmostEqual(found["prevalence"], 0.5)
        self.assertAlmostEqual(found["brier"], (0.01 + 0.16 + 0.36 + 0.01) / 4)
        self.assertAlmostEqual(found["auroc"], (1 + 1 + 1 + 0.5) / 4)  # a tie is half
        self.assertAlmostEqual(found["auprc"], 0.5 * 1 + 0.5 * 2 / 3)
        self.assertAlmostEqual(found["ece"], (0.1 + abs(0.8 - 1) + 0.1) / 4)
        self.assertEqual((found["precision_at_alert"], found["recall_at_alert"]), (1.0, 0.5))

    def test_what_has_no_label_counts_in_the_share_alone(self) -> None:
        found = measured([0.2, 0.8, 0.7], [False, True, None])
        self.assertEqual((found.n, found.n_labelled, found.n_positive), (3, 2, 1))
        self.assertAlmostEqual(found.measures["labelled_share"], 2 / 3)
        without = measured([0.2, 0.8], [False, True])
        self.assertEqual(found.measures["brier"], without.measures["brier"])

    def test_what_is_not_defined_is_none(self) -> None:
        nothing = measured([], [])
        self.assertEqual(set(nothing.measures.values()), {None})
        open_still = measured([0.3], [None])
        self.assertEqual(open_still.measures["labelled_share"], 0.0)
        self.assertIsNone(open_still.measures["brier"])
        negatives = measured([0.3, 0.4], [False, False]).measures
        for name in ("auroc", "auprc", "precision_at_alert", "recall_at_alert"):
            self.assertIsNone(negatives[name], name)
        self.assertIsNotNone(negatives["log_loss"])

    def test_a_score_on_an_edge_is_in_the_bin_above_it_and_one_in_the_last(self) -> None:
        for at in range(10):
            for score in (at / 10, (at + 1) / 10 - 1e-6):
                bins = reliability(np.array([score]), np.array([1]))
                self.assertEqual([part.n for part in bins].index(1), at, score)
        self.assertEqual(reliability(np.array([1.0]), np.array([1]))[9].n, 1)

    def test_a_calibrated_model_has_no_calibration_error(self) -> None:
        bins = reliability(np.array([0.25] * 4 + [0.75] * 4), np.array([1, 0, 0, 0, 1, 1, 1, 0]))
        self.assertEqual(ece(bins), 0.0)


class CompareTest(unittest.TestCase):
    def setUp(self) -> None:
        random = np.random.default_rng(7)
        scores = random.beta(1, 6, 400).round(6)
        labels = list(map(bool, random.random(400) < scores)) + [None] * 10
        self.expected = measure(np.append(scores, [0.1] * 10), labels, 0.5)
        self.answer = answer_of(self.expected)

    def differing(self, answer: dict[str, Any]) -> list[str]:
        return [row.name for row in compare.rows(answer, self.expected) if not row.agrees]

    def test_equal_measures_agree(self) -> None:
        self.assertEqual(self.differing(self.answer), [])
        self.assertNotIn("≠", compare.table(compare.rows(self.answer, self.expected)))

    def test_a_difference_over_a_billionth_is_shown(self) -> None:
        for name in self.expected.measures:
            for off, agrees in ((5e-10, True), (2e-9, False)):
                answer = copy.deepcopy(self.answer)
                answer["measures"][name]["value"] += off
                self.assertEqual(self.differing(answer), [] if agrees else [name])

    def test_other_counts_and_bins_are_shown(self) -> None:
        for name in compare.COUNTS:
            self.assertEqual(self.differing({**self.answer, name: 1}), [name])
        answer = copy.deepcopy(self.answer)
        answer["reliability"][2]["n"] += 1
        self.assertEqual(self.differing(answer), ["reliability bins"])
        answer["reliability"] = answer["reliability"][:-1]
        self.assertEqual(self.differing(answer), ["reliability bins"])

    def test_a_measure_that_is_missing_or_null_agrees_with_no_number(self) -> None:
        answer = copy.deepcopy(self.answer)
        answer["measures"]["auroc"] = {"value": None, "reason": "no_positives"}
        del answer["measures"]["brier"]
        self.assertEqual(self.differing(answer), ["brier", "auroc"])
        self.assertIn("no_positives", compare.table(compare.rows(answer, self.expected)))

    def test_a_measure_that_nobody_can_have_agrees_with_null_alone(self) -> None:
        self.expected = measured([0.1, 0.2], [False, False])
        answer = answer_of(self.expected)
        self.assertEqual(self.differing(answer), [])
        answer["measures"]["auroc"] = {"value": 0.5}
        self.assertEqual(self.differing(answer), ["auroc"])

    def test_an_answer_of_another_kind_agrees_in_nothing(self) -> None:
        rows = compare.rows({}, self.expected)
        self.assertFalse(any(row.agrees for row in rows))
        self.assertEqual(len(rows), len(compare.COUNTS) + len(compare.REQUIRED) + 1)

    def test_the_plot_has_a_line_for_each_bin_with_predictions(self) -> None:
        lines = compare.plot(compare.service_bins(self.answer)).splitlines()
        self.assertEqual(len(lines), 2 + sum(part.n > 0 for part in self.expected.bins))
        self.assertEqual(len({len(line) for line in lines[:-1]}), 1)

    def test_the_plot_marks_what_is_said_and_what_came(self) -> None:
        bins = measured([0.25] * 4, [True, True, True, False]).bins
        said, observed = compare.PLOT_CELLS // 4, compare.PLOT_CELLS * 3 // 4
        cells = compare.plot(bins).splitlines()[1].split("  ")[1]
        self.assertEqual((cells[said], cells[observed]), (compare.SAID, compare.OBSERVED))
        both = measured([0.25] * 4, [True, False, False, False]).bins
        self.assertIn(compare.BOTH, compare.plot(both).splitlines()[1])


if __name__ == "__main__":
    unittest.main()
