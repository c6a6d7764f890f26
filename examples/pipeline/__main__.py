"""Command line of the pipeline: `python3 -m pipeline --help`."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from apiclient.credentials import DEFAULT_TOKEN_FILE, load_all, pick
from apiclient.errors import UserError
from apiclient.http import Api
from apiclient.progress import Progress
from pipeline import MODEL_VERSION
from pipeline.model import Model
from pipeline.run import Pipeline, Settings, Tally

MAX_PER_REQUEST = 1000

EPILOG = f"""
The pipeline takes messages that {MODEL_VERSION} has not scored yet from core (they are leased to
it for some minutes, so that several pipelines can run side by side), scores mood with VADER and
craving, relapse, isolation and toxicity with pipeline/lexicon.py, and posts the predictions to
social. Stopping it at any point is safe: what it had not posted is leased again later, and what
it had posted is recognised. It never prints the text of a message.

examples:
  python3 -m pipeline                       score all that is unscored now, then stop
  python3 -m pipeline --follow              stay, and score messages as they come
  python3 -m pipeline --limit 50 --batch 10 small steps, to watch it work

exit status: 0 all stored, 1 some predictions were refused or a service failed, 2 wrong usage
"""


def per_request(text: str) -> int:
    """A count from 1 to MAX_PER_REQUEST, for argparse."""
    value = int(text) if text.isdecimal() else 0
    if not 1 <= value <= MAX_PER_REQUEST:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_PER_REQUEST}, not {text!r}")
    return value


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a reason when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python3 -m pipeline",
        description="Score unscored messages and post the predictions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--core", default="http://127.0.0.1:8081", help="address of core")
    parser.add_argument("--social", default="http://127.0.0.1:8082", help="address of social")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=DEFAULT_TOKEN_FILE,
        help="file with an entry `pipeline` (default: %(default)s)",
    )
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--once", action="store_true", help="stop when none is left (default)")
    until.add_argument("--follow", action="store_true", help="wait for more, until Ctrl-C")
    parser.add_argument(
        "--limit", type=per_request, default=500, help="messages per lease (default: 500)"
    )
    parser.add_argument(
        "--batch", type=per_request, default=500, help="predictions per request (default: 500)"
    )
    return parser.parse_args(arguments)


def report(tally: Tally) -> None:
    """One line on stdout; what was refused goes to stderr, by reason."""
    gone = f", {tally.gone} gone meanwhile" if tally.gone else ""
    print(f"{MODEL_VERSION}: {tally.stored} predictions stored{gone}")
    for (status, title), times in tally.refused.most_common():
        print(f"pipeline: {times} refused with {status}: {title}", file=sys.stderr)


def score(options: argparse.Namespace, progress: Progress) -> Tally:
    """Run the pipeline as the options say. Raises UserError."""
    token = pick(load_all(options.token_file), "pipeline", options.token_file).token
    settings = Settings(options.limit, options.batch, options.follow)
    with closing(Api(options.core, token)) as core, closing(Api(options.social, token)) as social:
        return Pipeline(core, social, Model(), settings, progress).run()


def main(arguments: list[str]) -> int:
    """Score, then report; the exit status."""
    options = parse(arguments)
    progress = Progress("scored", None)
    try:
        tally = score(options, progress)
    except UserError as fault:
        print(f"pipeline: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.close()
        return 0
    progress.close()
    report(tally)
    return 1 if tally.refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
