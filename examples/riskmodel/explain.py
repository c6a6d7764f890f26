"""Why a version says what it says: SHAP values of the declared features, in log odds.

The base and the contributions add up to the log odds of the probability. They are exact, for the
linear model as for the trees: no sampling, so that a second run explains in the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shap

from riskmodel.columns import by_feature, matrix
from riskmodel.features import Features
from riskmodel.train import Version

SHOWN_DECIMALS = 9
MAX_DIFFERENCE = 1e-6  # in log odds; the service allows 1e-3, what is exact needs no more


@dataclass(frozen=True)
class Explained:
    """`contributions` is snapshots × declared features (features.NAMES), in log odds."""

    base_value: float
    contributions: np.ndarray


class Explainer:
    """Explains one version. Raises ValueError where parts and whole do not agree."""

    def __init__(self, version: Version) -> None:
        self._estimator = version.estimator
        self._explain = _linear(version) if version.kind == "logistic" else _trees(version)

    def explain(self, snapshots: Sequence[Features]) -> Explained:
        """The contributions of every feature to every prediction."""
        columns = matrix(snapshots)
        base, of_columns = self._explain(columns)
        explained = Explained(
            round(base, SHOWN_DECIMALS), by_feature(of_columns).round(SHOWN_DECIMALS)
        )
        off = np.abs(
            explained.base_value
            + explained.contributions.sum(axis=1)
            - self._estimator.decision_function(columns)
        ).max(initial=0.0)
        if not off <= MAX_DIFFERENCE:
            raise ValueError(f"base and contributions are {off:g} off the prediction's log odds")
        return explained


def _linear(version: Version):
    scaler, regression = (step for _, step in version.estimator.steps)
    background = scaler.transform(version.background)
    # Without max_samples it would take a hundred of them.
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.LinearExplainer(regression, masker)

    def explain(columns: np.ndarray) -> tuple[float, np.ndarray]:
        return float(explainer.expected_value), explainer.shap_values(scaler.transform(columns))

    return explain


def _trees(version: Version):
    explainer = shap.TreeExplainer(version.estimator)
    base = float(np.ravel(explainer.expected_value)[0])

    def explain(columns: np.ndarray) -> tuple[float, np.ndarray]:
        return base, explainer.shap_values(columns)

    return explain
