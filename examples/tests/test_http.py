"""The HTTP client: retries, keys, keep-alive, and errors that help."""

from __future__ import annotations

import unittest
from datetime import datetime, timezone

from support import FakeService, Reply, in_turn

from apiclient.errors import ApiError, UserError
from apiclient.http import Api
from apiclient.retry import RetryPolicy, is_retried, parse_retry_after

QUICK = RetryPolicy(max_attempts=4, base_seconds=0.2, cap_seconds=1.0)


class HttpTest(unittest.TestCase):
    def api(self, service: FakeService, policy: RetryPolicy = QUICK) -> Api:
        self.waits: list[float] = []
        api = Api(service.url, "secret-token", policy=policy, sleep=self.waits.append)
        self.addCleanup(api.close)
        return api

    def test_a_retry_repeats_key_and_body_and_succeeds(self) -> None:
        service = FakeService(self, in_turn(Reply(503), Reply(0), Reply(429), Reply(201, {"a": 1})))
        self.assertEqual(self.api(service).post("/v1/things", {"x": "é"}, key="k-1"), {"a": 1})
        self.assertEqual([r.headers["idempotency-key"] for r in service.requests], ["k-1"] * 4)
        self.assertEqual([r.body for r in service.requests], [{"x": "é"}] * 4)
        self.assertEqual(len({r.headers["x-request-id"] for r in service.requests}), 1)
        self.assertEqual(len(self.waits), 3)

    def test_every_post_has_a_key_and_every_call_a_token_and_a_request_id(self) -> None:
        service = FakeService(self, in_turn(Reply(200, {})))
        api = self.api(service)
        api.post("/a", {})
        api.post("/a", {})
        api.get("/b", on_behalf_of="client-001")
        keys = [r.headers.get("idempotency-key") for r in service.requests]
        self.assertNotEqual(keys[0], keys[1])
        self.assertIsNone(keys[2])
        self.assertEqual(service.requests[2].headers["x-on-behalf-of"], "client-001")
        for request in service.requests:
            self.assertEqual(request.headers["authorization"], "Bearer secret-token")
            self.assertTrue(request.headers["x-request-id"])

    def test_calls_share_one_connection(self) -> None:
        service = FakeService(self, in_turn(Reply(200, {})))
        api = self.api(service)
        for _ in range(3):
            api.get("/a")
        self.assertEqual(len({r.connection for r in service.requests}), 1)

    def test_a_wait_is_at_least_what_the_server_asked_for(self) -> None:
        service = FakeService(self, in_turn(Reply(429, None, {"Retry-After": "7"}), Reply(200)))
        self.api(service).get("/a")
        self.assertEqual(self.waits, [7.0])

    def test_attempts_are_bounded(self) -> None:
        service = FakeService(self, in_turn(Reply(503, {"title": "Postgres is away"})))
        with self.assertRaises(ApiError) as caught:
            self.api(service).get("/a")
        self.assertEqual(len(service.requests), QUICK.max_attempts)
        self.assertIn("make status", str(caught.exception))

    def test_a_wait_that_leaves_the_time_budget_is_not_begun(self) -> None:
        service = FakeService(self, in_turn(Reply(503, None, {"Retry-After": "3600"})))
        with self.assertRaises(ApiError):
            self.api(service).get("/a")
        self.assertEqual((len(service.requests), self.waits), (1, []))

    def test_a_refusal_is_not_retried_and_names_field_and_advice(self) -> None:
        problem = {
            "title": "Invalid",
            "detail": "one field is wrong",
            "errors": [{"pointer": "/items/0/p_toxic", "detail": "must be at most 1"}],
        }
        service = FakeService(self, in_turn(Reply(422, problem)))
        with self.assertRaises(ApiError) as caught:
            self.api(service).post("/a?b=c", {})
        text = str(caught.exception)
        self.assertEqual(len(service.requests), 1)
        for part in ("422", "one field is wrong", "/items/0/p_toxic", "must be at most 1"):
            self.assertIn(part, text)
        self.assertNotIn("secret-token", text)

    def test_no_server_says_how_to_start_one(self) -> None:
        api = Api("http://127.0.0.1:1", "secret-token", policy=QUICK, sleep=lambda _: None)
        with self.assertRaisesRegex(UserError, "make up"):
            api.get("/a")

    def test_an_address_without_a_scheme_is_refused(self) -> None:
        with self.assertRaisesRegex(UserError, "http://127.0.0.1:8081"):
            Api("localhost:8081", "t")

    def test_a_path_in_the_address_stays_as_behind_a_gateway(self) -> None:
        service = FakeService(self, in_turn(Reply(200, {})))
        api = Api(service.url + "/core/", "t")
        self.addCleanup(api.close)
        api.get("/v1/me")
        self.assertEqual(service.requests[0].path, "/core/v1/me")

    def test_the_token_is_in_no_repr(self) -> None:
        self.assertNotIn("secret-token", repr(Api("http://127.0.0.1:1", "secret-token")))


class RetryTest(unittest.TestCase):
    def test_the_jitter_is_full_and_its_ceiling_doubles_up_to_the_cap(self) -> None:
        policy = RetryPolicy(base_seconds=0.2, cap_seconds=1.0)
        ranges: list[tuple[float, float]] = []

        def uniform(low: float, high: float) -> float:
            ranges.append((low, high))
            return high

        waits = [policy.wait_seconds(failures, None, uniform) for failures in (1, 2, 3, 4, 9)]
        self.assertEqual(waits, [0.2, 0.4, 0.8, 1.0, 1.0])
        self.assertEqual({low for low, _ in ranges}, {0.0})

    def test_retry_after_is_read_as_seconds_or_as_a_date(self) -> None:
        now = datetime(2026, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
        self.assertEqual(parse_retry_after("3", now), 3.0)
        self.assertEqual(parse_retry_after("Fri, 01 May 2026 12:00:05 GMT", now), 5.0)
        self.assertEqual(parse_retry_after("Fri, 01 May 2026 11:00:00 GMT", now), 0.0)
        self.assertIsNone(parse_retry_after("soon", now))
        self.assertIsNone(parse_retry_after(None, now))

    def test_a_conflict_is_retried_only_while_the_first_attempt_runs(self) -> None:
        self.assertTrue(is_retried(409, has_retry_after=True))
        self.assertFalse(is_retried(409, has_retry_after=False))
        self.assertFalse(is_retried(422, has_retry_after=True))


if __name__ == "__main__":
    unittest.main()
