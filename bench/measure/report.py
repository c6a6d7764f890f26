"""The table of a run and its goals, as Markdown."""

import os
import statistics
from collections import defaultdict

from .knobs import SEARCHES
from .pairs import PAIRS

ORDER = ("write", "write_function", "batch", "profile", "profile_audited", "caseload", "caseload_own", "caseload_audited")
ORDER += ("messages", "messages_audited", "context", "context_audited", "message_batch", "message_batch_told", "risk_batch", *SEARCHES)
ORDER += ("health",)
WHO = ("pgbench", "service", *(pair.who for pair in PAIRS), "peer-statements", "peer-function")
NAMES = {
    "write": "single write",
    "write_function": "single write, stored function",
    "batch": "batch of 1,000",
    "profile": "one risk profile",
    "profile_audited": "one risk profile, and its audit row",
    "caseload": "caseload list, 50 rows",
    "caseload_own": "caseload list, our statement",
    "caseload_audited": "caseload list, our statement and its audit row",
    "messages": "last 50 messages",
    "messages_audited": "last 50 messages, and their audit row",
    "context": "context of a client",
    "context_audited": "context of a client, and its audit row",
    "message_batch": "batch of 1,000 messages",
    "message_batch_told": "batch of 1,000 messages, and an event of each",
    "risk_batch": "batch of 1,000 model predictions, explained",
    "search": "10 memories of everybody",
    "search_caseload": "10 memories of a caseload",
    "search_client": "10 memories of a client",
    "health": "health",
}
CPU = ("app", "pg", "client", "broker")
LIMITS = {
    "write": "write_function",
    "profile": "profile_audited",
    "caseload": "caseload_audited",
    "messages": "messages_audited",
    "context": "context_audited",
}
# What performance.md asks for: must and moonshot.
WRITE_RATE, WRITE_RATE_PEER, WRITE_P50 = (1.5, 3.0), (8.0, 15.0), (1.3, 1.0)
BATCH_RATE = (2.0, 5.0)
READ_P50_MORE_MS, READ_RATE, READ_RATE_PEER = 0.15, (0.4, 0.6), 7.0
CASELOAD_P50, CASELOAD_PG = 1.2, (0.5, 0.25)
CONTEXT_P50 = 1.5
MESSAGE_BATCH_RATE = 0.7
RISK_BATCH_RATE = 0.6
SEARCH_P50 = {"search": 1.3, "search_caseload": 1.3, "search_client": 1.5}
RECALL = 0.95
EVENT_P50_MS, EVENT_P99_MS = 20.0, (100.0, 40.0)
PAGE_P99_MS = 2_000.0
IDLE_MIB, LOADED_MIB = (60.0, 30.0), (150.0, 80.0)
START_SECONDS = 1.0


class Medians:
    def __init__(self, rows):
        self.groups = defaultdict(list)
        for row in rows:
            self.groups[row["who"], row["path"], row["c"]].append(row)
        self.concurrencies = sorted({c for _, _, c in self.groups})

    def get(self, who, path, c, field):
        rows = self.groups.get((who, path, c), [])
        values = [row[field] for row in rows if field in row]
        return statistics.median(values) if values else None

    def best(self, who, path, field="rate"):
        found = [self.get(who, path, c, field) for c in self.concurrencies]
        return max((value for value in found if value is not None), default=None)

    def total(self, who, path, c, field):
        return sum(row.get(field, 0) for row in self.groups.get((who, path, c), []))


def show(value, digits=2):
    return "-" if value is None else f"{value:,.{digits}f}"


def ratio(value, of):
    return None if value is None or not of else value / of


def limit_path(path):
    """What a path is held against: the write against the faster of its two limits, a read against one that is audited."""
    return LIMITS.get(path, path)


def table(medians):
    heads = ["path", "c", "who", "rate /s", "p50 ms", "p99 ms", "service", "Postgres", "client", "broker", "of limit, same c"]
    lines = ["| " + " | ".join([*heads, "of limit, its best c", "others' cores"]) + " |"]
    lines += ["|---" * 3 + "|---:" * 10 + "|"]
    for path in ORDER:
        for c in medians.concurrencies:
            for who in WHO:
                if (who, path, c) in medians.groups:
                    lines.append(line(medians, who, path, c))
    return lines


def line(medians, who, path, c):
    rate = medians.get(who, path, c, "rate")
    limit = limit_path(path)
    versus = ["", ""]
    if who != "pgbench":
        versus = [
            show(ratio(rate, medians.get("pgbench", limit, c, "rate"))),
            show(ratio(rate, medians.best("pgbench", limit))),
        ]
    cells = [NAMES[path], c, who, show(rate, 1), show(medians.get(who, path, c, "p50_ms"))]
    cells += [show(medians.get(who, path, c, "p99_ms"))]
    cells += [show(medians.get(who, path, c, f"cpu_us_{part}"), 0) for part in CPU]
    cells += [*versus, show(medians.get(who, path, c, "cores_others"))]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def writes(medians):
    """How many of the writes really stored something."""
    lines = []
    for path, each in (("write", 1), ("batch", 1_000)):
        for c in medians.concurrencies:
            if ("service", path, c) not in medians.groups:
                continue
            answered, stored, errors, high, late = (
                medians.total("service", path, c, field)
                for field in ("requests", "stored", "errors", "high_risk", "backlog")
            )
            # What was in flight at the end is stored and not answered; what stood before is answered and not stored.
            stood = max(0, answered * each - stored)
            slowest = max(row["drained_in"] for row in medians.groups["service", path, c])
            lines.append(
                f"- {NAMES[path]}, c = {c}: {answered:,} answered, {errors:,} refused; {stored:,} predictions stored,"
                f" {stood:,} stood already; {100 * high / max(1, stored):.1f} % high-risk; {late:,} events waited for the"
                f" relay at the ends, at most {slowest:.1f} s"
            )
    return lines


class Goals:
    """Goals as lines `goal | must | moonshot | measured | met`."""

    def __init__(self):
        self.lines = ["| goal | must | moonshot | measured | |", "|---|---|---|---:|---|"]
        self.found = []

    def add(self, goal, measured, must, moonshot=None, above=True, unit=""):
        def holds(bound):
            return measured >= bound if above else measured <= bound

        sign = "≥" if above else "≤"
        bounds = [f"{sign} {show(b)}{unit}" if b is not None else "" for b in (must, moonshot)]
        if measured is None:
            verdict = "not measured"
        elif moonshot is not None and holds(moonshot):
            verdict = "moonshot"
        else:
            verdict = "met" if holds(must) else "**not met**"
        self.found.append({"goal": goal, "measured": measured, "must": must, "moonshot": moonshot, "verdict": verdict})
        self.lines.append(f"| {goal} | {bounds[0]} | {bounds[1]} | {show(measured)}{unit if measured else ''} | {verdict} |")


def goals(medians, facts):
    found = Goals()
    get, best = medians.get, medians.best
    high = 64 if 64 in medians.concurrencies else max(medians.concurrencies)
    middle = 16 if 16 in medians.concurrencies else high
    write = get("service", "write", high, "rate")
    function = best("pgbench", "write_function")
    found.add(f"single write, c = {high}: rate, of the stored function's best", ratio(write, function), *WRITE_RATE)
    peer = get("peer-statements", "write", high, "rate")
    found.add(f"single write, c = {high}: rate, of FastAPI's", ratio(write, peer), *WRITE_RATE_PEER)
    first = ratio(get("service", "write", 1, "p50_ms"), get("pgbench", "write_function", 1, "p50_ms"))
    found.add("single write, c = 1: p50, of the stored function's", first, *WRITE_P50, above=False)
    batch = ratio(best("service", "batch"), best("pgbench", "batch"))
    found.add("batch of 1,000: best rate, of pgbench's best", batch, *BATCH_RATE)
    for path in ("profile", "messages"):
        ours, limit = get("service", path, 1, "p50_ms"), get("pgbench", limit_path(path), 1, "p50_ms")
        more = None if ours is None or limit is None else ours - limit
        found.add(f"{NAMES[path]}, c = 1: p50 above pgbench's", more, READ_P50_MORE_MS, above=False, unit=" ms")
        rate = get("service", path, middle, "rate")
        found.add(f"{NAMES[path]}, c = {middle}: rate, of pgbench's", ratio(rate, get("pgbench", limit_path(path), middle, "rate")), *READ_RATE)
        found.add(f"{NAMES[path]}, c = {middle}: rate, of FastAPI's", ratio(rate, get("peer-statements", path, middle, "rate")), READ_RATE_PEER)
    listed = ratio(get("service", "caseload", 1, "p50_ms"), get("pgbench", limit_path("caseload"), 1, "p50_ms"))
    found.add("caseload list, c = 1: p50, of pgbench's with the same statement", listed, CASELOAD_P50, above=False)
    spent = ratio(get("service", "caseload", middle, "cpu_us_pg"), get("pgbench", "caseload", middle, "cpu_us_pg"))
    found.add(f"caseload list, c = {middle}: Postgres' CPU, of the kit's statement", spent, *CASELOAD_PG, above=False)
    known = ratio(get("service", "context", 1, "p50_ms"), get("pgbench", limit_path("context"), 1, "p50_ms"))
    found.add("context of a client, c = 1: p50, of pgbench's with seed 003's statement", known, CONTEXT_P50, above=False)
    stored = best("service", "message_batch")
    for path, limit in (("message_batch", "the bare insert's"), ("message_batch_told", "the insert's with an event of each")):
        share = ratio(stored, best("pgbench", path))
        found.add(f"batch of 1,000 messages: best rate, of {limit} best", share, MESSAGE_BATCH_RATE)
    said = ratio(best("service", "risk_batch"), best("pgbench", "risk_batch"))
    found.add("batch of 1,000 model predictions: best rate, of the bare inserts' best", said, RISK_BATCH_RATE)
    for path in SEARCHES:
        took = ratio(get("service", path, 1, "p50_ms"), get("pgbench", path, 1, "p50_ms"))
        found.add(f"{NAMES[path]}, c = 1: p50, of pgbench's with the same statement", took, SEARCH_P50[path], above=False)
    found.add("10 memories of everybody: recall", facts.get("search", {}).get("recall"), RECALL)
    for pair in PAIRS:
        for path in pair.paths:
            c = max((c for who, measured, c in medians.groups if who == pair.who and measured == path), default=high)
            left = ratio(get("service", path, c, "rate"), get(pair.who, path, c, "rate"))
            found.add(f"{NAMES[path]}, c = {c}: rate with {pair.guard}, of the rate without", left, pair.must)
    events = facts.get("events") or {}
    found.add("event out at 500 writes/s: p50", events.get("p50_ms"), EVENT_P50_MS, above=False, unit=" ms")
    found.add("event out at 500 writes/s: p99", events.get("p99_ms"), *EVENT_P99_MS, above=False, unit=" ms")
    pages = facts.get("pages") or {}
    found.add("first page at 50 escalations/s: p99", pages.get("p99_ms"), PAGE_P99_MS, above=False, unit=" ms")
    for service in ("social", "core", "risk"):
        found.add(f"recoverly-{service}: resident idle", facts.get(f"{service}_idle_mib"), *IDLE_MIB, above=False, unit=" MiB")
        found.add(f"recoverly-{service}: resident, most under load", facts.get(f"{service}_most_mib"), *LOADED_MIB, above=False, unit=" MiB")
    found.add("recoverly-social: start until ready", facts.get("start_seconds"), START_SECONDS, above=False, unit=" s")
    return found


def markdown(rows, run, facts):
    medians = Medians(rows)
    held = goals(medians, facts)
    lines = [
        f"Medians of {run.rounds} alternating round(s), {run.duration} s a series; {facts['cores']} cores shared by load"
        f" generator, service, Postgres {facts['postgres']} and RabbitMQ; fsync and synchronous_commit on;"
        f" {run.users:,} users, {run.messages:,} messages and predictions. Load average {facts['load_before']} at the"
        f" beginning, {facts['load_after']} at the end. Revision {facts['revision']}"
        + (f", after {os.path.basename(run.attempt)}." if run.attempt else "."),
        "",
        "CPU in µs a request. The limit is pgbench with the kit's statements and neither HTTP, tokens, row-level"
        " security, events nor rules; for the single write the faster of its two variants, the stored function; for a"
        " read of people's data the statement and the row that the audit must have before the answer.",
        "",
        *table(medians),
        "",
        *writes(medians),
    ]
    events = facts.get("events")
    if events:
        lines.append(
            f"- Event out: {events['arrived']:,} of {events['writes']:,} events at {events['rate']} writes/s (not 201:"
            f" {events['refused']}), writer's answer to consumer p50 {events['p50_ms']} ms, p99 {events['p99_ms']} ms, most"
            f" {events['max_ms']} ms; the answer itself p50 {events['answer_p50_ms']} ms, p99 {events['answer_p99_ms']} ms"
        )
    pages = facts.get("pages")
    if pages:
        lines.append(
            f"- First page: {pages['arrived']:,} of {pages['raised']:,} at {pages['rate']} escalations/s, from the"
            f" transaction that raised it to the webhook p50 {pages['p50_ms']} ms, p99 {pages['p99_ms']} ms, most"
            f" {pages['max_ms']} ms; the answer itself p50 {pages['answer_p50_ms']} ms, p99 {pages['answer_p99_ms']} ms"
        )
    lines += ["", *held.lines]
    return "\n".join(lines) + "\n", held.found
