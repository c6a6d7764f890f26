"""The sample model without any service: lives, labels, what it learns and how it explains."""

from __future__ import annotations

import unittest
from datetime import datetime, timedelta, timezone
from functools import cache

import support  # noqa: F401 (puts the examples on the path)

import numpy as np

from riskmodel import columns, labels, run, train, why
from riskmodel.explain import Explainer
from riskmodel.features import DECLARATIONS, NAMES, Features, faults, feature_set
from riskmodel.law import COEFFICIENTS, EPOCH, WEEK, Outcome, Week, simulate

SEED = 1
NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)  # a Wednesday
TICK = timedelta(microseconds=1)


@cache
def study() -> run.Study:
    """Trained once for all tests."""
    end = run.last_snapshot(NOW)
    return run.Study(run.Settings(SEED, range(1, 151), 12, end, NOW))


def of_client(client: int, weeks: int) -> list[Week]:
    return simulate(SEED, range(client, client + 1), weeks).weeks


class LawTest(unittest.TestCase):
    def test_the_same_seed_tells_the_same_lives(self) -> None:
        one, other = (simulate(SEED, range(1, 6), 30) for _ in range(2))
        self.assertEqual(one, other)
        self.assertNotEqual(one, simulate(SEED + 1, range(1, 6), 30))

    def test_a_week_is_the_same_however_many_clients_and_weeks_there_are(self) -> None:
        few, many = simulate(SEED, range(3, 5), 20), simulate(SEED, range(1, 9), 40)
        there = set(map(repr, many.weeks))
        self.assertLessEqual(set(map(repr, few.weeks)), there)
        self.assertLessEqual(set(few.outcomes), set(many.outcomes))

    def test_every_snapshot_fits_its_declarations(self) -> None:
        found = [faults(week.features) for week in study().world.weeks]
        self.assertEqual([fault for fault in found if fault], [])

    def test_relapses_come_as_often_as_the_law_says(self) -> None:
        world = simulate(SEED, range(1, 401), 60)
        expected = sum(week.true_probability for week in world.weeks)
        spread = sum(w.true_probability * (1 - w.true_probability) for w in world.weeks) ** 0.5
        used = sum(outcome.kind in labels.USE for outcome in world.outcomes)
        self.assertLess(abs(used - expected), 3 * spread)

    def test_an_outcome_falls_into_the_week_after_a_snapshot(self) -> None:
        world = simulate(SEED, range(1, 101), 60)
        at = {(week.client, week.at) for week in world.weeks}
        for outcome in world.outcomes:
            start = EPOCH + (outcome.occurred_at - EPOCH - TICK) // WEEK * WEEK
            self.assertIn((outcome.client, start), at)

    def test_after_use_abstinence_begins_anew(self) -> None:
        world = simulate(SEED, range(1, 101), 60)
        weeks = {(week.client, week.at): week for week in world.weeks}
        checked = 0
        for outcome in world.outcomes:
            start = EPOCH + (outcome.occurred_at - EPOCH - TICK) // WEEK * WEEK
            after = weeks.get((outcome.client, start + WEEK))
            if outcome.kind in labels.USE and after is not None:
                self.assertLess(after.features["days_abstinent"], 7)
                checked += 1
        self.assertGreater(checked, 100)

    def test_who_drops_out_is_not_seen_for_four_weeks(self) -> None:
        world = simulate(SEED, range(1, 101), 60)
        times = {(week.client, week.at) for week in world.weeks}
        gone = [outcome for outcome in world.outcomes if outcome.kind == "dropout"]
        self.assertGreater(len(gone), 10)
        for outcome in gone:
            after = EPOCH + ((outcome.occurred_at - EPOCH - TICK) // WEEK + 1) * WEEK
            self.assertFalse({(outcome.client, after + n * WEEK) for n in range(4)} & times)


class FeatureTest(unittest.TestCase):
    def good(self) -> Features:
        return dict(of_client(1, 20)[0].features)

    def test_each_kind_of_fault_is_found(self) -> None:
        cases = [
            ("craving_mean", 10.1),
            ("craving_mean", None),
            ("craving_mean", True),
            ("isolated_days", 2.5),
            ("housing_stable", 1),
            ("phase", "vacation"),
            ("sleep_hours", "long"),
            ("negative_mood", float("nan")),
        ]
        for name, value in cases:
            with self.subTest(name=name, value=value):
                self.assertEqual(len(faults({**self.good(), name: value})), 1)
        self.assertEqual(faults({**self.good(), "sleep_hours": None}), [])
        self.assertEqual(faults({**self.good(), "shoe_size": 44}), ["shoe_size is not declared"])
        less = self.good()
        del less["phase"]
        self.assertEqual(faults(less), ["phase is missing"])

    def test_every_feature_says_in_words_what_it_means_either_way(self) -> None:
        self.assertEqual(len({declared["name"] for declared in DECLARATIONS}), len(DECLARATIONS))
        for declared in feature_set()["features"]:
            texts = declared["texts"]
            self.assertTrue(texts["raises"] and texts["lowers"], declared["name"])
            self.assertNotEqual(texts["raises"], texts["lowers"])

    def test_every_column_belongs_to_a_declared_feature_and_every_feature_has_one(self) -> None:
        self.assertEqual({owner for owner, _ in columns.COLUMNS}, set(NAMES))
        self.assertEqual(columns.matrix([self.good()]).shape, (1, len(columns.COLUMNS)))

    def test_contributions_of_columns_add_up_to_those_of_their_feature(self) -> None:
        of_columns = np.arange(1.0, len(columns.COLUMNS) + 1).reshape(1, -1)
        of_features = columns.by_feature(of_columns)[0]
        self.assertEqual(of_features[NAMES.index("sleep_hours")], 3.0 + 4.0)
        self.assertEqual(of_features.sum(), of_columns.sum())


class LabelTest(unittest.TestCase):
    def label(self, *outcomes: tuple[str, timedelta], now: datetime | None = None) -> bool | None:
        week = of_client(1, 20)[0]
        told = [Outcome(1, kind, week.at + after) for kind, after in outcomes]
        told.append(Outcome(2, "relapse", week.at + timedelta(days=1)))  # another client's
        return labels.labels([week], told, now or week.at + WEEK)[0]

    def test_the_horizon_is_open_at_the_prediction_and_closed_at_its_end(self) -> None:
        self.assertIs(self.label(("relapse", timedelta(0))), False)
        self.assertIs(self.label(("relapse", TICK)), True)
        self.assertIs(self.label(("lapse", WEEK)), True)
        self.assertIs(self.label(("lapse", WEEK + TICK)), False)

    def test_until_the_horizon_is_over_only_a_relapse_is_known(self) -> None:
        before = of_client(1, 20)[0].at + WEEK - TICK
        self.assertIsNone(self.label(now=before))
        self.assertIsNone(self.label(("abstinent", timedelta(days=1)), now=before))
        self.assertIs(self.label(("relapse", timedelta(days=1)), now=before), True)

    def test_where_nobody_can_know_there_is_no_label(self) -> None:
        day = timedelta(days=1)
        self.assertIsNone(self.label(("dropout", day)))
        self.assertIsNone(self.label(("unknown", day)))
        self.assertIs(self.label(("unknown", day), ("lapse", 2 * day)), True)
        self.assertIs(self.label(("abstinent", day)), False)


class TrainingTest(unittest.TestCase):
    def test_the_linear_version_learns_the_direction_of_every_part_of_the_law(self) -> None:
        found = train.coefficients(study().versions[0])
        for column, value in COEFFICIENTS.items():
            if value and not column.startswith("phase"):
                self.assertGreater(found[column] * value, 0, column)
        self.assertGreater(found["phase=intensive"], found["phase=aftercare"])

    def test_both_versions_come_close_to_the_law(self) -> None:
        best = study().true_measured().measures["log_loss"]
        prevalence = study().true_measured().measures["prevalence"]
        of_nothing = -(prevalence * np.log(prevalence) + (1 - prevalence) * np.log(1 - prevalence))
        for version in study().versions:
            found = study().measured(study().probabilities(version)).measures["log_loss"]
            self.assertLess(found - best, 0.2 * (of_nothing - best), version.kind)

    def test_training_again_gives_the_same_version_and_other_lives_another(self) -> None:
        data = train.training_set(SEED)
        self.assertEqual(train.logistic(data, SEED).version, study().versions[0].version)
        few = train.TrainingSet(data.columns[:2000], data.positive[:2000], data.background)
        for fit in (train.logistic, train.boosted):
            self.assertEqual(fit(few, SEED).version, fit(few, SEED).version)
        fewer = train.TrainingSet(data.columns[:1900], data.positive[:1900], data.background)
        for fit in (train.logistic, train.boosted):
            self.assertNotEqual(fit(few, SEED).version, fit(fewer, SEED).version)

    def test_nobody_who_is_posted_was_trained_on(self) -> None:
        most = 1000 * 10_000  # seeds and clients that the command line takes
        self.assertGreater(train.TRAINING_CLIENTS.start, most)


class ExplanationTest(unittest.TestCase):
    def setUp(self) -> None:
        self.snapshots = [week.features for week in study().world.weeks]

    def test_base_and_contributions_are_the_log_odds_of_what_is_posted(self) -> None:
        for version in study().versions:
            explained = Explainer(version).explain(self.snapshots)
            sums = explained.base_value + explained.contributions.sum(axis=1)
            said = study().probabilities(version)
            # What is posted is rounded: within half of its last decimal, and no more than that.
            off = np.abs(1 / (1 + np.exp(-sums)) - said).max()
            self.assertLess(off, 0.51e-6, version.kind)

    def test_of_the_linear_version_they_are_weight_times_distance_from_the_mean(self) -> None:
        version = study().versions[0]
        explained = Explainer(version).explain(self.snapshots)
        weights = np.array(list(train.coefficients(version).values()))
        away = columns.matrix(self.snapshots) - version.background.mean(axis=0)
        expected = columns.by_feature(away * weights)
        self.assertLess(np.abs(explained.contributions - expected).max(), 1e-8)

    def test_explaining_again_says_the_same_to_the_last_digit(self) -> None:
        for version in study().versions:
            one, other = (Explainer(version).explain(self.snapshots[:50]) for _ in range(2))
            self.assertEqual(one.base_value, other.base_value)
            self.assertTrue((one.contributions == other.contributions).all())

    def test_one_that_does_not_add_up_is_not_posted(self) -> None:
        explainer = Explainer(study().versions[0])
        right = explainer._explain
        explainer._explain = lambda given: (right(given)[0] + 1e-3, right(given)[1])
        with self.assertRaisesRegex(ValueError, "0.001 off"):
            explainer.explain(self.snapshots[:3])

    def test_the_reasons_are_in_plain_words_the_largest_first(self) -> None:
        said = why.here(study().versions[0], run.most_worrying(study())).splitlines()
        sizes = [abs(float(line.split()[0])) for line in said[1:]]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertIn("within seven days", said[0])


class TimeTest(unittest.TestCase):
    def test_snapshots_are_of_mondays_and_none_is_ahead(self) -> None:
        monday = datetime(2026, 11, 23, 6, tzinfo=timezone.utc)
        self.assertEqual(run.last_snapshot(NOW), monday)
        self.assertEqual(run.last_snapshot(monday), monday)
        self.assertEqual(run.last_snapshot(monday - TICK), monday - WEEK)

    def test_what_came_of_the_last_week_is_told_when_it_is_over(self) -> None:
        end = run.last_snapshot(NOW)
        present = study().world
        self.assertLessEqual(max(outcome.occurred_at for outcome in present.outcomes), end)
        past = run.Study(run.Settings(SEED, range(1, 151), 12, end - 4 * WEEK, NOW)).world
        latest = max(outcome.occurred_at for outcome in past.outcomes)
        self.assertTrue(end - 4 * WEEK < latest <= end - 3 * WEEK)

    def test_a_run_a_week_later_says_the_same_of_all_weeks_before(self) -> None:
        settings = study().settings
        later = run.Settings(SEED, settings.clients, 13, settings.end + WEEK, NOW + WEEK)
        world = run.Study(later).world
        self.assertEqual([w for w in world.weeks if w.at <= settings.end], study().world.weeks)
        told = [o for o in world.outcomes if o.occurred_at <= settings.end]
        self.assertEqual(told, study().world.outcomes)


if __name__ == "__main__":
    unittest.main()
