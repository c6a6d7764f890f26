"""What the service calls a prediction right or wrong by, written down once more and independently.

A prediction is positive if a relapse or lapse falls in (predicted_at, predicted_at + horizon].
Without, it is negative once the horizon is over; but where a dropout or "unknown" falls into the
horizon nobody can know, and it stays without a label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from riskmodel import HORIZON_DAYS
from riskmodel.law import Outcome, Week

HORIZON = timedelta(days=HORIZON_DAYS)
USE = frozenset({"relapse", "lapse"})
UNKNOWABLE = frozenset({"dropout", "unknown"})


def labels(
    weeks: Sequence[Week], outcomes: Sequence[Outcome], now: datetime
) -> list[bool | None]:
    """The label of each week's prediction; None where it is open or nobody can know."""
    of_client: dict[int, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        of_client[outcome.client].append(outcome)
    return [_label(week.at, of_client[week.client], now) for week in weeks]


def _label(at: datetime, outcomes: list[Outcome], now: datetime) -> bool | None:
    kinds = {o.kind for o in outcomes if at < o.occurred_at <= at + HORIZON}
    if kinds & USE:
        return True
    if kinds & UNKNOWABLE or now < at + HORIZON:
        return None
    return False
