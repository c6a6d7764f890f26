"""The described events: the document agrees with itself and with the code, and broken events are found."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

CHECK = Path(__file__).resolve().parents[2] / "docs/events/check.py"
spec = importlib.util.spec_from_file_location("event_check", CHECK)
assert spec and spec.loader
check = importlib.util.module_from_spec(spec)
sys.modules["event_check"] = check
spec.loader.exec_module(check)

DOCUMENT = check.load()
RUST = check.contracts()
KEY = "social.profile.changed"


def envelope(key: str = KEY) -> dict[str, Any]:
    """The document's own example."""
    return copy.deepcopy(DOCUMENT["components"]["messages"][key]["examples"][0]["payload"])


def faults_of(event: Any) -> list[str]:
    line = event if isinstance(event, str) else json.dumps(event)
    return [fault for _, fault in check.line_faults(check.Contract(DOCUMENT), [line])]


class DocumentTest(unittest.TestCase):
    def test_the_document_is_sound(self) -> None:
        self.assertEqual(list(check.structure_faults(DOCUMENT)), [])

    def test_document_and_code_describe_the_same_events(self) -> None:
        self.assertEqual(list(check.code_faults(DOCUMENT, RUST)), [])

    def test_a_new_routing_key_or_field_in_the_code_is_noticed(self) -> None:
        more = RUST.replace(
            '"core.user.created"', '"core.user.welcomed"'
        ).replace("pub trigger_count: i32", "pub tier: i32,\n    pub trigger_count: i32")
        found = "\n".join(check.code_faults(DOCUMENT, more))
        self.assertIn("core.user.welcomed: only in the code", found)
        self.assertIn("core.user.created: only in the document", found)
        self.assertIn("EscalationChanged", found)

    def test_each_broken_part_of_the_document_is_noticed(self) -> None:
        def another_address(broken: Any) -> None:
            broken["channels"][KEY]["address"] = "social.profile.moved"

        def dangling(broken: Any) -> None:
            broken["channels"][KEY]["messages"]["event"]["$ref"] = "#/components/messages/none"

        def no_sender(broken: Any) -> None:
            del broken["operations"]["social.sends.profile.changed"]

        def bad_example(broken: Any) -> None:
            example = broken["components"]["messages"][KEY]["examples"][0]["payload"]
            example["data"]["risk_trend"] = "sideways"

        def bad_schema(broken: Any) -> None:
            broken["components"]["schemas"]["Score"]["minimum"] = "none"

        for fault in (another_address, dangling, no_sender, bad_example, bad_schema):
            with self.subTest(fault.__name__):
                broken = copy.deepcopy(DOCUMENT)
                fault(broken)
                self.assertNotEqual(list(check.structure_faults(broken)), [])

    def test_what_nothing_publishes_yet_is_marked(self) -> None:
        published = set(check.Contract(DOCUMENT).published())
        silent = set(DOCUMENT["channels"]) - published
        self.assertEqual(silent, {"reco.recommendation.created"})


class EventTest(unittest.TestCase):
    def test_an_envelope_an_outbox_row_and_a_line_of_the_watcher_are_read(self) -> None:
        event = envelope()
        row = {"type": KEY, "data": event["data"]}
        seen = {"id": event["id"], "type": KEY, "subject": event["subject"]}
        for good in (event, row, seen):
            self.assertEqual(faults_of(good), [])

    def test_the_empty_line_at_the_end_is_no_event(self) -> None:
        self.assertEqual(faults_of("\n"), [])

    def test_faults_are_named_by_place_and_rule(self) -> None:
        cases: list[tuple[tuple[str, ...], Any, str]] = [
            (("id",), "7", "/id: pattern"),
            (("source",), "/recoverly/core", "/source: const"),
            (("time",), "2026-11-22T10:30:00+01:00", "/time: pattern"),
            (("sequence",), 7, "/sequence: type"),
            (("data", "current_risk_label"), "FINE", "/data/current_risk_label: enum"),
            (("data", "short_avg_risk_score"), 1.5, "/data/short_avg_risk_score: maximum"),
            (("data", "message_text"), "secret", "/data: has a field that is not described"),
        ]
        for path, value, expected in cases:
            with self.subTest(path=path):
                event = envelope()
                target = event["data"] if path[0] == "data" else event
                target[path[-1]] = value
                self.assertEqual(faults_of(event), [f"{KEY}: {expected}"])

    def test_a_missing_field_is_named(self) -> None:
        event = envelope()
        del event["data"]["risk_trend"]
        self.assertEqual(faults_of(event), [f"{KEY}: /data: lacks risk_trend"])
        row = {"type": KEY, "data": event["data"]}
        self.assertEqual(faults_of(row), [f"{KEY}: /data: lacks risk_trend"])

    def test_no_value_is_quoted(self) -> None:
        event = envelope()
        event["data"]["current_risk_label"] = "relapsed in May"
        event["type"] = "relapsed in June"
        self.assertNotIn("relapsed", "".join(faults_of(event)))

    def test_what_is_no_event_is_refused(self) -> None:
        self.assertEqual(faults_of("{"), ["not JSON"])
        self.assertEqual(faults_of("[1]"), ["not an object"])
        self.assertEqual(faults_of({"type": "core.user.gone"}), ["event: /type: no such routing key"])
        self.assertEqual(faults_of("x" * 300_001), ["too long"])


class ProgramTest(unittest.TestCase):
    def run_on(self, *lines: Any) -> tuple[int, str]:
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            out = io.StringIO()
            return check.main([file.name], out), out.getvalue()

    def test_good_events_exit_with_zero_and_bad_ones_with_their_line(self) -> None:
        good = envelope()
        self.assertEqual(self.run_on(good)[0], 0)
        status, said = self.run_on(good, {"type": KEY, "data": {}})
        self.assertEqual(status, 1)
        self.assertIn(":2: social.profile.changed: /data: lacks user_id", said)

    def test_an_absent_file_is_wrong_usage(self) -> None:
        with redirect_stderr(io.StringIO()) as said:
            self.assertEqual(check.main(["/nowhere/events.jsonl"], io.StringIO()), 2)
        self.assertIn("No such file", said.getvalue())


if __name__ == "__main__":
    unittest.main()
