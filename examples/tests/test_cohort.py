"""The cohort: the spread of labels, and the same lives for every seed and end."""

from __future__ import annotations

import unittest
from collections import Counter
from datetime import datetime, timedelta, timezone
from functools import cache

import support  # noqa: F401 (puts the examples on the path)

from cohort.build import Client, build
from cohort.load import MAX_MESSAGES_PER_REQUEST
from cohort.reference import Scored, label, millionths
from pipeline.model import Model, Scores

SEEDS = (1, 2, 3, 4)
ENDS = (
    datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc),  # clocks change in Europe
    datetime(2025, 11, 2, 14, 7, 3, 250, tzinfo=timezone.utc),  # and in North America
    datetime(2026, 7, 15, 23, 59, tzinfo=timezone.utc),
)
SPREAD = {
    "HIGH_RISK": range(6, 10),
    "MODERATE_RISK": range(10, 16),
    "ISOLATION_ONLY": range(3, 7),
    "UNKNOWN": range(2, 5),
    "LOW_RISK": range(26, 40),
}

MODEL = Model()


@cache
def scores(text: str) -> Scores:
    return MODEL.score(text)


def history(client: Client) -> list[Scored]:
    return [
        Scored(
            time=message.timestamp,
            conversation_type=message.conversation_type,
            craving=millionths(scores(message.text)["p_craving"]),
            relapse=millionths(scores(message.text)["p_relapse"]),
            negative_mood=millionths(scores(message.text)["p_negative_mood"]),
            isolation=millionths(scores(message.text)["p_isolation"]),
        )
        for message in client.messages
    ]


class CohortTest(unittest.TestCase):
    def test_every_client_gets_the_label_of_the_life_for_every_seed_and_end(self) -> None:
        for seed in SEEDS:
            for end in ENDS:
                found = Counter()
                for client in build(seed, end):
                    name, rules = label(history(client), end)
                    found[name] += 1
                    case = (seed, end, client.user_id, client.life.name, rules)
                    self.assertEqual(name, client.life.label, case)
                for name, allowed in SPREAD.items():
                    self.assertIn(found[name], allowed, (seed, end, name))

    def test_labels_that_matter_hold_for_the_next_half_day(self) -> None:
        end = ENDS[0]
        for client in build(1, end):
            if client.life.label in ("HIGH_RISK", "MODERATE_RISK", "ISOLATION_ONLY"):
                later, _ = label(history(client), end + timedelta(hours=12))
                self.assertEqual(later, client.life.label, client.user_id)

    def test_ids_lives_and_caseloads_do_not_depend_on_seed_or_end(self) -> None:
        def frame(seed: int, end: datetime) -> list[tuple[str, ...]]:
            return [
                (c.user_id, c.username, c.display_name, c.timezone, c.life.name, c.staff)
                for c in build(seed, end)
            ]

        self.assertEqual(frame(1, ENDS[0]), frame(2, ENDS[1]))
        clients = build(1, ENDS[0])
        self.assertEqual((clients[0].user_id, clients[-1].user_id), ("client-001", "client-060"))
        self.assertEqual(
            Counter(c.staff for c in clients), {"counselor": 40, "counselor_other": 20}
        )
        self.assertGreater(len({c.timezone for c in clients}), 5)

    def test_each_caseload_has_clients_of_every_urgent_label(self) -> None:
        seen = {(c.staff, c.life.label) for c in build(1, ENDS[0])}
        for staff in ("counselor", "counselor_other"):
            for name in ("HIGH_RISK", "MODERATE_RISK", "ISOLATION_ONLY", "LOW_RISK"):
                self.assertIn((staff, name), seen)

    def test_the_same_seed_and_end_give_the_same_messages(self) -> None:
        self.assertEqual(build(1, ENDS[0]), build(1, ENDS[0]))
        self.assertNotEqual(build(1, ENDS[0]), build(2, ENDS[0]))

    def test_another_end_moves_the_days_and_keeps_the_words(self) -> None:
        for one, other in zip(build(1, ENDS[0]), build(1, ENDS[2])):
            self.assertEqual(
                Counter(m.text for m in one.messages), Counter(m.text for m in other.messages)
            )

    def test_messages_lie_in_the_last_thirty_days_in_order(self) -> None:
        for end in ENDS:
            for client in build(3, end):
                times = [message.timestamp for message in client.messages]
                self.assertEqual(times, sorted(times))
                self.assertTrue(all(end - timedelta(days=30) < t <= end for t in times))
                self.assertLess(len(times), MAX_MESSAGES_PER_REQUEST)

    def test_the_days_are_told_message_by_message(self) -> None:
        clients = build(1, ENDS[0])
        self.assertTrue(2500 < sum(len(c.messages) for c in clients) < 4000)
        silent = [c for c in clients if c.life.name == "silent"]
        for client in silent:
            self.assertGreater(ENDS[0] - client.messages[-1].timestamp, timedelta(days=8))


if __name__ == "__main__":
    unittest.main()
