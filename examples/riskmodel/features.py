"""The declared features: what a weekly snapshot of a client says, in words that staff can read.

Nothing here comes from a study: names, limits and texts were written for this project.
"""

from __future__ import annotations

from typing import Any

from riskmodel import FEATURE_SET_VERSION

Value = float | int | bool | str | None
Features = dict[str, Value]

PHASES = ("intensive", "step_down", "aftercare")
DESCRIPTION = "A week of a client: craving, sleep, mood, contact, meetings, medication, programme."


def number(
    name: str, limits: tuple[float, float], raises: str, lowers: str, **more: Any
) -> dict[str, Any]:
    """The declaration of a number; `type="integer"` in `more` makes it a whole one."""
    low, high = limits
    declared = {"name": name, "type": "number", "minimum": low, "maximum": high}
    return {**declared, "texts": {"raises": raises, "lowers": lowers}, **more}


def choice(name: str, kind: dict[str, Any], raises: str, lowers: str) -> dict[str, Any]:
    """The declaration of a boolean or a category, which is also a subgroup of the metrics."""
    texts = {"raises": raises, "lowers": lowers}
    return {"name": name, **kind, "subgroup": True, "texts": texts}


DECLARATIONS = (
    number(
        "craving_mean",
        (0, 10),
        "Craving was strong this week",
        "Craving was weak this week",
    ),
    number(
        "craving_change",
        (-10, 10),
        "Craving is rising from week to week",
        "Craving is falling from week to week",
    ),
    number(
        "sleep_hours",
        (0, 14),
        "Slept too little",
        "Slept enough",
        nullable=True,
    ),
    number(
        "negative_mood",
        (0, 1),
        "The mood was low",
        "The mood was good",
    ),
    number(
        "isolated_days",
        (0, 7),
        "Many days without company",
        "Few days without company",
        type="integer",
    ),
    number(
        "days_since_contact",
        (0, 3650),
        "Nobody of the programme has spoken with the client for long",
        "Somebody of the programme has spoken with the client lately",
        type="integer",
    ),
    number(
        "meetings_attended",
        (0, 21),
        "Went to few meetings",
        "Went to meetings often",
        type="integer",
    ),
    number(
        "days_abstinent",
        (0, 36500),
        "The last use is not long ago",
        "Has been abstinent for long",
        type="integer",
    ),
    number(
        "medication_taken",
        (0, 1),
        "Left out doses of the medication",
        "Took the medication as agreed",
        nullable=True,
    ),
    choice(
        "housing_stable",
        {"type": "boolean"},
        "Has no settled place to live",
        "Has a settled place to live",
    ),
    choice(
        "phase",
        {"type": "category", "categories": list(PHASES)},
        "This part of the programme is one in which relapses are more frequent",
        "This part of the programme is one in which relapses are less frequent",
    ),
)
NAMES = tuple(declared["name"] for declared in DECLARATIONS)


def feature_set() -> dict[str, Any]:
    """The body of `POST /v1/feature-sets`."""
    return {
        "version": FEATURE_SET_VERSION,
        "description": DESCRIPTION,
        "features": list(DECLARATIONS),
    }


def faults(features: Features) -> list[str]:
    """What the declarations refuse of a snapshot, as the service would; [] of a good one."""
    found = [f"{name} is not declared" for name in features if name not in NAMES]
    for declared in DECLARATIONS:
        name = declared["name"]
        if name not in features:
            found.append(f"{name} is missing")
        elif not _fits(features[name], declared):
            found.append(f"{name} may not be {features[name]!r}")
    return found


def _fits(value: Value, declared: dict[str, Any]) -> bool:
    kind = declared["type"]
    if value is None:
        return bool(declared.get("nullable"))
    if kind == "category":
        return value in declared["categories"]
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    wanted = int if kind == "integer" else (int, float)
    return isinstance(value, wanted) and declared["minimum"] <= value <= declared["maximum"]
