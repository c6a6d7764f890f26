"""Shows what the main job did: `python3 examples/demo/show.py --help`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from apiclient.credentials import DEFAULT_TOKEN_FILE, load_all, load_sign_ins, pick  # noqa: E402 (path set above)
from apiclient.errors import UserError  # noqa: E402
from apiclient.http import Api  # noqa: E402
from demo import calls, caseload, oncall  # noqa: E402
from events.counts import from_lines  # noqa: E402

HOST = "http://127.0.0.1"
PORTS = {"core": 8081, "social": 8082, "risk": 8083, "reco": 8084, "causal": 8085}
RULE_WIDTH = 100

EPILOG = """
Reads the caseload as its counselor, the escalations as on-call, acknowledges and resolves one of
them (unless an earlier run did), and prints where to go on from here. It writes the tokens for
the printed curl calls beside the token file, as `tokens`, readable by you only. How people sign in
is read from `sign-ins.json` beside it.

exit status: 0 shown, 1 a service or a file failed, 2 wrong usage
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a reason when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="show.py",
        description="Show the result of the main job.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, port in PORTS.items():
        parser.add_argument(f"--{name}", default=f"{HOST}:{port}", help=f"address of {name}")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=DEFAULT_TOKEN_FILE,
        help="file with the entries `counselor` and `oncall`",
    )
    parser.add_argument(
        "--events", type=Path, metavar="FILE", help="what `events/watch.py --json` printed"
    )
    return parser.parse_args(arguments)


def section(title: str, text: str) -> None:
    """Print one part under its heading."""
    print(f"\n━━ {title} {'━' * (RULE_WIDTH - len(title) - 4)}\n\n{text}", flush=True)


def events_seen(path: Path | None) -> str:
    """The events of a watcher's file, counted by type. Raises UserError."""
    if path is None:
        return "no watcher ran; see `python3 examples/events/watch.py --help`"
    try:
        with path.open(encoding="utf-8") as lines:
            counts = from_lines(lines)
    except OSError as fault:
        raise UserError(f"{path} cannot be read ({fault.strerror}).") from None
    except ValueError:
        raise UserError(f"{path} is not what `events/watch.py --json` prints.") from None
    return counts.table() if counts.deliveries else "no new events in this run"


def show(options: argparse.Namespace) -> None:
    """Print every part. Raises UserError."""
    path = options.token_file
    credentials = load_all(path)
    with (
        closing(Api(options.social, pick(credentials, "counselor", path).token)) as counselor,
        closing(Api(options.social, pick(credentials, "oncall", path).token)) as on_call,
    ):
        first = show_people(counselor, on_call)
    section("Events seen on RabbitMQ by an independent consumer", events_seen(options.events))
    docs = "\n".join(f"{name:<8}{getattr(options, name)}/docs" for name in PORTS)
    section("Documentation of the routes", docs)
    people = load_sign_ins(path.with_name("sign-ins.json"))
    section("Sign-ins: e-mail and password", calls.sign_ins(options.core, people))
    tokens = path.with_name("tokens")
    calls.write_tokens(tokens, credentials)
    section("Try it", calls.text(options.core, options.social, tokens, first))


def show_people(counselor: Api, on_call: Api) -> str:
    """Print what staff see and do; the user id of a client on the caseload. Raises ApiError."""
    profiles = caseload.pages(counselor, "/v1/risk-profiles")
    section("The counselor's caseload, by label", caseload.by_label(profiles))
    section("Its summary", caseload.summary(counselor.get("/v1/caseload/summary")))
    waiting = oncall.open_escalations(on_call)
    section("Open escalations, for whoever is on call", oncall.queue(waiting))
    section("On-call takes one", oncall.take_one(on_call, counselor, waiting))
    return profiles[0]["user_id"] if profiles else "client-001"


def main(arguments: list[str]) -> int:
    """Show everything; the exit status."""
    options = parse(arguments)
    try:
        show(options)
    except UserError as fault:
        print(f"demo: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
