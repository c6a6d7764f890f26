"""The phrases: many, distinct, harmless, and scored as the head of their file says."""

from __future__ import annotations

import random
import re
import unittest

import support  # noqa: F401 (puts the examples on the path)

from cohort.phrases import SLOTS, fill, templates, tones
from pipeline.model import Model, Scores

FILLS_PER_TEMPLATE = 4

# tone: (least, most) risk score; the other dimensions are held below.
RISK_BANDS = {
    "bright": (0.0, 0.20),
    "plain": (0.0, 0.20),
    "eased": (0.0, 0.35),
    "tired": (0.20, 0.40),
    "upset": (0.38, 0.65),
    "struggle": (0.32, 0.499999),
    "warning": (0.50, 0.699999),
    "crisis": (0.80, 1.0),
    "apart": (0.0, 0.30),
    "alone": (0.0, 0.20),
    "hostile": (0.20, 0.65),
}


def risk_score(scores: Scores) -> float:
    return max(scores["p_craving"], scores["p_relapse"], 0.7 * scores["p_negative_mood"])


def faults(tone: str, scores: Scores) -> list[str]:
    """What in `scores` does not fit the tone."""
    least, most = RISK_BANDS[tone]
    signal = max(scores["p_craving"], scores["p_relapse"])
    isolation, toxic = scores["p_isolation"], scores["p_toxic"]
    checks = {
        "risk": least <= risk_score(scores) <= most,
        "signal": signal >= 0.5 if tone in ("warning", "crisis") else signal < 0.5,
        "toxic": toxic >= 0.7 if tone == "hostile" else toxic < 0.5,
        "isolation": {"alone": isolation >= 0.9, "apart": 0.45 <= isolation < 0.9}.get(
            tone, isolation < 0.7
        ),
    }
    return [name for name, holds in checks.items() if not holds]


class PhrasesTest(unittest.TestCase):
    def test_every_filled_template_scores_as_its_tone_says(self) -> None:
        model = Model()
        for tone in tones():
            for template in templates(tone):
                for number in range(FILLS_PER_TEMPLATE):
                    text = fill(template, random.Random(number))
                    scores = model.score(text)
                    if wrong := faults(tone, scores):
                        self.fail(f"{tone}: {text!r} breaks {wrong}: {scores}")

    def test_there_are_several_hundred_and_no_two_alike(self) -> None:
        everything = [template for tone in tones() for template in templates(tone)]
        self.assertGreaterEqual(len(everything), 330)
        self.assertEqual(len(everything), len(set(everything)))
        self.assertEqual(set(tones()), set(RISK_BANDS))

    def test_every_gap_has_words_and_all_words_are_used(self) -> None:
        gaps = {
            gap
            for tone in tones()
            for template in templates(tone)
            for gap in re.findall(r"\{(\w+)\}", template)
        }
        self.assertEqual(gaps, set(SLOTS))

    def test_no_text_holds_an_address_a_number_or_a_link(self) -> None:
        for tone in tones():
            for template in templates(tone):
                self.assertIsNone(re.search(r"@|\d|https?:|www\.", template), template)


if __name__ == "__main__":
    unittest.main()
