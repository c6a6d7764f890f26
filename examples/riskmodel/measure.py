"""The measures of a version by scikit-learn, from what was posted and what came of it: the service
is compared with them. ECE and its bins are written down from their definition.

Each is a number, or None where it is not defined (one class only, nothing labelled).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

BINS = 10


@dataclass(frozen=True)
class Bin:
    """The labelled predictions with a probability in [low, high); the last bin has 1 as well."""

    low: float
    high: float
    n: int
    mean_score: float | None
    observed_rate: float | None


@dataclass(frozen=True)
class Measured:
    """A version in a window: counts, measures by the service's names, reliability bins."""

    n: int
    n_labelled: int
    n_positive: int
    measures: dict[str, float | None]
    bins: list[Bin]


def measure(
    probabilities: np.ndarray, labels: Sequence[bool | None], threshold: float
) -> Measured:
    """Measure predictions; those without a label count in `n` and in the labelled share alone."""
    known = np.array([label is not None for label in labels], dtype=bool)
    scores = probabilities[known]
    truth = np.array([label for label in labels if label is not None], dtype=int)
    bins = reliability(scores, truth)
    share = float(known.mean()) if len(known) else None
    return Measured(
        len(labels),
        len(truth),
        int(truth.sum()),
        {"labelled_share": share, **_measures(scores, truth, threshold), "ece": ece(bins)},
        bins,
    )


def reliability(scores: np.ndarray, truth: np.ndarray) -> list[Bin]:
    """Ten bins of equal width. A score on an edge is in the bin above it."""
    # In whole millionths: 0.3 as a double is less than three tenths.
    at = np.minimum(np.rint(scores * 1e6).astype(int) // 100_000, BINS - 1)
    found = []
    for number in range(BINS):
        inside = at == number
        n = int(inside.sum())
        mean = float(scores[inside].mean()) if n else None
        rate = float(truth[inside].mean()) if n else None
        found.append(Bin(number / BINS, (number + 1) / BINS, n, mean, rate))
    return found


def ece(bins: Sequence[Bin]) -> float | None:
    """Expected calibration error: the gaps between mean score and rate, each by its bin's share."""
    total = sum(part.n for part in bins)
    if not total:
        return None
    gaps = (part.n * abs(part.mean_score - part.observed_rate) for part in bins if part.n)
    return sum(gaps) / total


def _measures(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float | None]:
    if not len(truth):
        names = "prevalence brier log_loss auroc auprc precision_at_alert recall_at_alert"
        return dict.fromkeys(names.split())
    alerts = (scores >= threshold).astype(int)
    positives, negatives = int(truth.sum()), int(len(truth) - truth.sum())
    return {
        "prevalence": float(truth.mean()),
        "brier": float(brier_score_loss(truth, scores, pos_label=1)),
        "log_loss": float(log_loss(truth, scores, labels=[0, 1])),
        "auroc": float(roc_auc_score(truth, scores)) if positives and negatives else None,
        "auprc": float(average_precision_score(truth, scores)) if positives else None,
        "precision_at_alert": float(precision_score(truth, alerts)) if alerts.any() else None,
        "recall_at_alert": float(recall_score(truth, alerts)) if positives else None,
    }
