"""Command line of the cohort: `python3 -m cohort --help`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

from apiclient.credentials import DEFAULT_TOKEN_FILE, load_all, pick
from apiclient.errors import UserError
from apiclient.http import Api
from apiclient.table import render
from cohort.build import Client, build
from cohort.load import Loader

DEFAULT_SEED = 1

EPILOG = """
The clients, their lives and their words are made up for this project. The last messages are
written in the 24 hours before --end, which is now unless you say otherwise.

examples:
  python3 -m cohort plan    who lives which life, without any service
  python3 -m cohort load    make the clients, their caseloads and their messages

A second load skips every client that has messages, so it doubles nothing.
exit status: 0 done, 1 a service failed (run it again, it goes on), 2 wrong usage
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a reason when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python3 -m cohort",
        description="A sample cohort: 60 clients with 30 days of messages.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("load", "plan"))
    parser.add_argument("--core", default="http://127.0.0.1:8081", help="address of core")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=DEFAULT_TOKEN_FILE,
        help="file with the entries `admin`, `app`, `counselor` and `counselor_other`",
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="another number, other words (default: 1)"
    )
    parser.add_argument(
        "--end", type=instant, default=None, help="last instant, as 2026-05-01T12:00:00Z"
    )
    return parser.parse_args(arguments)


def instant(text: str) -> datetime:
    """An RFC 3339 time with its zone, for argparse."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-05-01T12:00:00Z") from None
    if value.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} lacks its zone: add Z for UTC")
    return value.astimezone(timezone.utc)


def plan(clients: list[Client]) -> str:
    """The cohort as a table."""
    rows = [
        (c.user_id, c.life.name, c.life.label, c.staff, c.timezone, str(len(c.messages)))
        for c in clients
    ]
    headers = ("client", "life", "expected label", "caseload", "timezone", "messages")
    return render(headers, rows)


def load(clients: list[Client], options: argparse.Namespace) -> str:
    """Load the cohort; a sentence about what was done. Raises UserError."""
    credentials = load_all(options.token_file)
    staff_ids = {
        name: pick(credentials, name, options.token_file).principal_id
        for name in ("counselor", "counselor_other")
    }
    admin_token = pick(credentials, "admin", options.token_file).token
    app_token = pick(credentials, "app", options.token_file).token
    with (
        closing(Api(options.core, admin_token)) as admin,
        closing(Api(options.core, app_token)) as app,
    ):
        done = Loader(admin, app, staff_ids).load(clients)
    skipped = f", {len(done.skipped)} had their messages already" if done.skipped else ""
    return (
        f"cohort: {done.clients_made} clients made, {done.clients_there} were there; "
        f"{done.messages_sent} messages sent{skipped}"
    )


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    options = parse(arguments)
    clients = build(options.seed, options.end or datetime.now(timezone.utc))
    try:
        print(plan(clients) if options.command == "plan" else load(clients, options))
    except UserError as fault:
        print(f"cohort: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cohort: stopped; the same command goes on from here", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
