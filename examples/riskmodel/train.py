"""Two versions of a model, fitted to lives that are never posted.

`logistic` is linear in log odds, as the law nearly is; `boosted` are trees, which may find what a
linear model cannot say. A version is named after what it learned: fitted otherwise (another seed,
another scikit-learn), it is another version, and never contradicts what an older one predicted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from riskmodel import DECIMALS
from riskmodel.columns import COLUMN_NAMES, matrix
from riskmodel.features import Features
from riskmodel.labels import labels
from riskmodel.law import EPOCH, WEEK, World, simulate

TRAINING_CLIENTS = range(1_000_000_001, 1_000_000_601)  # far from those that are posted
TRAINING_WEEKS = 52
BACKGROUND_ROWS = 500  # what explanations compare with: the average of so many weeks
DIGEST_LETTERS = 10

# From which probability on a prediction is MODERATE, HIGH, VERY_HIGH.
THRESHOLDS = (0.10, 0.25, 0.50)


@dataclass(frozen=True)
class TrainingSet:
    """Labelled weeks as columns; `background` is a sample of them."""

    columns: np.ndarray
    positive: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Version:
    """A fitted model, `kind` logistic or boosted, and its version's name."""

    kind: str
    version: str
    description: str
    estimator: Pipeline | GradientBoostingClassifier
    background: np.ndarray
    metadata: dict[str, str | int]

    def probabilities(self, snapshots: Sequence[Features]) -> np.ndarray:
        """Of a relapse or lapse within the horizon, with as many decimals as are kept."""
        return self.estimator.predict_proba(matrix(snapshots))[:, 1].round(DECIMALS)


def training_set(seed: int) -> TrainingSet:
    """The same for the same seed, on whatever day."""
    world = simulate(seed, TRAINING_CLIENTS, TRAINING_WEEKS)
    return labelled(world, np.random.default_rng([seed, 4]))


def labelled(world: World, random: np.random.Generator) -> TrainingSet:
    """Those weeks of `world` whose label is known."""
    now = EPOCH + TRAINING_WEEKS * WEEK
    known = [
        (week.features, label)
        for week, label in zip(world.weeks, labels(world.weeks, world.outcomes, now), strict=True)
        if label is not None
    ]
    columns = matrix([features for features, _ in known])
    positive = np.array([label for _, label in known])
    sample = random.choice(len(columns), min(BACKGROUND_ROWS, len(columns)), replace=False)
    return TrainingSet(columns, positive, columns[np.sort(sample)])


def logistic(data: TrainingSet, seed: int) -> Version:
    """Logistic regression on standardised columns."""
    scaled = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return _version("logistic", scaled, data, seed)


def boosted(data: TrainingSet, seed: int) -> Version:
    """Gradient boosted trees."""
    trees = GradientBoostingClassifier(
        n_estimators=120, max_depth=3, learning_rate=0.08, subsample=0.5, random_state=seed
    )
    return _version("boosted", trees, data, seed)


def coefficients(version: Version) -> dict[str, float]:
    """What a `logistic` version learned, per column and in the column's own unit."""
    scaler, regression = (step for _, step in version.estimator.steps)
    return dict(zip(COLUMN_NAMES, regression.coef_[0] / scaler.scale_, strict=True))


def _version(
    kind: str, estimator: Pipeline | GradientBoostingClassifier, data: TrainingSet, seed: int
) -> Version:
    estimator.fit(data.columns, data.positive)
    # Its word on the sample, to the last decimal that is kept, is what makes it this version.
    said = estimator.predict_proba(data.background)[:, 1].round(DECIMALS)
    digest = hashlib.sha256(np.ascontiguousarray(said, dtype="<f8").tobytes()).hexdigest()
    share = "log odds that are linear" if kind == "logistic" else "boosted trees"
    return Version(
        kind,
        f"{kind}-{digest[:DIGEST_LETTERS]}",
        f"Relapse or lapse within seven days, by {share}; trained on made-up lives.",
        estimator,
        data.background,
        {"seed": seed, "trained_on_weeks": len(data.positive), "kind": kind},
    )
