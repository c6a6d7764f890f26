"""When to try again, and how long to wait first."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds of the retries of one call. All times in seconds.

    The wait before attempt n + 1 is uniform in [0, min(cap, base * 2**n)] ("full jitter"), so
    that many clients that failed together do not come back together.
    """

    max_attempts: int = 8
    max_elapsed_seconds: float = 90.0
    base_seconds: float = 0.2
    cap_seconds: float = 10.0

    def wait_seconds(
        self,
        failures: int,
        retry_after_seconds: float | None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> float:
        """The wait after `failures` (>= 1) failed attempts; never less than the server asked."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2 ** (failures - 1))
        return max(uniform(0.0, ceiling), retry_after_seconds or 0.0)


def is_retried(status: int, has_retry_after: bool) -> bool:
    """Whether an answer is worth another attempt with the same Idempotency-Key.

    A 409 with Retry-After means that the first attempt is still running; without, it is final.
    """
    return status in RETRIED_STATUSES or (status == 409 and has_retry_after)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """`Retry-After` (RFC 9110: seconds or an HTTP date) as seconds from `now`, None if unusable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - now).total_seconds())
