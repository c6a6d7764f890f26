"""Posts clients, declarations, predictions and outcomes. Whatever is there already stays as it is:
each thing has a natural key in its service, so that a second run, or one that goes on after a
break, doubles nothing; within a run a retry carries the same Idempotency-Key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from apiclient.errors import ApiError, UserError
from apiclient.http import Api
from apiclient.progress import Progress
from riskmodel import MODEL_NAME, bodies
from riskmodel.bodies import Json
from riskmodel.features import feature_set
from riskmodel.law import Outcome
from riskmodel.train import Version

# An account may be erased between the start of a run and its last call: no fault of this run.
GONE_STATUSES = frozenset({404, 410})
# Another predicted or declared otherwise under the same name, or a retired version.
CONFLICT = 409


@dataclass
class Tally:
    """What came of what was sent. `refused` counts by (status, title, first fault)."""

    stored: int = 0
    gone: int = 0
    refused: Counter[tuple[int, str, str]] = field(default_factory=Counter)

    def count(self, problem: Json | None) -> None:
        """Add one result: a problem, or None of what is stored."""
        if problem is None:
            self.stored += 1
        elif problem.get("status") in GONE_STATUSES:
            self.gone += 1
        else:
            first = next(iter(problem.get("errors") or []), {})
            said = " ".join(filter(None, (first.get("pointer"), first.get("detail"))))
            title = problem.get("title", "refused")
            self.refused[(problem.get("status", 0), title, said or problem.get("detail", ""))] += 1

    def add(self, other: Tally) -> None:
        """Add what another tally counted."""
        self.stored += other.stored
        self.gone += other.gone
        self.refused.update(other.refused)


@dataclass(frozen=True)
class Accounts:
    """Makes clients in core, as `admin`, on the caseload of `staff_id`."""

    admin: Api
    staff_id: str

    def make(self, clients: Sequence[int]) -> int:
        """Make the accounts that are not there; how many that were."""
        made = 0
        with_progress = Progress("clients", len(clients))
        for client in clients:
            made += self.make_one(client)
            self.admin.put(f"/v1/caseload/{self.staff_id}/{bodies.user_id(client)}", {})
            with_progress.advance()
        with_progress.close()
        return made

    def make_one(self, client: int) -> bool:
        """Whether the account is new."""
        user_id = bodies.user_id(client)
        account = {
            "user_id": user_id,
            "kind": "client",
            "username": user_id,
            "display_name": f"Client {client:04}",
        }
        try:
            self.admin.post("/v1/users", account)
        except ApiError as fault:
            if fault.status != CONFLICT:
                raise
            return False
        return True


@dataclass(frozen=True)
class Poster:
    """Talks to risk as `pipeline`."""

    risk: Api
    batch_size: int

    def declare(self, versions: Iterable[Version]) -> None:
        """The feature set, then the versions; each begins as a shadow, the same again is kept."""
        declared = feature_set()
        self.risk.post("/v1/feature-sets", declared, key=bodies.key("features", declared))
        for version in versions:
            model = bodies.model(version)
            self.risk.post("/v1/models", model, key=bodies.key("model", model))

    def predict(self, predictions: Sequence[Json], label: str) -> Tally:
        """Post predictions in batches; good ones are stored even when others are refused."""
        tally = Tally()
        progress = Progress(label, len(predictions))
        for batch in batches(predictions, self.batch_size):
            answer = self.risk.post(
                "/v1/predictions:batch?partial=true",
                {"items": batch},
                key=bodies.key("predictions", batch),
            )
            results = answer.get("items")
            if not isinstance(results, list) or len(results) != len(batch):
                raise UserError(
                    f"the answer to {len(batch)} predictions has other items: does --risk fit?"
                )
            for result in results:
                tally.count(result.get("problem"))
            progress.advance(len(batch))
        progress.close()
        return tally

    def report(self, outcomes: Sequence[Outcome]) -> Tally:
        """Post what came of the clients, one by one."""
        tally = Tally()
        progress = Progress("outcomes", len(outcomes))
        for outcome in outcomes:
            body = bodies.outcome(outcome)
            user_id = bodies.user_id(outcome.client)
            key = bodies.key("outcome", [user_id, body])
            try:
                self.risk.post(f"/v1/users/{user_id}/outcomes", body, key=key)
                tally.count(None)
            except ApiError as fault:
                # One that is refused does not keep the others; anything else would meet them all.
                if fault.status not in GONE_STATUSES | {CONFLICT, 422}:
                    raise
                tally.count({"status": fault.status, **fault.problem})
            progress.advance()
        progress.close()
        return tally


def make_live(admin: Api, version: Version) -> bool:
    """Make a version the live one, as `admin`; False where it is already.

    From then on its levels count: a prediction from VERY_HIGH on opens an escalation.
    """
    path = f"/v1/models/{MODEL_NAME}/{version.version}"
    if admin.get(path).get("stage") == "live":
        return False
    admin.post(f"{path}/stage", {"stage": "live"})
    return True


def batches(items: Sequence[Json], size: int) -> Iterator[list[Json]]:
    """`items` in order, in lists of at most `size`."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
