"""The settings of a run, all from the environment."""

import os
from dataclasses import dataclass

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(REPO, "bench")
KIT = os.path.join(BENCH, "kit")
PROFILE_DIR = os.path.join(REPO, ".dev", "bench")

SEARCHES = ("search", "search_caseload", "search_client")
PATHS = ("write", "batch", "profile", "caseload", "messages", "context", "message_batch", "risk_batch", *SEARCHES, "health")


def number(name, default):
    text = os.environ.get(name) or str(default)
    if not text.isdigit():
        raise SystemExit(f"bench: {name} must be a whole number, not '{text}'")
    return int(text)


def flag(name):
    return (os.environ.get(name) or "0") not in ("0", "no", "false")


@dataclass(frozen=True)
class Knobs:
    quick: bool
    rounds: int
    duration: int  # seconds of a series
    warmup: int  # seconds before the first series of a path; 0 for none
    concurrencies: tuple
    paths: tuple
    users: int
    messages: int
    fresh: int  # messages that nobody has scored when a series begins
    batch: int
    caseload: int  # clients of one counselor
    memories: int  # of all clients together, each with an embedding
    event_seconds: int  # of the measurement of events; 0 skips it
    event_rate: int  # writes a second meanwhile
    page_seconds: int  # of the measurement of pages; 0 skips it
    page_rate: int  # escalations a second meanwhile
    patience: int  # seconds to wait for quiet neighbours before a series
    peer: bool
    statements: bool  # whether pg_stat_statements tells where Postgres' time goes
    attempt: str  # a file of SQL for our database, to try an index or a setting before it is a migration


def read():
    quick = flag("QUICK")
    paths = tuple((os.environ.get("BENCH_PATHS") or ",".join(PATHS)).split(","))
    unknown = set(paths) - set(PATHS)
    if unknown:
        raise SystemExit(f"bench: BENCH_PATHS knows {', '.join(PATHS)}, not {', '.join(sorted(unknown))}")
    concurrencies = os.environ.get("CONC") or ("1,64" if quick else "1,16,64")
    return Knobs(
        quick=quick,
        rounds=number("ROUNDS", 1 if quick else 3),
        duration=number("DURATION", 2 if quick else 3),
        warmup=1,
        concurrencies=tuple(int(c) for c in concurrencies.split(",")),
        paths=paths,
        users=number("BENCH_USERS", 10_000),
        messages=number("BENCH_MESSAGES", 200_000),
        fresh=number("BENCH_FRESH", 100_000),
        batch=1_000,
        caseload=200,
        memories=number("BENCH_MEMORIES", 100_000),
        event_seconds=number("EVENT_SECONDS", 5 if quick else 10),
        event_rate=number("EVENT_RATE", 500),
        page_seconds=number("PAGE_SECONDS", 5 if quick else 10),
        page_rate=number("PAGE_RATE", 50),
        patience=number("PATIENCE", 2),
        peer=flag("BENCH_PEER"),
        statements=flag("BENCH_STATEMENTS"),
        attempt=os.environ.get("BENCH_TRY", ""),
    )
