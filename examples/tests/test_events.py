"""The event watcher: what it accepts, what it refuses, when it ends."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import support  # noqa: F401 (puts the examples on the path)

from events import watch
from events.counts import Counts, from_lines, line
from events.envelope import CONTENT_TYPE, BadEnvelope, Event, read

EVENT_ID = "01960f3e-8a52-7c31-9d4e-2b6f1a7c8d90"
TYPE = "social.escalation.raised"


def envelope(**changes: Any) -> dict[str, Any]:
    """A good envelope, with `changes`; a value of None takes the attribute away."""
    attributes = {
        "specversion": "1.0",
        "id": EVENT_ID,
        "source": "/recoverly/social",
        "type": TYPE,
        "subject": "client-003",
        "time": "2026-05-01T12:00:00.123456Z",
        "dataschema": "/events/social.escalation.raised/1",
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "sequence": "42",
        "data": {"user_id": "client-003", "reasons": [{"code": "short_max"}]},
        **changes,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def check(content: Any, content_type: str | None = CONTENT_TYPE, key: str = TYPE) -> Event:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return read(body, content_type, key)


class EnvelopeTest(unittest.TestCase):
    def test_a_good_envelope_is_read(self) -> None:
        self.assertEqual(check(envelope()), Event(EVENT_ID, TYPE, "client-003"))

    def test_each_missing_or_wrong_attribute_is_named(self) -> None:
        cases = [
            ("id", None),
            ("id", "7"),
            ("source", None),
            ("source", "social"),
            ("type", None),
            ("type", "social.other"),
            ("subject", None),
            ("time", None),
            ("time", "yesterday"),
            ("time", "2026-05-01T14:00:00+02:00"),
            ("dataschema", None),
            ("datacontenttype", "text/plain"),
            ("traceparent", None),
            ("traceparent", "00-" + "0" * 32 + "-b7ad6b7169203331-01"),
            ("sequence", None),
            ("sequence", 42),
            ("specversion", "0.3"),
            ("specversion", None),
        ]
        for name, value in cases:
            with self.subTest(name=name, value=value):
                with self.assertRaises(BadEnvelope) as caught:
                    check(envelope(**{name: value}))
                if value != "yesterday":  # There the package's own words are told.
                    self.assertIn(name, str(caught.exception))

    def test_all_faults_are_told_at_once(self) -> None:
        with self.assertRaisesRegex(BadEnvelope, "traceparent.*sequence"):
            check(envelope(traceparent=None, sequence=None))

    def test_an_event_about_nobody_needs_no_subject(self) -> None:
        kind = "risk.drift.detected"
        event = check(envelope(type=kind, subject=None), key=kind)
        self.assertIsNone(event.subject)

    def test_client_data_in_an_event_is_refused_at_any_depth(self) -> None:
        data = {"items": [{"message_text": "private words"}]}
        with self.assertRaisesRegex(BadEnvelope, "message_text") as caught:
            check(envelope(data=data))
        self.assertNotIn("private words", str(caught.exception))

    def test_what_is_no_structured_json_is_refused(self) -> None:
        for body in (b"", b"{", b"[]", b"1", b"\xff", b'"x"', b"null"):
            with self.subTest(body=body), self.assertRaises(BadEnvelope):
                check(body)
        with self.assertRaisesRegex(BadEnvelope, "content type"):
            check(envelope(), "application/json")


class CountsTest(unittest.TestCase):
    def test_a_repeated_delivery_is_no_new_event(self) -> None:
        counts = Counts()
        for event in (Event("1", "a", "c1"), Event("1", "a", "c1"), Event("2", "b", None)):
            counts.add(event)
        self.assertEqual((counts.by_type.total(), counts.deliveries), (2, 3))
        self.assertRegex(counts.table(), r"a +1 +1 +1")
        self.assertRegex(counts.table(), r"total +2 +1")

    def test_lines_are_read_back(self) -> None:
        lines = [line(Event("1", "a", "c1")), line(Event("2", "a", None))]
        self.assertEqual(from_lines(lines).by_type, {"a": 2})
        for wrong in ("{}", "[]", "x"):
            with self.subTest(line=wrong), self.assertRaises(ValueError):
                from_lines([wrong])


class FakeChannel:
    """Yields `bodies`, then nothing, as pika does with an inactivity timeout."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies = bodies
        self.taken_away = False
        self.acked: list[int] = []

    def consume(self, _queue: str, inactivity_timeout: float) -> Iterator[tuple[Any, Any, Any]]:
        for tag, body in enumerate(self.bodies, start=1):
            method = SimpleNamespace(routing_key=TYPE, delivery_tag=tag)
            yield method, SimpleNamespace(content_type=CONTENT_TYPE), body
        while not self.taken_away:
            yield None, None, None

    def basic_ack(self, tag: int) -> None:
        self.acked.append(tag)


class WatchTest(unittest.TestCase):
    taken_away = False

    def run_main(self, bodies: list[bytes], *arguments: str) -> tuple[int, str, str]:
        self.channel = FakeChannel(bodies)
        self.channel.taken_away = self.taken_away
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(watch, "open_channel", return_value=(self.channel, "q")),
            mock.patch.object(watch.signal, "signal"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = watch.main(list(arguments))
        return status, out.getvalue(), err.getvalue()

    def test_it_ends_after_the_count(self) -> None:
        good = json.dumps(envelope()).encode()
        status, out, _ = self.run_main([good] * 5, "--count", "3")
        self.assertEqual((status, self.channel.acked), (0, [1, 2, 3]))
        self.assertIn(TYPE, out)

    def test_it_ends_when_nothing_comes(self) -> None:
        status, out, _ = self.run_main([json.dumps(envelope()).encode()], "--until-idle", "0.005")
        self.assertEqual(status, 0)
        self.assertIn("total", out)

    def test_too_few_events_in_the_time_have_a_status_of_their_own(self) -> None:
        status, _, err = self.run_main([], "--seconds", "0.005", "--count", "1")
        self.assertEqual(status, 3)
        self.assertIn("0 of 1", err)

    def test_a_bad_envelope_ends_it_with_its_reason(self) -> None:
        status, _, err = self.run_main([json.dumps(envelope(sequence=None)).encode()])
        self.assertEqual((status, self.channel.acked), (1, []))
        self.assertIn("sequence", err)

    def test_a_queue_taken_away_is_no_good_end(self) -> None:
        self.taken_away = True
        status, out, err = self.run_main([json.dumps(envelope()).encode()])
        self.assertEqual(status, 1)
        self.assertIn("took the queue away", err)
        self.assertIn("total", out)

    def test_json_lines_leave_stdout_to_the_events(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder) / "ready"
            body = json.dumps(envelope()).encode()
            _, out, err = self.run_main(
                [body], "--json", "--count", "1", "--ready-file", str(ready)
            )
            self.assertTrue(ready.exists())
        self.assertEqual(json.loads(out), {"id": EVENT_ID, "type": TYPE, "subject": "client-003"})
        self.assertIn("total", err)

    def test_without_a_broker_it_says_what_to_do(self) -> None:
        options = argparse.Namespace(ready_file=None)
        for url, advice in ((None, "not set"), ("amqp://127.0.0.1:1/x", "make status")):
            environment = {} if url is None else {watch.URL_VARIABLE: url}
            with (
                self.subTest(url=url),
                mock.patch.dict(os.environ, environment, clear=True),
                self.assertRaisesRegex(watch.UserError, advice),
            ):
                watch.run(options, Counts())


if __name__ == "__main__":
    unittest.main()
