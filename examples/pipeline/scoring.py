"""From a text to the probability of one dimension, by weighted phrases.

The hits of a dimension are combined by noisy-or, 1 - Π(1 - weight): each hit is seen as an
independent cause, so that two weak hints add up and no sum leaves [0, 1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from pipeline.lexicon import NEGATORS

NEGATION_REACH_WORDS = 3
NEGATED_SHARE = 0.1  # "I don't want a drink" is still about drinking, but hardly a craving.
MAX_GAP_WORDS = 3

_CLAUSE_END = re.compile(r"[.!?;,:()\n]+|\s-\s|\bbut\b")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class Phrase:
    """A parsed lexicon entry: `words` may end in `*` or be the gap `~`."""

    words: tuple[str, ...]
    weight: float


def compile_lexicon(entries: Mapping[str, float]) -> tuple[Phrase, ...]:
    """Parse `entries` (phrase → weight). Raises ValueError on a weight outside (0, 1)."""
    for text, weight in entries.items():
        if not 0.0 < weight < 1.0:
            raise ValueError(f"the weight of {text!r} must lie between 0 and 1, not {weight}")
    return tuple(Phrase(tuple(text.split()), weight) for text, weight in entries.items())


def clauses(text: str) -> list[list[str]]:
    """The words of `text`, lower case, by clause; curly apostrophes become straight ones."""
    plain = text.lower().replace("\u2019", "'").replace("\u2018", "'")
    found = [_WORD.findall(clause) for clause in _CLAUSE_END.split(plain)]
    return [words for words in found if words]


def probability(
    text_clauses: Sequence[Sequence[str]],
    phrases: Sequence[Phrase],
    easing: Sequence[Phrase] = (),
) -> float:
    """Noisy-or of the phrases found, times the factors of the easing phrases found. In [0, 1)."""
    misses = 1.0
    for phrase in phrases:
        misses *= 1.0 - strongest(text_clauses, phrase)
    return (1.0 - misses) * prod(
        phrase.weight for phrase in easing if strongest(text_clauses, phrase) > 0.0
    )


def strongest(text_clauses: Sequence[Sequence[str]], phrase: Phrase) -> float:
    """The weight `phrase` contributes: counted once, less when negated, 0.0 when absent."""
    best = 0.0
    for words in text_clauses:
        for start in range(len(words)):
            if not _matches(words, start, phrase.words):
                continue
            before = words[max(0, start - NEGATION_REACH_WORDS) : start]
            negated = any(word in NEGATORS for word in before)
            best = max(best, phrase.weight * (NEGATED_SHARE if negated else 1.0))
    return best


def _matches(words: Sequence[str], start: int, pattern: Sequence[str]) -> bool:
    """Whether `pattern` matches `words` from `start` on; `~` skips up to MAX_GAP_WORDS."""
    if not pattern:
        return True
    if pattern[0] == "~":
        return any(_matches(words, start + gap, pattern[1:]) for gap in range(MAX_GAP_WORDS + 1))
    if start >= len(words) or not _same(words[start], pattern[0]):
        return False
    return _matches(words, start + 1, pattern[1:])


def _same(word: str, wanted: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
