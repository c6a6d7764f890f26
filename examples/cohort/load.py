"""Loads the cohort over HTTP; a second load finds everything there and doubles nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from apiclient.errors import ApiError
from apiclient.http import Api
from apiclient.progress import Progress
from cohort.build import Client

MAX_MESSAGES_PER_REQUEST = 1000


@dataclass
class Loaded:
    """What a load did; counts of clients and of messages."""

    clients_made: int = 0
    clients_there: int = 0
    messages_sent: int = 0
    skipped: list[str] = field(default_factory=list)  # ids that had messages already


@dataclass(frozen=True)
class Loader:
    """Talks to core as `admin` (accounts, caseloads) and as `app` (messages of clients).

    `staff_ids` maps a caseload's credentials entry (`counselor`, …) to the staff's user id.
    """

    admin: Api
    app: Api
    staff_ids: dict[str, str]

    def load(self, clients: Sequence[Client]) -> Loaded:
        """Make accounts and caseloads, then send the messages of clients that have none."""
        done = Loaded()
        accounts = Progress("clients", len(clients))
        for client in clients:
            self.make_account(client, done)
            self.assign(client)
            accounts.advance()
        accounts.close()
        fresh = [client for client in clients if client.messages and self.is_new(client)]
        having = {client.user_id for client in fresh}
        done.skipped = [c.user_id for c in clients if c.messages and c.user_id not in having]
        if not fresh:
            return done
        messages = Progress("messages", sum(len(client.messages) for client in fresh))
        for batch in batches(fresh):
            self.app.post("/v1/messages:batch", {"items": batch}, key=batch_key(batch))
            done.messages_sent += len(batch)
            messages.advance(len(batch))
        messages.close()
        return done

    def make_account(self, client: Client, done: Loaded) -> None:
        """Create the client's account; one that is there already stays as it is."""
        account = {
            "user_id": client.user_id,
            "kind": "client",
            "username": client.username,
            "display_name": client.display_name,
            "timezone": client.timezone,
        }
        try:
            self.admin.post("/v1/users", account)
            done.clients_made += 1
        except ApiError as fault:
            if fault.status != 409:
                raise
            done.clients_there += 1

    def assign(self, client: Client) -> None:
        """Put the client on the caseload of its counselor; saying it twice changes nothing."""
        self.admin.put(f"/v1/caseload/{self.staff_ids[client.staff]}/{client.user_id}", {})

    def is_new(self, client: Client) -> bool:
        """Whether the client has no message yet.

        Idempotency keys are kept for a day only, so the messages themselves are asked for.
        """
        path = f"/v1/users/{client.user_id}/messages?limit=1"
        return not self.app.get(path, on_behalf_of=client.user_id).get("items")


def batches(clients: Sequence[Client]) -> Iterator[list[dict[str, Any]]]:
    """Request items in batches that never split a client.

    A batch is stored whole or not at all, so a client has all messages or none, and a load
    that was interrupted goes on where it stopped. No client has more than one batch holds.
    """
    batch: list[dict[str, Any]] = []
    for client in clients:
        if batch and len(batch) + len(client.messages) > MAX_MESSAGES_PER_REQUEST:
            yield batch
            batch = []
        batch.extend(items(client))
    if batch:
        yield batch


def items(client: Client) -> list[dict[str, Any]]:
    """The messages of one client as the service wants them, oldest first."""
    return [
        {
            "user_id": client.user_id,
            "message_text": message.text,
            "conversation_type": message.conversation_type,
            "timestamp": message.timestamp.isoformat().replace("+00:00", "Z"),
            "sender_role": "user",
        }
        for message in client.messages
    ]


def batch_key(batch: list[dict[str, Any]]) -> str:
    """The Idempotency-Key of a batch: the same messages always give the same key."""
    canonical = json.dumps(batch, sort_keys=True, separators=(",", ":")).encode()
    return "cohort-" + hashlib.sha256(canonical).hexdigest()[:40]
