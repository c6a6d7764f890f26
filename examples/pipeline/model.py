"""The model `vader-lexicon-1.0.0`: VADER for mood, the lexicon for everything else."""

from __future__ import annotations

from typing import TypedDict

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from pipeline import lexicon
from pipeline.scoring import clauses, compile_lexicon, probability

DECIMALS = 6  # As many as the social service keeps.
MAX_CHARACTERS_SCORED = 20_000  # Bounds the work on one message; the rest of it is not read.


class Scores(TypedDict):
    """Probabilities in [0, 1], rounded to 6 decimals; the same text always scores the same."""

    p_craving: float
    p_relapse: float
    p_negative_mood: float
    p_neutral: float
    p_toxic: float
    p_isolation: float


class Model:
    """Loads VADER's word list and compiles the lexicon once; `score` is then pure."""

    def __init__(self) -> None:
        self._vader = SentimentIntensityAnalyzer()
        self._craving = compile_lexicon(lexicon.CRAVING)
        self._eases_craving = compile_lexicon(lexicon.EASES_CRAVING)
        self._relapse = compile_lexicon(lexicon.RELAPSE)
        self._eases_relapse = compile_lexicon(lexicon.EASES_RELAPSE)
        self._isolation = compile_lexicon(lexicon.ISOLATION)
        self._toxicity = compile_lexicon(lexicon.TOXICITY)

    def score(self, text: str) -> Scores:
        """Score one message. Negative mood is the negative part of VADER's compound score."""
        read = text[:MAX_CHARACTERS_SCORED]
        mood = self._vader.polarity_scores(read)
        parts = clauses(read)
        return Scores(
            p_craving=round(probability(parts, self._craving, self._eases_craving), DECIMALS),
            p_relapse=round(probability(parts, self._relapse, self._eases_relapse), DECIMALS),
            p_negative_mood=round(max(0.0, -mood["compound"]), DECIMALS),
            p_neutral=round(mood["neu"], DECIMALS),
            p_toxic=round(probability(parts, self._toxicity), DECIMALS),
            p_isolation=round(probability(parts, self._isolation), DECIMALS),
        )
