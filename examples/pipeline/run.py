"""The loop: lease unscored messages, score them, post the predictions, until none is left."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from apiclient.errors import UserError
from apiclient.http import Api
from apiclient.progress import Progress
from pipeline import MODEL_VERSION
from pipeline.model import Model

LEASE_SECONDS = 300
FOLLOW_PAUSE_SECONDS = 2.0

# Between lease and post an account may be erased or a message deleted: no fault of this run.
GONE_STATUSES = frozenset({404, 410})


@dataclass(frozen=True)
class Settings:
    """How much to take at once (messages), and whether to go on when nothing is left."""

    lease_limit: int
    batch_size: int
    follow: bool


@dataclass
class Tally:
    """What came of the messages taken so far. `refused` counts by (status, title)."""

    stored: int = 0
    gone: int = 0
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)


@dataclass
class Pipeline:
    """Scores what `core` leases and posts it to `social`; `pause` is replaced in tests."""

    core: Api
    social: Api
    model: Model
    settings: Settings
    progress: Progress
    pause: Callable[[float], None] = time.sleep

    def run(self) -> Tally:
        """Work until nothing new is left (or for ever, if following). Raises UserError."""
        tally = Tally()
        taken: set[Any] = set()
        while True:
            items = self.lease()
            if self.settings.follow:
                fresh = items
            else:
                # What social refused is leased again later; without this it would never end.
                fresh = [item for item in items if item["message_id"] not in taken]
                taken.update(item["message_id"] for item in fresh)
            for batch in batches(fresh, self.settings.batch_size):
                self.post(batch, tally)
                self.progress.advance(len(batch))
            if not fresh:
                if not self.settings.follow:
                    return tally
                self.pause(FOLLOW_PAUSE_SECONDS)

    def lease(self) -> list[dict[str, Any]]:
        """Take up to `lease_limit` messages nobody else is scoring with this model version."""
        answer = self.core.post(
            "/v1/messages:lease",
            {
                "limit": self.settings.lease_limit,
                "model_version": MODEL_VERSION,
                "lease_seconds": LEASE_SECONDS,
            },
        )
        return items_of(answer, "the lease")

    def post(self, batch: list[dict[str, Any]], tally: Tally) -> None:
        """Score and post one batch; good items are stored even when others are refused."""
        predictions = [
            {
                "message_id": item["message_id"],
                **self.model.score(item["message_text"]),
                "model_version": MODEL_VERSION,
            }
            for item in batch
        ]
        answer = self.social.post(
            "/v1/predictions:batch?partial=true",
            {"items": predictions},
            key=batch_key(predictions),
        )
        results = items_of(answer, "the predictions")
        if len(results) != len(predictions):
            raise UserError(
                f"social answered {len(results)} results for {len(predictions)} predictions; "
                "are the pipeline and the service of the same version?"
            )
        for result in results:
            count(result, tally)


def batches(items: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """`items` in order, in lists of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def batch_key(predictions: list[dict[str, Any]]) -> str:
    """The Idempotency-Key of a batch: the same predictions always give the same key."""
    canonical = json.dumps(predictions, sort_keys=True, separators=(",", ":")).encode()
    return "predictions-" + hashlib.sha256(canonical).hexdigest()[:40]


def items_of(answer: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """The `items` of an answer. Raises UserError when it has none: another service answered."""
    items = answer.get("items")
    if not isinstance(items, list):
        raise UserError(f"the answer to {what} has no items: do --core and --social fit?")
    return items


def count(result: dict[str, Any], tally: Tally) -> None:
    """Add one result of a batch (`{"id"}` or `{"problem"}`) to the tally."""
    problem = result.get("problem")
    if problem is None:
        tally.stored += 1
    elif problem.get("status") in GONE_STATUSES:
        tally.gone += 1
    else:
        tally.refused[(problem.get("status", 0), problem.get("title", "refused"))] += 1
