"""The lexicon's matching, negation and combination, and the whole model."""

from __future__ import annotations

import unittest

import support  # noqa: F401 (puts the examples on the path)

from pipeline import lexicon
from pipeline.model import MAX_CHARACTERS_SCORED, Model
from pipeline.scoring import clauses, compile_lexicon, probability

HINTS = compile_lexicon({"urge": 0.5, "crav*": 0.4, "want ~ drink": 0.6})
EASING = compile_lexicon({"passed": 0.5})


def score(text: str) -> float:
    return probability(clauses(text), HINTS, EASING)


class ScoringTest(unittest.TestCase):
    def test_hits_combine_by_noisy_or(self) -> None:
        self.assertAlmostEqual(score("An urge."), 0.5)
        self.assertAlmostEqual(score("An urge, a craving"), 1 - 0.5 * 0.6)

    def test_a_phrase_counts_once(self) -> None:
        self.assertAlmostEqual(score("urge urge urge"), 0.5)

    def test_words_match_whole_stems_by_their_beginning(self) -> None:
        self.assertEqual(score("urgent"), 0.0)
        self.assertAlmostEqual(score("CRAVINGS!"), 0.4)

    def test_a_gap_is_at_most_three_words_of_one_clause(self) -> None:
        self.assertAlmostEqual(score("I want a cold strong drink"), 0.6)
        self.assertEqual(score("I want one two three four drink"), 0.0)
        self.assertEqual(score("I want out. Drink?"), 0.0)

    def test_a_negated_phrase_counts_a_tenth(self) -> None:
        self.assertAlmostEqual(score("I don't want a drink"), 0.06)
        self.assertAlmostEqual(score("I don’t want a drink"), 0.06)

    def test_negation_ends_with_its_clause(self) -> None:
        self.assertAlmostEqual(score("Not today, an urge"), 0.5)
        self.assertAlmostEqual(score("no sleep but urge"), 0.5)

    def test_easing_takes_weight_off(self) -> None:
        self.assertAlmostEqual(score("The urge passed"), 0.25)

    def test_nothing_found_is_zero(self) -> None:
        self.assertEqual(score(""), 0.0)
        self.assertEqual(score("…!?"), 0.0)

    def test_a_weight_outside_0_and_1_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "urge"):
            compile_lexicon({"urge": 1.0})


class ModelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.model = Model()

    def test_dimensions_are_told_apart(self) -> None:
        cases = {
            "p_craving": "I want a drink so badly that I can taste it",
            "p_relapse": "I drank again last night",
            "p_isolation": "Curtains closed, phone off, I haven't left the flat",
            "p_toxic": "Shut up, you are useless",
        }
        for wanted, text in cases.items():
            scores = self.model.score(text)
            others = [scores[name] for name in cases if name != wanted]
            with self.subTest(dimension=wanted):
                self.assertGreaterEqual(scores[wanted], 0.7)
                self.assertLess(max(others), 0.3)

    def test_mood_is_the_negative_part_of_vader(self) -> None:
        self.assertEqual(self.model.score("What a wonderful, happy day")["p_negative_mood"], 0.0)
        self.assertGreater(self.model.score("A terrible, sad day")["p_negative_mood"], 0.5)

    def test_any_text_gives_probabilities_with_six_decimals(self) -> None:
        texts = ["", " ", "😀" * 50, "\u0000", "a" * 60_000, "no " * 30_000, "ürge ‹› \u202e"]
        for text in texts:
            for name, value in self.model.score(text).items():
                with self.subTest(text=text[:8], name=name):
                    self.assertTrue(0.0 <= value <= 1.0)
                    self.assertEqual(value, round(value, 6))

    def test_a_text_scores_the_same_each_time_and_a_long_one_by_its_beginning(self) -> None:
        text = "The urge is strong tonight. "
        padded = text + "x" * MAX_CHARACTERS_SCORED
        self.assertEqual(self.model.score(text), self.model.score(text))
        self.assertEqual(self.model.score(padded), self.model.score(padded + " relapsed"))

    def test_every_entry_of_the_lexicon_finds_itself(self) -> None:
        for name in ("CRAVING", "RELAPSE", "ISOLATION", "TOXICITY"):
            for text, weight in getattr(lexicon, name).items():
                written = clauses(text.replace("*", "").replace("~ ", ""))
                with self.subTest(lexicon=name, entry=text):
                    self.assertAlmostEqual(
                        probability(written, compile_lexicon({text: weight})), weight
                    )


if __name__ == "__main__":
    unittest.main()
