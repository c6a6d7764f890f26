"""The steps of the sample, in the order in which a model comes into use: fitted to old lives,
shadowing the present ones, made live, and held to what came of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from apiclient.http import Api
from apiclient.progress import Progress
from apiclient.table import render
from riskmodel import MODEL_NAME, bodies, compare, why
from riskmodel.bodies import Json
from riskmodel.explain import Explainer
from riskmodel.labels import labels
from riskmodel.law import (
    COEFFICIENTS,
    CRAVING_IS_STRONG,
    EPOCH,
    ISOLATED_AND_CRAVING,
    WARM_UP_WEEKS,
    WEEK,
    Week,
    World,
    simulate,
    weeks_until,
)
from riskmodel.measure import Measured, measure
from riskmodel.post import Poster, Tally
from riskmodel.train import (
    THRESHOLDS,
    Version,
    boosted,
    coefficients,
    logistic,
    training_set,
)

ALERT = THRESHOLDS[-1]
OTHER_ALERT = 0.3  # what would have come of it is asked of the service
SETTLE_PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Settings:
    """Whose lives, how many weeks of them, and up to when (`end` is a time of snapshots); by `now`
    it is known what came of them so far."""

    seed: int
    clients: range
    weeks: int
    end: datetime
    now: datetime

    @property
    def start(self) -> datetime:
        """When the first snapshot is of."""
        return self.end - (self.weeks - 1) * WEEK

    @property
    def told_until(self) -> datetime:
        """What happened is told when snapshots are made, week by week: a week without a relapse is
        known as soon as one with it."""
        return min(last_snapshot(self.now), self.end + WEEK)


def last_snapshot(now: datetime) -> datetime:
    """The last time, up to `now`, that snapshots are of: Mondays at 06:00 UTC."""
    return EPOCH + (weeks_until(now) - 1) * WEEK


def most_weeks(end: datetime) -> int:
    """How many weeks of lives there are up to `end`."""
    return max(weeks_until(end) - WARM_UP_WEEKS, 0)


class Study:
    """The made-up lives, the versions fitted to others, and what these say. Made when needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def world(self) -> World:
        """What is posted."""
        settings = self.settings
        whole = simulate(settings.seed, settings.clients, weeks_until(settings.end))
        return whole.told(settings.start, settings.told_until)

    @cached_property
    def versions(self) -> tuple[Version, Version]:
        """The live candidate and its shadow."""
        say("training on made-up lives that are not posted …")
        data = training_set(self.settings.seed)
        made = logistic(data, self.settings.seed), boosted(data, self.settings.seed)
        say(f"  {len(data.positive)} weeks, {data.positive.mean():.1%} before a relapse or lapse")
        for version in made:
            say(f"  {MODEL_NAME} {version.version}")
        return made

    def probabilities(self, version: Version) -> np.ndarray:
        """What a version says of every week."""
        return version.probabilities([week.features for week in self.world.weeks])

    def predictions(self, version: Version) -> list[Json]:
        """The bodies to post, explained."""
        weeks = self.world.weeks
        explained = Explainer(version).explain([week.features for week in weeks])
        return bodies.predictions(version, weeks, self.probabilities(version), explained)

    def measured(self, probabilities: np.ndarray) -> Measured:
        """What the measures of all weeks are by scikit-learn."""
        known = labels(self.world.weeks, self.world.outcomes, self.settings.now)
        return measure(probabilities, known, ALERT)

    def true_measured(self) -> Measured:
        """The same of the law itself: what no model does better, but by luck."""
        return self.measured(np.array([week.true_probability for week in self.world.weeks]))


def post_predictions(study: Study, poster: Poster, go_live: Callable[[Version], bool]) -> Tally:
    """Both versions say what they think of the past weeks, as shadows; then the candidate goes
    live, and both speak of the present week. So nobody is paged for what is long over."""
    candidate, shadow = study.versions
    poster.declare(study.versions)
    said = {version.version: study.predictions(version) for version in study.versions}
    present = bodies.moment(study.settings.end)
    tally = Tally()
    for version in (candidate, shadow):
        past = [p for p in said[version.version] if p["predicted_at"] != present]
        tally.add(poster.predict(past, f"{version.kind}, past weeks"))
    if go_live(candidate):
        say(f"{candidate.version} is live from now on, {shadow.version} is its shadow")
    for version in (candidate, shadow):
        now = [p for p in said[version.version] if p["predicted_at"] == present]
        tally.add(poster.predict(now, f"{version.kind}, this week"))
    return tally


def await_labels(
    risk: Api, version: Version, study: Study, seconds: float
) -> tuple[Json, Measured]:
    """The service's measures of a version once its labels are settled, and what they should be.

    Labels are settled by a job of the service; when they are not after `seconds`, what the service
    has by then is answered, and the comparison shows what is missing.
    """
    began = time.monotonic()
    expected = study.measured(study.probabilities(version))
    progress = None
    while True:
        answer = risk.get(path_of("metrics", version, study.settings))
        there = answer.get("n_labelled", 0)
        settled = (there, answer.get("n_positive")) == (expected.n_labelled, expected.n_positive)
        if progress is None and not settled:
            progress = Progress(f"{version.kind}: labels settled", expected.n_labelled)
        if progress is not None:
            progress.advance(there - progress.done)
        if settled or time.monotonic() - began > seconds:
            if progress is not None:
                progress.close()
            return answer, expected
        time.sleep(SETTLE_PAUSE_SECONDS)


def path_of(what: str, version: Version, settings: Settings) -> str:
    """A route of what is measured; its window holds the snapshots of `weeks` weeks alone."""
    until = settings.end.date() + timedelta(days=6)
    window = settings.weeks * 7
    return (
        f"/v1/models/{MODEL_NAME}/{version.version}/{what}"
        f"?window={window}&until={until.isoformat()}"
    )


def judged(risk: Api, study: Study) -> str:
    """What the service says of the two versions, and of another alert threshold."""
    candidate, shadow = study.versions
    compared = path_of("compare", candidate, study.settings) + f"&with={shadow.version}"
    replayed = path_of("replay", candidate, study.settings) + f"&threshold={OTHER_ALERT}"
    return (
        f"{compare.differences(risk.get(compared))}\n\n"
        f"If the alert threshold of {candidate.version} were {OTHER_ALERT} instead of {ALERT}:\n"
        f"{risk.get(replayed).get('summary')}"
    )


def most_worrying(study: Study) -> Week | None:
    """Whom the candidate worries about most in the last week; None where nobody is there."""
    weeks = [week for week in study.world.weeks if week.at == study.settings.end]
    return why.most_worrying(study.versions[0], weeks) if weeks else None


def learned(study: Study) -> str:
    """The law's coefficients beside those of the linear version, in log odds per unit."""
    found = coefficients(study.versions[0])
    rows = [
        (column, f"{COEFFICIENTS[column]:+.2f}" if column in COEFFICIENTS else "–", f"{value:+.2f}")
        for column, value in found.items()
    ]
    note = (
        f"The law adds {ISOLATED_AND_CRAVING:+.2f} for each isolated day and point of craving over"
        f" {CRAVING_IS_STRONG:g}, which a linear\nmodel cannot say: craving and isolation have to"
        " stand for it. The trees may learn it."
    )
    return f"{render(('column', 'law', 'learned'), rows)}\n\n{note}"


def plot(measured: Measured) -> str:
    """The reliability plot."""
    return compare.plot(measured.bins)


def comparison(answer: Json, expected: Measured) -> tuple[str, bool]:
    """The table and the plot of a version, and whether everything agrees."""
    found = compare.rows(answer, expected)
    text = f"{compare.table(found)}\n\n{compare.plot(compare.service_bins(answer))}"
    return text, all(row.agrees for row in found)


def side_by_side(measured: Sequence[tuple[str, Measured]]) -> str:
    """The versions beside the law that made the data."""
    names = ("brier", "log_loss", "auroc", "auprc", "ece")
    return render(
        ("", *names),
        [
            (who, *("–" if (v := of.measures[name]) is None else f"{v:.4f}" for name in names))
            for who, of in measured
        ],
    )


def say(text: str) -> None:
    """A line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)
