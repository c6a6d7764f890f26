"""The counselor's view: the caseload by label, with reasons."""

from __future__ import annotations

from typing import Any

from apiclient.errors import UserError
from apiclient.http import Api
from apiclient.table import render

LABELS = ("HIGH_RISK", "MODERATE_RISK", "ISOLATION_ONLY", "LOW_RISK", "UNKNOWN")
URGENT_LABELS = frozenset(LABELS[:3])
MAX_CALM_ROWS = 4  # Of labels that ask for nothing today, a few clients are enough to see.
MAX_PAGES = 50
PAGE_ROWS = 200

Item = dict[str, Any]


def pages(api: Api, path: str) -> list[Item]:
    """All items of a list, page by page. `path` may have a query. Raises ApiError, UserError."""
    items: list[Item] = []
    cursor = ""
    joint = "&" if "?" in path else "?"
    for _ in range(MAX_PAGES):
        answer = api.get(f"{path}{joint}limit={PAGE_ROWS}{cursor}")
        items.extend(answer.get("items", []))
        if not answer.get("next_cursor"):
            return items
        cursor = f"&cursor={answer['next_cursor']}"
    raise UserError(f"{path} has more than {MAX_PAGES * PAGE_ROWS} items; this is made for a demo.")


def by_label(profiles: list[Item]) -> str:
    """The profiles as one table per label, most urgent label first, in the order received."""
    parts = []
    for label in LABELS:
        members = [item for item in profiles if item["current_risk_label"] == label]
        if not members:
            continue
        shown = members if label in URGENT_LABELS else members[:MAX_CALM_ROWS]
        rows = [profile_row(item) for item in shown]
        table = render(("client", "trend", "7-day risk", "escalation", "why"), rows)
        parts.append(f"{label} ({len(members)})\n{indent(table)}")
        if len(shown) < len(members):
            parts[-1] += f"\n    … and {len(members) - len(shown)} more"
    return "\n\n".join(parts) or "nobody is on this caseload"


def profile_row(item: Item) -> tuple[str, ...]:
    """One client: name, trend, mean risk of the last 7 days, open escalations, reasons."""
    score = item.get("short_avg_risk_score")
    open_ones = [e["status"] for e in item.get("open_escalations", [])]
    return (
        item.get("display_name") or item["user_id"],
        str(item["risk_trend"]),
        "none" if score is None else f"{score:.2f}",
        ", ".join(open_ones) or "none",
        "; ".join(reason["text"] for reason in item.get("reasons", [])),
    )


def summary(answer: Item) -> str:
    """The counts per label, what changed since yesterday, and the open escalations."""
    labels = answer.get("labels", {})
    counts = " · ".join(f"{label} {labels.get(label, 0)}" for label in LABELS)
    changes = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in (answer.get("changes_since_yesterday") or {}).items()
    ]
    return (
        f"{counts}\n"
        f"since yesterday: {', '.join(changes) or 'no change'}\n"
        f"open escalations: {answer.get('open_escalations', 0)}"
    )


def indent(text: str) -> str:
    """`text` with every line moved in by four."""
    return "\n".join(f"    {line}" for line in text.splitlines())
