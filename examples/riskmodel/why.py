"""Why a version is worried about a client, in the words of the feature set: for a terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

from apiclient.http import Api
from riskmodel import MODEL_NAME, bodies
from riskmodel.explain import Explainer
from riskmodel.features import DECLARATIONS, NAMES
from riskmodel.law import Week
from riskmodel.train import Version

REASONS_SHOWN = 5


def most_worrying(version: Version, weeks: list[Week]) -> Week:
    """Of some weeks (at least one), the one that a version gives the highest probability."""
    return weeks[int(version.probabilities([week.features for week in weeks]).argmax())]


def here(version: Version, week: Week) -> str:
    """As reckoned here."""
    probability = float(version.probabilities([week.features])[0])
    contributions = Explainer(version).explain([week.features]).contributions[0]
    lines = []
    for place in np.argsort(-np.abs(contributions)):
        part = float(contributions[place])
        text = DECLARATIONS[place]["texts"]["raises" if part > 0 else "lowers"]
        lines.append((part, text, f"{NAMES[place]} {_shown(week.features[NAMES[place]])}"))
    return _said(bodies.user_id(week.client), probability, lines)


def there(counselor: Api, version: Version, week: Week) -> str:
    """As the risk service tells it a counselor of the client: with what changed since the last
    snapshot. Raises ApiError."""
    user_id = bodies.user_id(week.client)
    path = f"/v1/users/{user_id}/predictions?model={MODEL_NAME}&version={version.version}&limit=1"
    latest = counselor.get(path).get("items") or []
    if not latest:
        return f"{user_id}: the service has no prediction"
    told = counselor.get(f"/v1/predictions/{latest[0]['prediction_id']}")
    shap = next((e for e in told["explanations"] if e["method"] == "shap"), {"contributions": []})
    lines = [
        (part["contribution"], part["text"], f"{part['feature']} {_value(part)}")
        for part in shap["contributions"]
    ]
    return f"{_said(user_id, told['probability'], lines)}\n  {told['risk_level']}, {told['stage']}"


def _said(user_id: str, probability: float, lines: list[tuple[float, str, str]]) -> str:
    first = f"{user_id}: {probability:.0%} within seven days"
    shown = (f"  {part:+.2f}  {text} ({value})" for part, text, value in lines[:REASONS_SHOWN])
    return "\n".join([first, *shown])


def _value(part: dict[str, Any]) -> str:
    since = f", {part['change']:+.3g} since the week before" if part.get("change") else ""
    return _shown(part["value"]) + since


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
