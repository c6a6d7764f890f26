"""The rounds: every path at every concurrency, the limit and whoever is held against it one after the other."""

import json
import os
import re
import subprocess

from . import account, knobs, searches
from .pairs import PAIRS, Guards
from .postgres import run_pgbench

# Share of the fresh messages that a warm-up may score.
WARMUP_SHARE = 10
WRITES = ("write", "batch")
BATCHES = ("batch", "message_batch", "message_batch_told", "risk_batch")
BATCH_CONCURRENCY_MAX = 16
# The kit's own names of the paths.
KIT_PATHS = {"caseload": "label"}
OURS = {path: "core" for path in ("messages", "context", "message_batch", *knobs.SEARCHES)} | {"risk_batch": "risk"}
# What else a path is held against: its statements as one stored function; our own statement instead of the kit's; the
# statement and the audit's row, which reads of people's data must leave.
MORE_LIMITS = {
    "write": ["write_function"],
    "profile": ["profile_audited"],
    "caseload": ["caseload_own", "caseload_audited"],
    "messages": ["messages_audited"],
    "context": ["context_audited"],
    "message_batch": ["message_batch_told"],
}
BY_OUR_STATEMENT = ("caseload_own", "caseload_audited")
# On our tables, by the superuser: row-level security does not apply.
ON_OUR_TABLES = ("context", "context_audited", "message_batch", "message_batch_told", "risk_batch")
# What the FastAPI service has a route for, on the kit's tables.
BY_PEER = ("write", "batch", "profile", "caseload", "messages")
TOP_STATEMENTS = 12
WRK_TIMEOUT_SECONDS = 60


def wrk(script, base, concurrency, seconds, arguments):
    """One series over HTTP: (requests, facts)."""
    threads = 1 if concurrency < 16 else 2
    command = ["wrk", f"-t{threads}", f"-c{concurrency}", f"-d{seconds}s", "--timeout", f"{WRK_TIMEOUT_SECONDS}s"]
    command += ["-s", script, base, "--", *(str(a).replace("THREADS", str(threads)) for a in arguments)]
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"^RESULT (.*)$", ran.stdout, re.M)
    if not found:
        raise SystemExit(f"bench: wrk failed: {ran.stdout[-1000:]}{ran.stderr[-1000:]}")
    result = json.loads(found.group(1))
    facts = {f"p{p}_ms": result[f"p{p}_us"] / 1e3 for p in (50, 90, 99)}
    # Refusals are quick: they count neither as rate nor as requests.
    done = result["requests"] - result["errors"]
    facts.update(rate=done / result["seconds"], errors=result["errors"])
    return done, facts


class Rounds:
    def __init__(self, world, out):
        self.world, self.run, self.out = world, world.run, out
        self.rows, self.warmed = [], set()
        self.guards = Guards(world.ours)

    def seconds(self, path, concurrency):
        """Large batches wait for each other: the queue must fill before the rate is one."""
        return self.run.duration * (2 if path in BATCHES and concurrency >= 16 else 1)

    def concurrencies(self, path):
        """Of sixty-four large batches nearly all wait, for connections or for row locks: that is another measurement."""
        return [c for c in self.run.concurrencies if path not in BATCHES or c <= BATCH_CONCURRENCY_MAX]

    def all(self):
        for number in range(1, self.run.rounds + 1):
            for path in self.run.paths:
                if path in OURS:
                    self.world.reset_ours()
                    self.world.start_beside(OURS[path])
                for concurrency in self.concurrencies(path):
                    self.both(number, path, concurrency)
                if path in knobs.SEARCHES and "recall" not in self.world.facts["search"]:
                    self.world.facts["search"]["recall"] = searches.recall(self.world)
                if path in OURS:
                    self.world.drain()
                    self.world.stop_beside(OURS[path])

    def both(self, number, path, concurrency):
        """Limit and service in turns; who goes first changes from round to round."""
        turns = [lambda: self.service(number, path, concurrency)]
        if path != "health":
            limits = [path, *MORE_LIMITS.get(path, [])]
            turns = [lambda p=p: self.limit(number, p, concurrency) for p in limits] + turns
            if self.run.peer and path in BY_PEER:
                turns += [lambda: self.peer(number, path, concurrency, "statements")]
        elif self.run.peer:
            turns += [lambda: self.peer(number, path, concurrency, "statements")]
        if self.run.peer and path == "write":
            turns += [lambda: self.peer(number, path, concurrency, "function")]
        if concurrency == max(self.concurrencies(path)):
            turns += [lambda who=pair.who: self.without(number, path, concurrency, who) for pair in PAIRS if path in pair.paths]
        for turn in turns if number % 2 else reversed(turns):
            turn()

    def measured(self, row, watched, load):
        account.wait_for_quiet(self.run.patience)
        meter = account.Meter(watched)
        requests, facts = load()
        row = {**row, "requests": requests, **facts, **meter.stop(requests)}
        self.rows.append(row)
        with open(self.out, "a") as f:
            f.write(json.dumps(row) + "\n")
        return row

    def tell(self, row, more=""):
        self.world.say(
            f"{row['who']:<15} {row['path']:<14} c={row['c']:<3} {row['rate']:>9.1f}/s  p50 {row['p50_ms']:>7.2f}"
            f"  p99 {row['p99_ms']:>7.2f} ms  errors {row['errors']}  others {row['cores_others']:.2f} cores{more}"
        )

    def is_cold(self, who, path):
        cold = (who, path) not in self.warmed
        self.warmed.add((who, path))
        return cold and self.run.warmup

    # --- who is measured ---

    def limit(self, number, path, concurrency):
        if path in (*WRITES, "write_function"):
            self.world.reset_limit()
        database = self.world.ours_as_social if path in BY_OUR_STATEMENT else self.world.limit
        if path in ON_OUR_TABLES:
            database = self.world.ours
        if path in knobs.SEARCHES:
            database = self.world.ours_as_core
        if path in BATCHES[1:]:
            self.world.reset_ours()
        seconds = self.seconds(path, concurrency)
        if self.is_cold("pgbench", path):
            run_pgbench(database, self.run, path, concurrency, self.run.warmup)
        row = {"who": "pgbench", "path": path, "c": concurrency, "round": number}

        def load():
            return run_pgbench(database, self.run, path, concurrency, seconds)

        self.tell(self.measured(row, self.world.watched, load))

    def peer(self, number, path, concurrency, mode):
        if path in WRITES:
            self.world.reset_limit()
        program = self.world.programs[f"peer-{mode}"]
        script = os.path.join(knobs.KIT, "load", "paths.lua")
        arguments = [KIT_PATHS.get(path, path), self.run.users, self.run.messages, "-", self.run.batch]

        def load(seconds):
            return wrk(script, program.base, concurrency, seconds, arguments)

        if self.is_cold(program.name, path):
            load(self.run.warmup)
        row = {"who": program.name, "path": path, "c": concurrency, "round": number}
        watched = {**self.world.watched, "app": program.pid}
        self.tell(self.measured(row, watched, lambda: load(self.seconds(path, concurrency))))

    def without(self, number, path, concurrency, who):
        self.guards.apply(self.guards.without(who))
        try:
            self.service(number, path, concurrency, who)
        finally:
            self.guards.apply(self.guards.back(who))

    def service(self, number, path, concurrency, who="service"):
        world, run = self.world, self.run
        if path in (*WRITES, "message_batch", "risk_batch"):
            world.reset_ours()
        program = world.programs[OURS.get(path, "social")]
        script = os.path.join(knobs.BENCH, "service", "paths.lua")
        first, last = run.messages + 1, run.messages + run.fresh
        border = last - run.fresh // WARMUP_SHARE

        def load(seconds, low, high):
            arguments = [path, run.users, low, high, run.batch, "THREADS", world.tokens, searches.queries_file()]
            return wrk(script, program.base, concurrency, seconds, arguments)

        if path in WRITES or self.is_cold(who, path):
            load(run.warmup, border + 1, last)
        if path in WRITES:
            world.settle()
        newest = world.ours.number("select coalesce(max(id), 0) from social.message_predictions")
        if run.statements:
            world.ours.psql("-c", "select pg_stat_statements_reset()")
        row = {"who": who, "path": path, "c": concurrency, "round": number}
        seconds = self.seconds(path, concurrency)
        row = self.measured(row, {**world.watched, "app": program.pid}, lambda: load(seconds, first, border))
        row["mib"] = program.memory_mib()[1]
        if run.statements:
            self.statements(row)
        self.tell(row, self.aftermath(row, newest) if path in WRITES else "")

    def aftermath(self, row, newest):
        """What a write series left behind: rows stored, which is how many were answered 201, and events that wait."""
        self.world.settle()
        row["stored"] = self.world.ours.number(f"select count(*) from social.message_predictions where id > {newest}")
        row["high_risk"] = self.world.ours.number(
            f"select count(*) from social.message_predictions where id > {newest} and risk_score >= 0.7"
        )
        row["backlog"], row["drained_in"] = self.world.drain()
        return f"  {row['stored']} stored, {row['backlog']} events waited {row['drained_in']} s"

    def statements(self, row):
        """Planning is told beside execution: a statement that is planned at each call often costs more than it does."""
        sql = f"""select calls, total_plan_time * 1000, total_exec_time * 1000, rows, shared_blks_hit, wal_bytes,
            regexp_replace(left(query, 110), '\\s+', ' ', 'g')
            from pg_stat_statements s join pg_database d on d.oid = s.dbid and d.datname = current_database()
            where query not like '%pg_stat_statements%'
            order by total_plan_time + total_exec_time desc limit {TOP_STATEMENTS}"""
        row["statements"] = self.world.ours.rows(sql)
        requests = max(1, row["requests"])
        for calls, planned, executed, rows, hits, wal, query in row["statements"]:
            self.world.say(
                f"    {float(executed) / requests:>9.1f} + {float(planned) / requests:>7.1f} us planning a request"
                f" {calls:>6} calls {rows:>7} rows {int(hits) / requests:>7.1f} pages"
                f" {int(wal) / requests:>6.0f} B wal  {query.strip()}"
            )
