"""The phrases clients write, by tone, and the words that fill their gaps.

The templates in `texts/` were written for this project; no message of a real person and no
corpus was used. A tone is a file there; its first line says which scores its lines must have,
and a test holds every filled line against that.
"""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

TEXTS = Path(__file__).parent / "texts"

# Every word here is neutral to the pipeline, so that a template scores the same whatever fills it.
SLOTS: dict[str, tuple[str, ...]] = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "hour": ("six", "half past six", "seven", "eight", "quarter to nine", "nine", "ten"),
    "meal": ("soup", "pasta", "rice and beans", "an omelette", "lentils", "noodles", "stew"),
    "kin": ("my sister", "my brother", "my mum", "my aunt", "my cousin", "my flatmate"),
    "place": ("library", "gym", "market", "bakery", "workshop", "corner shop", "bus station"),
    "walk": ("along the river", "down to the canal", "through the park", "up the hill"),
    "thing": ("shelf", "bike", "kitchen tap", "radio", "lamp", "coat rack"),
    "hobby": ("pottery", "swimming", "chess", "guitar", "drawing", "climbing"),
    "veg": ("beans", "carrots", "tomatoes", "radishes", "potatoes"),
    "game": ("cards", "table football", "badminton", "dominoes"),
    "distance": ("three kilometres", "five kilometres", "two miles", "four miles"),
}

_SLOT = re.compile(r"\{(\w+)\}")


@cache
def templates(tone: str) -> tuple[str, ...]:
    """The templates of `tone`, in the order of its file."""
    lines = (TEXTS / f"{tone}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def tones() -> tuple[str, ...]:
    """The names of all tones."""
    return tuple(sorted(path.stem for path in TEXTS.glob("*.txt")))


def fill(template: str, rng: random.Random) -> str:
    """`template` with every gap filled, and a capital at its start."""
    text = _SLOT.sub(lambda gap: rng.choice(SLOTS[gap.group(1)]), template)
    return text[:1].upper() + text[1:]
