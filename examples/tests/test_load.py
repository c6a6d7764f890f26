"""Loading the cohort: a second load doubles nothing, an interrupted one goes on."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import unittest
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from support import FakeService, Reply, Request, credentials_file

from cohort.__main__ import main
from cohort.build import build
from cohort.load import MAX_MESSAGES_PER_REQUEST, batch_key, batches

END = "2026-05-01T12:00:00Z"
LATER = "2026-05-03T09:00:00Z"


class Core:
    """A core that keeps accounts, caseloads and messages. `full_after` batches it fails."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.caseload: dict[str, str] = {}
        self.messages: list[dict[str, Any]] = []
        self.batches_left = 1000
        self.service = FakeService(test, self.answer)

    def answer(self, request: Request) -> Reply:
        if request.path == "/v1/users":
            if request.body["user_id"] in self.users:
                return Reply(409, {"title": "taken"})
            self.users[request.body["user_id"]] = request.body
            return Reply(201, request.body)
        if found := re.fullmatch(r"/v1/caseload/([\w-]+)/([\w-]+)", request.path):
            self.caseload[found[2]] = found[1]
            return Reply(204)
        if request.path == "/v1/messages:batch":
            if self.batches_left == 0:
                return Reply(400, {"title": "broken off"})
            self.batches_left -= 1
            self.messages.extend(request.body["items"])
            return Reply(201, {"items": [{"message_id": 1} for _ in request.body["items"]]})
        if found := re.fullmatch(r"/v1/users/([\w-]+)/messages\?limit=1", request.path):
            if request.headers["x-on-behalf-of"] != found[1]:
                return Reply(400, {"title": "on behalf of whom?"})
            there = [m for m in self.messages if m["user_id"] == found[1]]
            return Reply(200, {"items": there[:1], "next_cursor": None})
        return Reply(404, {"title": "no such route"})


class LoadTest(unittest.TestCase):
    def load(self, core: Core, end: str = END) -> tuple[int, str]:
        out = io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            token_file = str(credentials_file(Path(folder)))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                status = main(
                    ["load", "--core", core.service.url, "--token-file", token_file, "--end", end]
                )
        return status, out.getvalue()

    def test_a_load_makes_accounts_caseloads_and_messages(self) -> None:
        core = Core(self)
        status, out = self.load(core)
        self.assertEqual((status, len(core.users)), (0, 60))
        self.assertEqual(
            Counter(core.caseload.values()), {"staff-counselor": 40, "staff-counselor_other": 20}
        )
        self.assertEqual(len({m["user_id"] for m in core.messages}), 57)
        self.assertIn("60 clients made", out)
        self.assertEqual(
            set(core.users["client-001"]),
            {"user_id", "kind", "username", "display_name", "timezone"},
        )

    def test_each_call_uses_the_token_it_needs(self) -> None:
        core = Core(self)
        self.load(core)
        for request in core.service.requests:
            wanted = "app" if "messages" in request.path else "admin"
            self.assertEqual(request.headers["authorization"], f"Bearer token-of-{wanted}")

    def test_a_second_load_two_days_later_doubles_nothing(self) -> None:
        core = Core(self)
        self.load(core)
        before = len(core.messages)
        status, out = self.load(core, LATER)
        self.assertEqual((status, len(core.messages)), (0, before))
        self.assertIn("0 messages sent, 57 had their messages already", out)

    def test_an_interrupted_load_goes_on_where_it_stopped(self) -> None:
        core = Core(self)
        core.batches_left = 1
        self.assertEqual(self.load(core)[0], 1)
        core.batches_left = 1000
        self.assertEqual(self.load(core, LATER)[0], 0)
        expected = {
            client.user_id: len(client.messages)
            for client in build(1, datetime(2026, 5, 1, 12, tzinfo=timezone.utc))
            if client.messages
        }
        self.assertEqual(Counter(m["user_id"] for m in core.messages), expected)

    def test_an_account_that_was_there_is_no_fault(self) -> None:
        core = Core(self)
        core.users["client-001"] = {}
        status, out = self.load(core)
        self.assertEqual(status, 0)
        self.assertIn("59 clients made, 1 were there", out)

    def test_no_batch_is_too_large_or_splits_a_client(self) -> None:
        clients = build(1, datetime(2026, 5, 1, 12, tzinfo=timezone.utc))
        parts = list(batches(clients))
        seen: Counter[str] = Counter()
        for part in parts:
            self.assertLessEqual(len(part), MAX_MESSAGES_PER_REQUEST)
            seen.update({item["user_id"] for item in part})
        self.assertEqual(set(seen.values()), {1})
        again = list(batches(clients))
        self.assertEqual([batch_key(p) for p in parts], [batch_key(p) for p in again])
        self.assertEqual(len({batch_key(p) for p in parts}), len(parts))


if __name__ == "__main__":
    unittest.main()
