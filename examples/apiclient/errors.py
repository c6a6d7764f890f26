"""Errors of the examples: each says what happened and what to do."""

from __future__ import annotations

from typing import Any

MAX_FIELD_ERRORS_SHOWN = 5

ADVICE = {
    400: "The request was not understood: are the examples and the services of the same version?",
    401: "The token was refused: run `make demo` again, it makes new ones for development.",
    403: "This token may not do that: use the entry of .dev/credentials.json the help names.",
    404: "It is absent, or not visible to this token: check the id and the caseload.",
    409: "The state has changed meanwhile: look at it again before repeating the call.",
    413: "Too much in one request: use a smaller --batch.",
    422: "The service refused the values listed above.",
    429: "Too many requests: wait a moment, then run the same command again.",
    503: "A server behind the service is away: `make status` says which; then run this again.",
}


class UserError(Exception):
    """A failure the user can do something about; the text says what."""


class ApiError(UserError):
    """An answer other than 2xx. `status` 0 means that no answer came at all.

    `problem` is the RFC 9457 body (`title`, `detail`, `errors`), empty if there was none.
    """

    def __init__(self, call: str, status: int, problem: dict[str, Any], request_id: str) -> None:
        self.status = status
        self.problem = problem
        super().__init__(describe(call, status, problem, request_id))


def describe(call: str, status: int, problem: dict[str, Any], request_id: str) -> str:
    """One readable paragraph about a failed call: what, why, what to do, and the request id."""
    title = problem.get("title") or "no explanation"
    lines = [f"{call} answered {status}: {title}"]
    if problem.get("detail"):
        lines.append(f"  {problem['detail']}")
    faults = problem.get("errors") or []
    for fault in faults[:MAX_FIELD_ERRORS_SHOWN]:
        lines.append(f"  {fault.get('pointer', '')}: {fault.get('detail', '')}")
    if len(faults) > MAX_FIELD_ERRORS_SHOWN:
        lines.append(f"  … and {len(faults) - MAX_FIELD_ERRORS_SHOWN} more")
    lines.append(f"  {ADVICE.get(status, 'Look at `make logs` for the request id.')}")
    lines.append(f"  (request id {request_id})")
    return "\n".join(lines)
