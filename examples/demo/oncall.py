"""The on-call clinician's part: the queue of open escalations, and one taken to its end."""

from __future__ import annotations

from typing import Any

from apiclient.http import Api
from apiclient.table import render
from demo.caseload import pages

OPEN_STATUSES = frozenset({"pending", "notified", "acknowledged"})
LEASE_MINUTES = 30
NOTES = "Talked on the phone; a safe evening is agreed, next call tomorrow. (from the demo)"

Item = dict[str, Any]


def open_escalations(oncall: Api) -> list[Item]:
    """What is open in the on-call queue. Raises ApiError."""
    items = pages(oncall, "/v1/escalations")
    return [item for item in items if item["status"] in OPEN_STATUSES]


def queue(items: list[Item]) -> str:
    """The queue as a table."""
    if not items:
        return "nothing is open"
    rows = [
        (
            item["user_id"],
            item["urgency"],
            item["status"],
            str(item["timestamp"])[:16].replace("T", " "),
            item.get("trigger_reason") or "",
        )
        for item in items
    ]
    return render(("client", "urgency", "status", "since (UTC)", "reason"), rows)


def take_one(oncall: Api, counselor: Api, queue_items: list[Item]) -> str:
    """Acknowledge and resolve one escalation of the counselor's caseload; tells what was done.

    Does nothing when the counselor already sees a resolved one: an earlier run did it.
    Raises ApiError.
    """
    resolved = pages(counselor, "/v1/escalations?status=resolved")
    if resolved:
        first = resolved[0]
        return (
            f"An earlier run has resolved escalation {first['escalation_id']} of {first['user_id']}; it stays so,"
            " and those that came later wait above."
        )
    theirs = {item["escalation_id"] for item in pages(counselor, "/v1/escalations")}
    candidates = [item for item in queue_items if item["escalation_id"] in theirs]
    if not candidates:
        return "No open escalation belongs to this counselor's caseload; nothing to resolve."
    # One that an interrupted run had acknowledged comes first.
    chosen = next((c for c in candidates if c["status"] == "acknowledged"), candidates[0])
    path = f"/v1/escalations/{chosen['escalation_id']}"
    lines = []
    if chosen["status"] != "acknowledged":
        oncall.post(f"{path}/acknowledge", {"lease_minutes": LEASE_MINUTES})
        lines.append(f"acknowledged {chosen['user_id']} for {LEASE_MINUTES} minutes")
    oncall.post(f"{path}/resolve", {"outcome": "spoke", "notes": NOTES})
    lines.append(f"resolved {chosen['user_id']} with the outcome `spoke`")
    return "\n".join(lines)
