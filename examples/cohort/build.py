"""Turns the lives into clients and messages, the same for the same seed and end.

Which client lives which life, who is on whose caseload and every id depend on neither; the texts
and times of day depend on the seed; the dates depend on the end alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from cohort.lives import LIVES, Life, Stretch
from cohort.phrases import fill, templates

COUNSELOR_SHARE = (2, 3)  # Two of three clients are the counselor's, the third another's.
SHUFFLE_SEED = "who lives which life"
FIRST_WAKING_SECOND = 6 * 3600 + 1800
LAST_WAKING_SECOND = 23 * 3600

TIMEZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "Asia/Hong_Kong",
    "Asia/Kolkata",
    "Australia/Sydney",
    "Africa/Lagos",
    "UTC",
)


@dataclass(frozen=True)
class Message:
    """One own message of a client; `timestamp` is aware, in UTC, with whole microseconds."""

    text: str
    conversation_type: str
    timestamp: datetime
    tone: str


@dataclass(frozen=True)
class Client:
    """A client of the cohort with all messages, oldest first."""

    user_id: str
    username: str
    display_name: str
    timezone: str
    life: Life
    staff: str  # The credentials entry of the caseload: `counselor` or `counselor_other`.
    messages: tuple[Message, ...]


def build(seed: int, end: datetime) -> list[Client]:
    """All clients of the cohort, their last messages in the 24 hours up to `end` (aware)."""
    return [
        client(number, life, seed, end) for number, life in enumerate(assigned_lives(), start=1)
    ]


def assigned_lives() -> list[Life]:
    """The life of each client in the order of their numbers, mixed but always the same."""
    lives = [life for life in LIVES for _ in range(life.clients)]
    random.Random(SHUFFLE_SEED).shuffle(lives)
    return lives


def client(number: int, life: Life, seed: int, end: datetime) -> Client:
    """Client `number` (from 1) living `life`."""
    user_id = f"client-{number:03}"
    zone = TIMEZONES[number % len(TIMEZONES)]
    rng = random.Random(f"{seed}/{user_id}")
    messages = [
        message
        for stretch in life.stretches
        for message in stretch_messages(stretch, rng, ZoneInfo(zone), end)
    ]
    share, of = COUNSELOR_SHARE
    return Client(
        user_id=user_id,
        username=f"client{number:03}",
        display_name=f"Client {number:03}",
        timezone=zone,
        life=life,
        staff="counselor" if number % of < share else "counselor_other",
        messages=tuple(sorted(messages, key=lambda message: message.timestamp)),
    )


def stretch_messages(
    stretch: Stretch, rng: random.Random, zone: ZoneInfo, end: datetime
) -> Iterator[Message]:
    """The messages of one stretch; a template comes again only when its tone is used up."""
    decks: dict[str, list[str]] = {}
    for days_ago in range(stretch.first, stretch.last - 1, -1):
        for _ in range(rng.randint(*stretch.per_day)):
            tone = draw(stretch.tones, rng)
            deck = decks.setdefault(tone, [])
            if not deck:
                deck.extend(templates(tone))
                rng.shuffle(deck)
            yield Message(
                text=fill(deck.pop(), rng),
                conversation_type=draw(stretch.channels, rng),
                timestamp=moment(days_ago, waking_seconds(rng), zone, end),
                tone=tone,
            )


def draw(weights: dict[str, int], rng: random.Random) -> str:
    """One of the names, by its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


def waking_seconds(rng: random.Random) -> float:
    """A time of day, in seconds since midnight, at which people write."""
    return rng.uniform(FIRST_WAKING_SECOND, LAST_WAKING_SECOND)


def moment(days_ago: int, seconds: float, zone: ZoneInfo, end: datetime) -> datetime:
    """The instant within (end - days_ago - 1 days, end - days_ago] at that local time of day.

    Days are steps of 24 hours, so that no message leaves its window when the clocks change.
    """
    midnight = datetime.combine(end.astimezone(zone).date(), time(), zone)
    latest = midnight.astimezone(timezone.utc) + timedelta(seconds=seconds)
    while latest > end:
        latest -= timedelta(days=1)
    while latest <= end - timedelta(days=1):
        latest += timedelta(days=1)
    return latest - timedelta(days=days_ago)
