"""From snapshots to the columns a model reads. Each column belongs to one declared feature, so that
what the columns contribute adds up to what the features do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from riskmodel.features import NAMES, PHASES, Features

TYPICAL_SLEEP_HOURS = 7.0  # stands in where it was not measured; a column of its own says so

# (the feature, the column's name), in the order of `_row`.
COLUMNS = (
    ("craving_mean", "craving_mean"),
    ("craving_change", "craving_change"),
    ("sleep_hours", "sleep_hours"),
    ("sleep_hours", "sleep_hours is null"),
    ("negative_mood", "negative_mood"),
    ("isolated_days", "isolated_days"),
    ("days_since_contact", "log1p(days_since_contact)"),
    ("meetings_attended", "meetings_attended"),
    ("days_abstinent", "log1p(days_abstinent)"),
    ("medication_taken", "medication_taken"),
    ("medication_taken", "medication_taken is null"),
    ("housing_stable", "housing_stable"),
    *(("phase", f"phase={phase}") for phase in PHASES),
)
COLUMN_NAMES = tuple(column for _, column in COLUMNS)

# features × columns: which column is whose.
_BELONGS = np.array([[float(owner == name) for owner, _ in COLUMNS] for name in NAMES])


def matrix(snapshots: Sequence[Features]) -> np.ndarray:
    """Snapshots × columns."""
    return np.array([_row(features) for features in snapshots], dtype=float)


def by_feature(of_columns: np.ndarray) -> np.ndarray:
    """Contributions of columns (rows × columns) as those of features (rows × NAMES)."""
    return of_columns @ _BELONGS.T


def _row(features: Features) -> list[float]:
    sleep, taken = features["sleep_hours"], features["medication_taken"]
    return [
        float(features["craving_mean"]),
        float(features["craving_change"]),
        TYPICAL_SLEEP_HOURS if sleep is None else float(sleep),
        float(sleep is None),
        float(features["negative_mood"]),
        float(features["isolated_days"]),
        float(np.log1p(features["days_since_contact"])),
        float(features["meetings_attended"]),
        float(np.log1p(features["days_abstinent"])),
        0.0 if taken is None else float(taken),
        float(taken is None),
        float(features["housing_stable"]),
        *(float(features["phase"] == phase) for phase in PHASES),
    ]
