"""The pipeline against fake services: it scores each message once and tells no text."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support import FakeService, Reply, Request, credentials_file

from apiclient.http import Api
from apiclient.progress import Progress
from pipeline.__main__ import main
from pipeline.model import Model
from pipeline.run import Pipeline, Settings

TEXT = "I want a drink and nobody would know"


def message(number: int) -> dict[str, Any]:
    return {
        "message_id": number,
        "user_id": "client-001",
        "message_text": TEXT,
        "timestamp": "2026-05-01T12:00:00Z",
        "conversation_type": "buddy",
    }


class Services:
    """A core that leases `unscored` until it is posted, and a social that stores it."""

    def __init__(self, test: unittest.TestCase, unscored: int) -> None:
        self.unscored = {number: message(number) for number in range(1, unscored + 1)}
        self.leased: set[int] = set()
        self.stored: dict[int, dict[str, Any]] = {}
        self.problems: dict[int, dict[str, Any]] = {}
        self.unavailable = 0
        self.core = FakeService(test, self.lease)
        self.social = FakeService(test, self.predictions)

    def lease(self, request: Request) -> Reply:
        free = [item for number, item in self.unscored.items() if number not in self.leased]
        items = free[: request.body["limit"]]
        self.leased.update(item["message_id"] for item in items)
        return Reply(200, {"items": items, "lease_until": "2026-05-01T12:05:00Z"})

    def predictions(self, request: Request) -> Reply:
        if self.unavailable:
            self.unavailable -= 1
            return Reply(503, {"title": "away"}, {"Retry-After": "0"})
        results = []
        for item in request.body["items"]:
            number = item["message_id"]
            if number in self.problems:
                results.append({"problem": self.problems[number]})
                continue
            self.stored[number] = item
            self.unscored.pop(number, None)
            results.append({"id": number})
        return Reply(200, {"items": results})


class PipelineTest(unittest.TestCase):
    def run_main(self, services: Services, *extra: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            token_file = str(credentials_file(Path(folder)))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main(
                    ["--core", services.core.url, "--social", services.social.url]
                    + ["--token-file", token_file, *extra]
                )
        return status, out.getvalue(), err.getvalue()

    def test_every_message_is_scored_once_in_batches(self) -> None:
        services = Services(self, 25)
        status, out, err = self.run_main(services, "--limit", "10", "--batch", "4")
        self.assertEqual((status, len(services.stored)), (0, 25))
        sizes = [len(request.body["items"]) for request in services.social.requests]
        self.assertEqual(sizes, [4, 4, 2, 4, 4, 2, 4, 1])
        self.assertIn("25 predictions stored", out)
        self.assertNotIn(TEXT, out + err)

    def test_a_prediction_has_the_fields_of_the_contract(self) -> None:
        services = Services(self, 1)
        self.run_main(services)
        self.assertEqual(
            set(services.stored[1]),
            {"message_id", "model_version", "p_craving", "p_relapse", "p_negative_mood"}
            | {"p_neutral", "p_toxic", "p_isolation"},
        )
        self.assertEqual(services.stored[1]["model_version"], "vader-lexicon-1.0.0")
        lease = services.core.requests[0]
        self.assertEqual(set(lease.body), {"limit", "model_version", "lease_seconds"})
        self.assertEqual(lease.headers["authorization"], "Bearer token-of-pipeline")

    def test_a_retried_batch_keeps_its_key(self) -> None:
        services = Services(self, 3)
        services.unavailable = 2
        status, _, _ = self.run_main(services)
        keys = {request.headers["idempotency-key"] for request in services.social.requests}
        self.assertEqual((status, len(services.social.requests), len(keys)), (0, 3, 1))

    def test_refused_items_are_counted_by_reason(self) -> None:
        services = Services(self, 4)
        services.problems = {
            2: {"status": 410, "title": "erased"},
            3: {"status": 422, "title": "wrong role"},
        }
        status, out, err = self.run_main(services)
        self.assertEqual(status, 1)
        self.assertIn("2 predictions stored, 1 gone meanwhile", out)
        self.assertIn("1 refused with 422: wrong role", err)

    def test_a_message_that_is_leased_again_does_not_keep_it_running(self) -> None:
        services = Services(self, 2)
        services.problems = {2: {"status": 409, "title": "scored otherwise"}}
        services.core = FakeService(
            self, lambda _: Reply(200, {"items": list(services.unscored.values())})
        )
        status, _, err = self.run_main(services)
        self.assertEqual((status, len(services.social.requests)), (1, 1))
        self.assertIn("1 refused with 409", err)

    def test_following_it_waits_for_more(self) -> None:
        services = Services(self, 1)
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                raise KeyboardInterrupt
            services.unscored[9] = message(9)

        core, social = (Api(fake.url, "t") for fake in (services.core, services.social))
        self.addCleanup(core.close)
        self.addCleanup(social.close)
        progress = Progress("scored", None, io.StringIO())
        settings = Settings(lease_limit=10, batch_size=10, follow=True)
        with self.assertRaises(KeyboardInterrupt):
            Pipeline(core, social, Model(), settings, progress, pause).run()
        self.assertEqual(sorted(services.stored), [1, 9])

    def test_a_refused_token_says_what_to_do(self) -> None:
        services = Services(self, 1)
        services.core = FakeService(self, lambda _: Reply(401, {"title": "no valid token"}))
        status, _, err = self.run_main(services)
        self.assertEqual(status, 1)
        self.assertIn("make demo", err)

    def test_an_answer_of_another_service_is_recognised(self) -> None:
        services = Services(self, 1)
        services.core = FakeService(self, lambda _: Reply(200, {"hello": 1}))
        status, _, err = self.run_main(services)
        self.assertEqual(status, 1)
        self.assertIn("--core", err)


if __name__ == "__main__":
    unittest.main()
