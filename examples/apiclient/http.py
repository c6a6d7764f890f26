"""A small JSON-over-HTTP client: keep-alive, bounded retries, one key per logical call."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from apiclient.errors import ApiError, UserError
from apiclient.retry import RetryPolicy, is_retried, parse_retry_after

ATTEMPT_TIMEOUT_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A received answer: `body` is the decoded JSON object, {} if there was none."""

    status: int
    body: dict[str, Any]
    retry_after_seconds: float | None


@dataclass
class Api:
    """One service (`base_url`, may have a path as behind a gateway) seen with one token.

    Keeps one connection open; use it from one thread. `sleep` is replaced in tests.
    """

    base_url: str
    token: str = field(repr=False)
    policy: RetryPolicy = RetryPolicy()
    sleep: Callable[[float], None] = time.sleep
    _connection: http.client.HTTPConnection | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                f"{self.base_url!r} is no service address: write it as http://127.0.0.1:8081"
            )
        self._parts = parts

    def get(self, path: str, on_behalf_of: str | None = None) -> dict[str, Any]:
        """GET `path`; the body of a 2xx answer. Raises ApiError."""
        return self._send("GET", path, None, {}, on_behalf_of).body

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """PUT `body` to `path`; the body of a 2xx answer. Raises ApiError."""
        return self._send("PUT", path, body, {}, None).body

    def post(
        self,
        path: str,
        body: dict[str, Any],
        key: str | None = None,
        on_behalf_of: str | None = None,
    ) -> dict[str, Any]:
        """POST `body` to `path`; the body of a 2xx answer. Raises ApiError.

        `key` is the Idempotency-Key, sent unchanged with every attempt; a fresh one if omitted.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self._send("POST", path, body, headers, on_behalf_of).body

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        extra: dict[str, str],
        on_behalf_of: str | None,
    ) -> Answer:
        request_id = str(uuid.uuid4())
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json, application/problem+json",
            "X-Request-Id": request_id,
            **extra,
        }
        if on_behalf_of is not None:
            headers["X-On-Behalf-Of"] = on_behalf_of
        payload = None
        if body is not None:
            payload = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        answer = self._with_retries(method, path, payload, headers)
        if 200 <= answer.status < 300:
            return answer
        raise ApiError(f"{method} {self._shown(path)}", answer.status, answer.body, request_id)

    def _with_retries(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str]
    ) -> Answer:
        started = time.monotonic()
        failures = 0
        while True:
            answer = self._attempt(method, path, payload, headers)
            if answer.status and not is_retried(
                answer.status, answer.retry_after_seconds is not None
            ):
                return answer
            failures += 1
            wait = self.policy.wait_seconds(failures, answer.retry_after_seconds)
            elapsed = time.monotonic() - started
            out_of_time = elapsed + wait > self.policy.max_elapsed_seconds
            if failures >= self.policy.max_attempts or out_of_time:
                return self._given_up(answer, failures)
            self.sleep(wait)

    def _attempt(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str]
    ) -> Answer:
        """One attempt. A failed connection is an answer of status 0 that says why."""
        try:
            connection = self._connected()
            connection.request(method, self._parts.path.rstrip("/") + path, payload, headers)
            response = connection.getresponse()
            raw = response.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            reason = str(fault) or type(fault).__name__
            return Answer(0, {"title": "no answer", "detail": reason}, None)
        if len(raw) > MAX_ANSWER_BYTES:
            self.close()
            raise UserError(f"{self._shown(path)} answered more than {MAX_ANSWER_BYTES} bytes")
        after = parse_retry_after(response.getheader("Retry-After"), datetime.now(timezone.utc))
        return Answer(response.status, decode_object(raw), after)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            secure = self._parts.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self._connection = kind(
                self._parts.hostname or "", self._parts.port, timeout=ATTEMPT_TIMEOUT_SECONDS
            )
        return self._connection

    def _given_up(self, answer: Answer, attempts: int) -> Answer:
        if answer.status:
            return answer
        raise UserError(
            f"{self.base_url} gave no answer in {attempts} attempts ({answer.body['detail']}).\n"
            "  Is the service running? `make status` tells, `make up` or `make demo` starts it."
        )

    def _shown(self, path: str) -> str:
        return self.base_url.rstrip("/") + path.split("?", 1)[0]


def decode_object(raw: bytes) -> dict[str, Any]:
    """`raw` as a JSON object; {} when it is empty, no JSON, or no object."""
    try:
        value = json.loads(raw) if raw else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
