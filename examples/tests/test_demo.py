"""The demo's last page: it shows the caseload, resolves one escalation once, leaves calls."""

from __future__ import annotations

import contextlib
import io
import json
import re
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support import FakeService, Reply, Request, credentials_file, sign_ins_file

from demo.show import main

PATH_OF_ONE = re.compile(r"/v1/escalations/([\w-]+)/(acknowledge|resolve)")


def profile(number: int, label: str, open_id: str | None = None) -> dict[str, Any]:
    opened = {"escalation_id": open_id, "escalation_type": "profile_risk", "urgency": "critical"}
    return {
        "user_id": f"client-{number:03}",
        "display_name": f"Client {number:03}",
        "current_risk_label": label,
        "risk_trend": "declining",
        "short_avg_risk_score": None if label == "UNKNOWN" else 0.61,
        "reasons": [{"code": "x", "text": f"reason of {number}", "value": 1, "threshold": 1}],
        "open_escalations": [{**opened, "status": "notified"}] if open_id else [],
        "last_contact": None,
    }


class Social:
    """A social whose counselor has seven clients; escalation e-9 is of another caseload."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.escalations = {
            "e-9": {"user_id": "client-009", "status": "notified"},
            "e-1": {"user_id": "client-001", "status": "notified"},
        }
        self.service = FakeService(test, self.answer)

    def answer(self, request: Request) -> Reply:
        path, _, query = request.path.partition("?")
        if path == "/v1/risk-profiles":
            return self.profiles(query)
        if path == "/v1/caseload/summary":
            changes = {"newly_high": 1}
            labels = {"HIGH_RISK": 1, "LOW_RISK": 6}
            body = {"labels": labels, "changes_since_yesterday": changes, "open_escalations": 1}
            return Reply(200, body)
        if path == "/v1/escalations":
            return self.list(request, query)
        found = PATH_OF_ONE.fullmatch(path)
        if found is None:
            return Reply(404, {"title": "no such route"})
        status = "acknowledged" if found[2] == "acknowledge" else "resolved"
        self.escalations[found[1]]["status"] = status
        return Reply(200, {"escalation_id": found[1], "status": status})

    def profiles(self, query: str) -> Reply:
        high, calm = profile(1, "HIGH_RISK", "e-1"), [profile(n, "LOW_RISK") for n in range(2, 8)]
        if "cursor=next" in query:
            return Reply(200, {"items": calm, "next_cursor": None})
        return Reply(200, {"items": [high], "next_cursor": "next"})

    def list(self, request: Request, query: str) -> Reply:
        counselor = request.headers["authorization"] == "Bearer token-of-counselor"
        items = [
            {
                "escalation_id": name,
                "escalation_type": "profile_risk",
                "urgency": "critical",
                "timestamp": "2026-05-01T12:00:00Z",
                "trigger_reason": "three messages near relapse",
                **item,
            }
            for name, item in self.escalations.items()
            if not (counselor and name == "e-9")
            and (item["status"] == "resolved") == ("status=resolved" in query)
        ]
        return Reply(200, {"items": items, "next_cursor": None})

    def posts(self) -> list[str]:
        return [r.path for r in self.service.requests if r.method == "POST"]


class DemoTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.token_file = credentials_file(self.folder)
        self.social = Social(self)

    def show(self, *extra: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(
                ["--social", self.social.service.url, "--token-file", str(self.token_file), *extra]
            )
        return status, out.getvalue(), err.getvalue()

    def test_it_shows_the_caseload_with_reasons_and_resolves_one_escalation(self) -> None:
        status, out, err = self.show()
        self.assertEqual((status, err), (0, ""))
        parts = ("HIGH_RISK (1)", "reason of 1", "LOW_RISK (6)", "… and 2 more", "newly high 1")
        for part in parts:
            self.assertIn(part, out)
        self.assertIn("resolved client-001", out)
        self.assertEqual(
            self.social.posts(),
            ["/v1/escalations/e-1/acknowledge", "/v1/escalations/e-1/resolve"],
        )
        bodies = [r.body for r in self.social.service.requests if r.method == "POST"]
        self.assertEqual(bodies[0], {"lease_minutes": 30})
        self.assertEqual(bodies[1]["outcome"], "spoke")

    def test_a_second_run_says_that_one_was_resolved_and_touches_nothing(self) -> None:
        self.show()
        _, out, _ = self.show()
        self.assertIn("An earlier run has resolved", out)
        self.assertEqual(len(self.social.posts()), 2)

    def test_an_escalation_left_acknowledged_by_an_interrupted_run_is_resolved(self) -> None:
        self.social.escalations["e-1"]["status"] = "acknowledged"
        self.show()
        self.assertEqual(self.social.posts(), ["/v1/escalations/e-1/resolve"])

    def test_the_events_of_a_watcher_are_counted(self) -> None:
        seen = self.folder / "events.jsonl"
        lines = [{"id": str(n), "type": "core.message.created", "subject": "c"} for n in range(3)]
        seen.write_text("".join(json.dumps(item) + "\n" for item in lines), encoding="utf-8")
        self.assertRegex(self.show("--events", str(seen))[1], r"core\.message\.created +3")
        seen.write_text("", encoding="utf-8")
        self.assertIn("no new events", self.show("--events", str(seen))[1])
        seen.write_text("hello\n", encoding="utf-8")
        status, _, err = self.show("--events", str(seen))
        self.assertEqual(status, 1)
        self.assertIn("events/watch.py --json", err)

    def test_the_tokens_are_for_the_owner_only_and_a_shell_can_read_them(self) -> None:
        self.show()
        tokens = self.folder / "tokens"
        self.assertEqual(stat.S_IMODE(tokens.stat().st_mode), 0o600)
        read = subprocess.run(
            ["sh", "-c", f'. {tokens}; printf %s "$RECOVERLY_TOKEN_COUNSELOR_OTHER"'],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(read.stdout, "token-of-counselor_other")

    def test_no_token_is_printed_and_every_call_is_a_shell_command(self) -> None:
        _, out, _ = self.show()
        self.assertNotIn("token-of-", out)
        calls = out.split("Try it", 1)[1].split("\n", 1)[1]
        subprocess.run(["sh", "-n"], input=calls, text=True, check=True)
        self.assertIn("$RECOVERLY_TOKEN_ONCALL", calls)

    def test_the_sign_ins_are_shown_with_a_call_that_signs_in(self) -> None:
        self.assertIn("no file of sign-ins", self.show()[1])
        sign_ins = sign_ins_file(self.folder)
        _, out, _ = self.show("--core", "http://core.example")
        self.assertRegex(out, r"counselor +staff-counselor@demo\.example +password-of-counselor")
        call = out.split("password-of-counselor", 1)[1].split("━━", 1)[0]
        subprocess.run(["sh", "-n"], input=call, text=True, check=True)
        said = '-d \'{"email": "client-001@demo.example", "password": "password-of-client"}\''
        self.assertIn(said, call)
        self.assertIn("'http://core.example/v1/auth/login'", call)
        sign_ins.write_text("[]", encoding="utf-8")
        status, _, err = self.show()
        self.assertEqual(status, 1)
        self.assertIn("sign-ins.json", err)

    def test_the_docs_pages_are_named(self) -> None:
        self.assertIn("http://127.0.0.1:8085/docs", self.show()[1])


if __name__ == "__main__":
    unittest.main()
