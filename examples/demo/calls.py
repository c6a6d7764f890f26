"""Copy-paste calls for a newcomer with a shell and curl, and the file of tokens they use."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from apiclient.credentials import Credential, SignIn

TOKENS_MODE = 0o600


def write_tokens(path: Path, credentials: dict[str, Credential]) -> None:
    """Write `export RECOVERLY_TOKEN_<NAME>=…` lines to `path`, readable by the owner only."""
    lines = [
        f"export RECOVERLY_TOKEN_{name.upper()}={shlex.quote(credential.token)}\n"
        for name, credential in sorted(credentials.items())
    ]
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, TOKENS_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)
    fresh.replace(path)


def curl(name: str, url: str, body: str | None = None) -> str:
    """One curl call with the token called `name`; `body` is JSON and makes it a POST."""
    call = f'curl -s -H "Authorization: Bearer $RECOVERLY_TOKEN_{name}"'
    if body is None:
        return f"{call} '{url}'"
    return f"{call} \\\n  -H 'Content-Type: application/json' -d '{body}' \\\n  '{url}'"


def sign_ins(core: str, people: dict[str, SignIn]) -> str:
    """Who signs in by what, and a call that does it for the first of them."""
    if not people:
        return "there is no file of sign-ins; `make demo` makes it"
    width = max(map(len, people))
    email_width = max(len(person.email) for person in people.values())
    rows = [
        f"{name:<{width}}  {person.email:<{email_width}}  {person.password}"
        for name, person in sorted(people.items())
    ]
    first = people.get("client") or next(iter(people.values()))
    body = json.dumps({"email": first.email, "password": first.password})
    call = (
        "curl -s -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}' \\\n"
        f"  '{core}/v1/auth/login'"
    )
    return "\n".join(rows) + f"\n\n{call}"


def text(core: str, social: str, tokens: Path, user_id: str) -> str:
    """The calls, ready to paste. `user_id` is a client of the counselor's caseload."""
    sourced = tokens if tokens.parent != Path(".") else f"./{tokens}"
    message = (
        '{"user_id":"client-001","conversation_type":"buddy",'
        '"message_text":"I want a drink and my hands are shaking"}'
    )
    profile = f"{social}/v1/users/{user_id}/risk-profile"
    steps = (
        ("first, once per shell: the tokens", f". {sourced}"),
        (
            "the counselor's most urgent clients",
            curl("COUNSELOR", f"{social}/v1/risk-profiles?label=HIGH_RISK&limit=3"),
        ),
        ("one client, with reasons", curl("COUNSELOR", profile)),
        (
            "the same client for a counselor without this caseload: 404",
            curl("COUNSELOR_OTHER", profile),
        ),
        ("the on-call queue", curl("ONCALL", f"{social}/v1/escalations?limit=5")),
        ("a client writes …", curl("CLIENT", f"{core}/v1/messages", message)),
        (
            "… and the pipeline scores it",
            "PYTHONPATH=examples .dev/venv/bin/python -m pipeline \\\n"
            f"  --core {core} --social {social}",
        ),
        (
            "what became of it",
            curl("COUNSELOR", f"{social}/v1/users/client-001/risk-profile"),
        ),
    )
    return "\n\n".join(f"# {title}\n{command}" for title, command in steps)
