"""The lives of the cohort: for each a day-by-day arc, as stretches of days with a tone.

A life says what somebody writes about, how often, and to whom; `build.py` turns it into messages.
The numbers of clients per life make the spread of labels that the tests assert.
"""

from __future__ import annotations

from dataclasses import dataclass

DAYS = 30  # A client's story covers the last 30 days; day 0 is the last 24 hours.


@dataclass(frozen=True)
class Stretch:
    """The days from `first` down to `last` (days ago, inclusive), oldest first.

    `per_day` is the least and the most messages on such a day; `tones` and `channels` map a
    name to its weight in the draw.
    """

    first: int
    last: int
    per_day: tuple[int, int]
    tones: dict[str, int]
    channels: dict[str, int]


@dataclass(frozen=True)
class Life:
    """One kind of life, lived by `clients` people, which the rules should label `label`."""

    name: str
    clients: int
    label: str
    stretches: tuple[Stretch, ...]


CONNECTED = {"buddy": 5, "group": 2, "counselor": 2, "family": 2, "assistant": 2}
MOSTLY_BUDDY = {"buddy": 7, "group": 1, "assistant": 2}
NO_BUDDY = {"counselor": 2, "family": 1, "assistant": 5}
ASSISTANT = {"assistant": 1}

GOOD = {"bright": 6, "plain": 5, "eased": 1}
EVEN = {"plain": 6, "bright": 3, "tired": 1}
MIXED = {"plain": 4, "tired": 3, "eased": 2, "bright": 1}
HEAVY = {"tired": 3, "struggle": 3, "upset": 1, "plain": 2}
CRAVING = {"struggle": 5, "upset": 2}
CLOSE = {"warning": 5, "struggle": 2, "upset": 1}
OPENING_UP = {"apart": 2, "plain": 2}

LIVES: tuple[Life, ...] = (
    Life(
        "improving",
        12,
        "LOW_RISK",
        (
            Stretch(29, 22, (1, 3), {**CLOSE, "hostile": 1}, CONNECTED),
            Stretch(21, 15, (1, 3), HEAVY, CONNECTED),
            Stretch(14, 8, (1, 3), MIXED, CONNECTED),
            Stretch(7, 0, (1, 3), GOOD, MOSTLY_BUDDY),
        ),
    ),
    Life(
        "steady",
        14,
        "LOW_RISK",
        (
            Stretch(29, 10, (1, 3), EVEN, CONNECTED),
            Stretch(9, 0, (1, 3), {**GOOD, "tired": 1}, MOSTLY_BUDDY),
        ),
    ),
    Life(
        "silent",
        6,
        "LOW_RISK",  # Labelled by what is 8 to 30 days old; the silence itself is a nudge.
        (
            Stretch(29, 18, (1, 2), EVEN, CONNECTED),
            Stretch(17, 9, (0, 1), MIXED, CONNECTED),
        ),
    ),
    Life("not started", 3, "UNKNOWN", ()),
    Life(
        "struggling",
        5,
        "MODERATE_RISK",
        (
            Stretch(29, 15, (1, 3), MIXED, CONNECTED),
            Stretch(14, 8, (1, 3), HEAVY, CONNECTED),
            Stretch(7, 0, (1, 3), CRAVING, CONNECTED),
        ),
    ),
    Life(
        "slipping",
        4,
        "MODERATE_RISK",
        (
            Stretch(29, 15, (1, 3), EVEN, CONNECTED),
            Stretch(14, 8, (1, 3), GOOD, CONNECTED),
            Stretch(7, 0, (1, 2), {"struggle": 3, "upset": 1, "tired": 1}, MOSTLY_BUDDY),
        ),
    ),
    Life(
        "drifting from the buddy",
        3,
        "MODERATE_RISK",
        (
            Stretch(29, 9, (1, 3), MIXED, CONNECTED),
            Stretch(8, 0, (1, 2), {"tired": 4, "struggle": 1}, NO_BUDDY),
        ),
    ),
    Life(
        "isolating",
        5,
        "ISOLATION_ONLY",
        (
            Stretch(29, 20, (1, 3), EVEN, CONNECTED),
            Stretch(19, 9, (1, 2), OPENING_UP, NO_BUDDY),
            Stretch(8, 0, (1, 2), {"alone": 1}, ASSISTANT),
        ),
    ),
    Life(
        "heading for relapse",
        5,
        "HIGH_RISK",
        (
            Stretch(29, 18, (1, 3), EVEN, CONNECTED),
            Stretch(17, 11, (1, 3), HEAVY, CONNECTED),
            Stretch(10, 4, (1, 3), {"struggle": 3, "warning": 2}, CONNECTED),
            Stretch(3, 0, (2, 3), {"crisis": 1, "warning": 3}, MOSTLY_BUDDY),
            Stretch(1, 0, (1, 1), {"crisis": 1}, ASSISTANT),
        ),
    ),
    Life(
        "sudden turn",
        3,
        "HIGH_RISK",
        (
            Stretch(29, 2, (1, 2), {**EVEN, "eased": 1}, CONNECTED),
            Stretch(1, 0, (1, 2), {"crisis": 1}, {"buddy": 1, "assistant": 1}),
        ),
    ),
)
