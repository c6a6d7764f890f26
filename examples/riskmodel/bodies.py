"""What is sent to the risk service: the bodies of its routes, in one place."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

import numpy as np

from riskmodel import FEATURE_SET_VERSION, HORIZON_DAYS, MODEL_NAME, SOURCE
from riskmodel.explain import Explained
from riskmodel.features import NAMES
from riskmodel.law import Outcome, Week
from riskmodel.train import THRESHOLDS, Version

Json = dict[str, Any]


def user_id(client: int) -> str:
    """A client's id in all services."""
    return f"client-{client:04}"


def moment(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.isoformat().replace("+00:00", "Z")


def model(version: Version) -> Json:
    """A version as it is registered; it begins as a shadow."""
    return {
        "model_name": MODEL_NAME,
        "version": version.version,
        "feature_set_version": FEATURE_SET_VERSION,
        "thresholds": dict(zip(("moderate", "high", "very_high"), THRESHOLDS, strict=True)),
        "description": version.description,
        "metadata": version.metadata,
    }


def predictions(
    version: Version, weeks: list[Week], probabilities: np.ndarray, explained: Explained
) -> list[Json]:
    """One prediction for each week, with the snapshot that it was told and why it says so."""
    return [
        {
            "user_id": user_id(week.client),
            "feature_set_version": FEATURE_SET_VERSION,
            "captured_at": moment(week.at),
            "source": SOURCE,
            "features": week.features,
            "model_name": MODEL_NAME,
            "model_version": version.version,
            "predicted_at": moment(week.at),
            "horizon_days": HORIZON_DAYS,
            "probability": float(probability),
            "explanations": [explanation(week, explained.base_value, contributions)],
        }
        for week, probability, contributions in zip(
            weeks, probabilities, explained.contributions, strict=True
        )
    ]


def explanation(week: Week, base_value: float, contributions: np.ndarray) -> Json:
    """SHAP values in log odds, each with the value that the snapshot has."""
    return {
        "method": "shap",
        "link": "logit",
        "base_value": base_value,
        "contributions": [
            {"feature": name, "value": week.features[name], "contribution": float(contribution)}
            for name, contribution in zip(NAMES, contributions, strict=True)
        ],
    }


def outcome(reported: Outcome) -> Json:
    """What came of a client."""
    return {"kind": reported.kind, "occurred_at": moment(reported.occurred_at)}


def key(what: str, content: object) -> str:
    """An Idempotency-Key: the same content always gives the same one."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return f"riskmodel-{what}-{hashlib.sha256(canonical).hexdigest()[:40]}"
