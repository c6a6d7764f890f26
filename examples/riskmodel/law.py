"""The law by which relapses come about here, known because it is made up; lives that follow it.

A client is a number. Everything about client 17 follows from the seed and 17, week after week from
EPOCH on: neither the number of clients nor the day of the run changes what a week was like. So a
run a week later knows one week more, and the same of all others.

The law is a hazard of each week: log odds that are linear in what a snapshot says (some of it in
logarithms), and one thing more that a linear model cannot say: isolation is worse where craving is
strong. What was not measured (sleep, now and then) acts all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np

from riskmodel.features import PHASES, Features

EPOCH = datetime(2025, 1, 6, 6, tzinfo=timezone.utc)  # a Monday: when the first snapshots are of
WEEK = timedelta(days=7)
WEEK_SECONDS = 7 * 86_400
WARM_UP_WEEKS = 12  # not looked at: how everybody started out is forgotten by then
AWAY_WEEKS = 4  # how long somebody who dropped out stays away
STEP_DOWN_DAYS, AFTERCARE_DAYS = 30, 120  # of abstinence, from which on the programme's phases are

INTERCEPT = -1.4
COEFFICIENTS = {
    "craving_mean": 0.22,
    "craving_change": 0.15,
    "sleep_hours": -0.20,
    "negative_mood": 0.90,
    "isolated_days": 0.10,
    "log1p(days_since_contact)": 0.20,
    "meetings_attended": -0.10,
    "log1p(days_abstinent)": -0.25,
    "medication_taken": -0.80,
    "housing_stable": -0.50,
    "phase=intensive": 0.20,
    "phase=step_down": 0.0,
    "phase=aftercare": -0.20,
}
ISOLATED_AND_CRAVING = 0.10  # per isolated day and point of craving over CRAVING_IS_STRONG
CRAVING_IS_STRONG = 5.0

RELAPSE_SHARE = 0.55  # of what happens; the rest are lapses
ABSTINENT_REPORTED = 0.30  # of the weeks in which nothing happened
UNKNOWN_REPORTED = 0.02
DROPS_OUT = 0.01


@dataclass(frozen=True)
class Outcome:
    """What somebody reported about a client."""

    client: int
    kind: str
    occurred_at: datetime


@dataclass(frozen=True)
class Week:
    """What is known of a client at `at`, and how probable the law makes a relapse after it."""

    client: int
    at: datetime
    features: Features
    true_probability: float


@dataclass(frozen=True)
class World:
    """Weeks in the order of time, then of clients, and outcomes in the order of time; those of the
    last week are told as well."""

    weeks: list[Week]
    outcomes: list[Outcome]

    def told(self, start: datetime, until: datetime) -> World:
        """The weeks from `start` on, and what came of them as far as it is known at `until`."""
        return World(
            [week for week in self.weeks if week.at >= start],
            [outcome for outcome in self.outcomes if start < outcome.occurred_at <= until],
        )


def weeks_until(end: datetime) -> int:
    """How many snapshots there are up to and at `end`."""
    return (end - EPOCH) // WEEK + 1


def log_odds(features: Features, sleep_hours: float) -> float:
    """The law, of one snapshot; `sleep_hours` is the sleep, measured or not."""
    of_name = COEFFICIENTS
    craving, isolated = float(features["craving_mean"]), float(features["isolated_days"])
    taken = features["medication_taken"]  # null where none is prescribed
    return (
        INTERCEPT
        + of_name["craving_mean"] * craving
        + of_name["craving_change"] * float(features["craving_change"])
        + of_name["sleep_hours"] * sleep_hours
        + of_name["negative_mood"] * float(features["negative_mood"])
        + of_name["isolated_days"] * isolated
        + of_name["log1p(days_since_contact)"] * np.log1p(features["days_since_contact"])
        + of_name["meetings_attended"] * float(features["meetings_attended"])
        + of_name["log1p(days_abstinent)"] * np.log1p(features["days_abstinent"])
        + of_name["medication_taken"] * (0.0 if taken is None else float(taken))
        + of_name["housing_stable"] * float(features["housing_stable"])
        + of_name[f"phase={features['phase']}"]
        + ISOLATED_AND_CRAVING * isolated * max(0.0, craving - CRAVING_IS_STRONG)
    )


def probability(eta: float) -> float:
    """The probability of log odds."""
    return float(1.0 / (1.0 + np.exp(-eta)))


def simulate(seed: int, clients: range, weeks: int) -> World:
    """The lives of `clients` over `weeks` weeks from EPOCH on."""
    lives = [Life(seed, client, weeks) for client in clients]
    told, outcomes = [], []
    for number in range(weeks):
        for life in lives:
            week, outcome = life.next_week(number)
            if week is not None and number >= WARM_UP_WEEKS:
                told.append(week)
            if outcome is not None and number >= WARM_UP_WEEKS:
                outcomes.append(outcome)
    return World(told, sorted(outcomes, key=lambda outcome: (outcome.occurred_at, outcome.client)))


class Life:
    """One client: what changes from week to week, and what chance had in store for each."""

    def __init__(self, seed: int, client: int, weeks: int) -> None:
        # A stream for each kind of number: the first weeks are the same however many follow.
        self._normal = np.random.default_rng([seed, client, 1]).standard_normal((weeks, 8))
        self._uniform = np.random.default_rng([seed, client, 2]).random((weeks, 6))
        trait = np.random.default_rng([seed, client, 3])
        self.client = client
        self.trait = float(trait.normal(0.0, 0.6))
        self.housing_stable = bool(trait.random() < 0.8)
        self.medicated = bool(trait.random() < 0.7)
        self.stress = 0.0
        self.craving = 4.0
        self.days_since_contact = 3
        self.days_abstinent = int(trait.integers(5, 200))
        self.away_until = 0

    def next_week(self, number: int) -> tuple[Week | None, Outcome | None]:
        """The snapshot at the start of week `number`, and what comes in the seven days after it."""
        if number < self.away_until:
            return None, None
        features, sleep = self.look(self._normal[number], self._uniform[number])
        at = EPOCH + number * WEEK
        week = Week(self.client, at, features, probability(log_odds(features, sleep)))
        kind, seconds = self.happens(week.true_probability, self._uniform[number])
        used = kind in ("relapse", "lapse")
        since_use = (WEEK_SECONDS - seconds) // 86_400
        self.days_abstinent = since_use if used else self.days_abstinent + 7
        if kind == "dropout":
            self.away_until = number + 1 + AWAY_WEEKS
        if kind is None:
            return week, None
        return week, Outcome(self.client, kind, at + timedelta(seconds=seconds))

    def look(self, normal: np.ndarray, uniform: np.ndarray) -> tuple[Features, float]:
        """What the snapshot says, and how long the client slept, measured or not."""
        self.stress = 0.8 * self.stress + 0.6 * normal[0]
        strain = self.stress + self.trait
        before = self.craving
        self.craving = _between(4.0 + 1.3 * strain + 0.8 * normal[1], 0.0, 10.0, 1)
        sleep = _between(7.0 - 0.6 * strain + 0.8 * normal[2], 2.0, 12.0, 1)
        isolated = int(_between(2.2 + 1.1 * strain + 1.2 * normal[3], 0.0, 7.0, 0))
        spoken = int(uniform[0] * (isolated + 1))
        longer = isolated >= 6
        self.days_since_contact = min(self.days_since_contact + 7, 365) if longer else spoken
        taken = _between(0.85 - 0.12 * strain + 0.12 * normal[4], 0.0, 1.0, 2)
        features: Features = {
            "craving_mean": self.craving,
            "craving_change": round(self.craving - before, 1),
            "sleep_hours": sleep if uniform[1] > 0.1 else None,
            "negative_mood": round(probability(-0.7 + 0.9 * strain + 0.5 * normal[5]), 2),
            "isolated_days": isolated,
            "days_since_contact": self.days_since_contact,
            "meetings_attended": int(_between(3.0 - 0.8 * strain + 1.3 * normal[6], 0.0, 14.0, 0)),
            "days_abstinent": self.days_abstinent,
            "medication_taken": taken if self.medicated else None,
            "housing_stable": self.housing_stable,
            "phase": phase(self.days_abstinent),
        }
        return features, sleep

    def happens(self, relapse: float, uniform: np.ndarray) -> tuple[str | None, int]:
        """What is reported of the week, if anything, and how many seconds after its start."""
        seconds = 1 + int(uniform[3] * (WEEK_SECONDS - 1))
        if uniform[2] < relapse:
            return ("relapse" if uniform[4] < RELAPSE_SHARE else "lapse"), seconds
        for kind, share in (
            ("dropout", DROPS_OUT),
            ("unknown", DROPS_OUT + UNKNOWN_REPORTED),
            ("abstinent", DROPS_OUT + UNKNOWN_REPORTED + ABSTINENT_REPORTED),
        ):
            if uniform[5] < share:
                return kind, seconds
        return None, seconds


def phase(days_abstinent: int) -> str:
    """The part of the programme that somebody is in."""
    at = (days_abstinent >= STEP_DOWN_DAYS) + (days_abstinent >= AFTERCARE_DAYS)
    return PHASES[at]


def _between(value: float, low: float, high: float, decimals: int) -> float:
    return round(float(min(max(value, low), high)), decimals)
