"""Command line of the sample model: `python3 -m riskmodel --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from apiclient.credentials import DEFAULT_TOKEN_FILE, load_all, pick
from apiclient.errors import UserError
from apiclient.http import Api
from riskmodel import run, why
from riskmodel.law import EPOCH
from riskmodel.post import Accounts, Poster, Tally, make_live

STEPS = ("post", "outcomes", "compare")
CASELOAD = "counselor_other"  # whose caseload the clients are on
MAX_PER_REQUEST = 1000
MAX_CLIENTS = 9999
MAX_WEEKS = 52  # the service keeps predictions for a year

EPILOG = """
Everything is made up. A law (riskmodel/law.py) says how probable a relapse or lapse is in the week
after a snapshot of a client: craving, sleep, mood, isolation, contact, meetings, abstinence. Two
versions of a model learn it from lives that are not posted: logistic regression and boosted trees.
They begin as shadows, the first is then made live, and this week's predictions can page people.

commands:
  plan      train and show what was learned, without any service
  post      clients, feature set, both versions, predictions explained by SHAP; the first goes live
  outcomes  what came of the clients: relapses, lapses, abstinence, dropouts
  compare   the service's measures beside scikit-learn's, equal to 1e-9, and a reliability plot
  all       post, outcomes, compare (default)

examples:
  python3 -m riskmodel plan                      what the law is and what was learned of it
  python3 -m riskmodel                           everything
  python3 -m riskmodel post --shadow-only        nobody is paged
  python3 -m riskmodel --weeks 26 --batch 1000   half a year in large requests

Run again it doubles nothing and goes on where it stopped; in a later week it adds that week.
The same --seed, --clients, --weeks and --end belong to one story: give `compare` those of `post`.
exit status: 0 done and equal, 1 refused, not equal, or a service failed, 2 wrong usage
"""


def count(most: int) -> Callable[[str], int]:
    """For argparse: a number from 1 to `most`."""

    def read(text: str) -> int:
        value = int(text) if text.isdecimal() else 0
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"a number from 1 to {most}, not {text!r}")
        return value

    return read


def day(text: str) -> datetime:
    """For argparse: a day, as the last instant of it that is of interest."""
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(hour=23, minute=59, tzinfo=timezone.utc)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-11-25") from None
    if found < EPOCH:
        raise argparse.ArgumentTypeError(f"the lives begin on {EPOCH:%Y-%m-%d}")
    return found


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line; exits with 2 and a reason when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python3 -m riskmodel",
        description="A sample model of relapse risk: trained, explained, posted and measured.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", default="all", choices=("plan", *STEPS, "all"))
    parser.add_argument("--core", default="http://127.0.0.1:8081", help="address of core")
    parser.add_argument("--risk", default="http://127.0.0.1:8083", help="address of risk")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=DEFAULT_TOKEN_FILE,
        help=f"file with the entries `admin`, `pipeline` and `{CASELOAD}`",
    )
    parser.add_argument(
        "--seed", type=count(1000), default=1, help="another number, other lives (default: 1)"
    )
    parser.add_argument(
        "--clients", type=count(MAX_CLIENTS), default=150, help="how many (default: 150)"
    )
    parser.add_argument(
        "--weeks", type=count(MAX_WEEKS), default=12, help="of predictions (default: 12)"
    )
    parser.add_argument(
        "--end", type=day, help="the last day, as 2026-11-25; the last Monday up to it counts (now)"
    )
    parser.add_argument(
        "--batch", type=count(MAX_PER_REQUEST), default=500, help="per request (default: 500)"
    )
    parser.add_argument(
        "--wait", type=count(3600), default=120, help="seconds for labels to settle (default: 120)"
    )
    parser.add_argument("--shadow-only", action="store_true", help="leave both versions shadows")
    options = parser.parse_args(arguments)
    now = datetime.now(timezone.utc)
    options.now = now
    options.end = run.last_snapshot(min(options.end or now, now))
    if options.weeks > run.most_weeks(options.end):
        parser.error(f"only {run.most_weeks(options.end)} weeks are there up to --end")
    return options


def post(study: run.Study, options: argparse.Namespace, apis: dict[str, Api]) -> Tally:
    """Clients, declarations and predictions."""
    staff_id = pick(load_all(options.token_file), CASELOAD, options.token_file).principal_id
    made = Accounts(apis["core"], staff_id).make(study.settings.clients)
    run.say(f"{made} clients made, {len(study.settings.clients) - made} were there")
    go_live = (lambda _: False) if options.shadow_only else partial(make_live, apis["admin"])
    poster = Poster(apis["risk"], options.batch)
    tally = run.post_predictions(study, poster, go_live)
    section("Predictions", outcome_of("predictions", tally))
    if worrying := run.most_worrying(study):
        said = why.there(apis["counselor"], study.versions[0], worrying)
        section("Why, as the client's counselor reads it", said)
    return tally


def outcomes(study: run.Study, options: argparse.Namespace, apis: dict[str, Api]) -> Tally:
    """What came of the clients."""
    tally = Poster(apis["risk"], options.batch).report(study.world.outcomes)
    section("Outcomes", outcome_of("outcomes", tally))
    return tally


def compare(study: run.Study, options: argparse.Namespace, apis: dict[str, Api]) -> bool:
    """The measures of both versions; whether service and scikit-learn agree."""
    same = True
    measured = []
    for version in study.versions:
        answer, expected = run.await_labels(apis["risk"], version, study, options.wait)
        text, agrees = run.comparison(answer, expected)
        section(f"{version.version}: the service beside scikit-learn", text)
        measured.append((version.version, expected))
        same = same and agrees
    section("What the service says of the two", run.judged(apis["risk"], study))
    section(
        "How close the versions come to the law that made the data",
        run.side_by_side([*measured, ("the law itself", study.true_measured())]),
    )
    if not same:
        print(
            "riskmodel: not equal (≠ above). With other counts `compare` tells another story than\n"
            "  `post`: are --seed, --clients, --weeks and --end the same? With fewer labels the\n"
            "  service has not settled them yet: try --wait 600.",
            file=sys.stderr,
        )
    return same


def plan(study: run.Study) -> None:
    """What was learned, without any service."""
    measured = [(v.version, study.measured(study.probabilities(v))) for v in study.versions]
    section("The law, and what the linear version learned of it", run.learned(study))
    section(
        f"On {study.settings.weeks} weeks of {len(study.settings.clients)} other clients",
        run.side_by_side([*measured, ("the law itself", study.true_measured())]),
    )
    for name, of in measured:
        section(f"{name}: is what it says what comes?", run.plot(of))
    if worrying := run.most_worrying(study):
        section("Why, in the words of the feature set", why.here(study.versions[0], worrying))


def section(title: str, text: str) -> None:
    """Print one part under its heading."""
    print(f"\n━━ {title}\n\n{text}", flush=True)


def outcome_of(what: str, tally: Tally) -> str:
    """What was stored; what was refused goes to stderr, by reason."""
    for (status, title, fault), times in tally.refused.most_common():
        print(f"riskmodel: {times} {what} refused with {status}: {title}. {fault}", file=sys.stderr)
    gone = f", {tally.gone} of clients that are gone" if tally.gone else ""
    return f"{tally.stored} {what} stored or there already{gone}"


def work(options: argparse.Namespace) -> bool:
    """Do what was asked; whether all is well. Raises UserError."""
    # Clients of their own for each seed: the outcomes of two stories would contradict each other.
    first = (options.seed - 1) * (MAX_CLIENTS + 1) + 1
    clients = range(first, first + options.clients)
    settings = run.Settings(options.seed, clients, options.weeks, options.end, options.now)
    study = run.Study(settings)
    if options.command == "plan":
        plan(study)
        return True
    credentials = load_all(options.token_file)
    with ExitStack() as stack:
        apis = {
            name: stack.enter_context(
                closing(Api(address, pick(credentials, entry, options.token_file).token))
            )
            for name, address, entry in (
                ("core", options.core, "admin"),
                ("admin", options.risk, "admin"),
                ("counselor", options.risk, CASELOAD),
                ("risk", options.risk, "pipeline"),
            )
        }
        steps = STEPS if options.command == "all" else (options.command,)
        well = True
        for step in steps:
            if step == "compare":
                well = compare(study, options, apis) and well
            else:
                does = post if step == "post" else outcomes
                well = not does(study, options, apis).refused and well
        return well


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    options = parse(arguments)
    try:
        return 0 if work(options) else 1
    except UserError as fault:
        print(f"riskmodel: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("riskmodel: stopped; the same command goes on from here", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
