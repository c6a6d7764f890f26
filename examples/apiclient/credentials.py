"""Reads the development tokens of `.dev/credentials.json`, and how people sign in from the file
beside it. Nothing here prints a token."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from apiclient.errors import UserError

DEFAULT_TOKEN_FILE = Path(".dev/credentials.json")


@dataclass(frozen=True)
class Credential:
    """A bearer token and whom it speaks for: a user id, or the id of an API client."""

    token: str = field(repr=False)
    principal_id: str


def load_all(path: Path) -> dict[str, Credential]:
    """Every entry of the file by its name (`admin`, `counselor`, `pipeline`, …).

    Raises UserError when the file is absent, unreadable or of another shape.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Credential(entry["token"], entry.get("user_id") or entry.get("client_id") or "")
            for name, entry in entries.items()
        }
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: `make demo` makes it, or name another with --token-file."
        ) from None
    except OSError as fault:
        raise UserError(f"{path} cannot be read ({fault.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f'{path} must look like {{"pipeline": {{"token": "…", "client_id": "…"}}, …}}.\n'
            "  Remove it and run `make demo`, which makes a new one."
        ) from None


@dataclass(frozen=True)
class SignIn:
    """By what a person of the demo signs in."""

    email: str
    password: str = field(repr=False)
    user_id: str


def load_sign_ins(path: Path) -> dict[str, SignIn]:
    """Every entry of the file by its name (`admin`, `client`, …); none when there is no file.

    Raises UserError when it is unreadable or of another shape.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: SignIn(entry["email"], entry["password"], entry["user_id"])
            for name, entry in entries.items()
        }
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise UserError(f"{path} cannot be read ({fault.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is not what `make demo` writes: remove it and run that.") from None


def pick(credentials: dict[str, Credential], name: str, path: Path) -> Credential:
    """The entry called `name`. Raises UserError when there is none."""
    found = credentials.get(name)
    if found is None:
        raise UserError(f"{path} has no entry {name!r}: remove it and run `make demo`.")
    return found
