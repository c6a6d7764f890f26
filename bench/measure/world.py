"""Everything a series runs against: two databases on one server, with their data, and our services."""

import hashlib
import os
import secrets
import time

from . import knobs, searches, services
from .postgres import Database, functions

LIMIT_DATABASE = "recoverly_bench_limit"
OUR_DATABASE = "recoverly_bench"
SERVICES = ("core", "social", "risk", "reco", "causal")
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
SWEEP_TIMEOUT_SECONDS = 180
DRAIN_TIMEOUT_SECONDS = 60
# What requests began whose callers no longer wait: wrk hangs up at the end of a series.
BUSY = """select count(*) from pg_stat_activity where datname = current_database() and usename = 'recoverly_social'
    and state <> 'idle' and pid <> pg_backend_pid()"""
UNPUBLISHED = """select count(*) from (select from social.outbox where published_at is null
    union all select from core.outbox where published_at is null
    union all select from risk.outbox where published_at is null) waiting"""


def pid_of(server):
    """Of a native server of the profile; None where it runs in a container or elsewhere."""
    try:
        with open(os.path.join(knobs.PROFILE_DIR, "pids", server)) as f:
            pid = int(f.read().split()[0])
        return pid if os.path.exists(f"/proc/{pid}") else None
    except (OSError, ValueError, IndexError):
        return None


class World:
    def __init__(self, run, say):
        self.run, self.say = run, say
        self.programs, self.facts = {}, {}
        self.watched = {"pg": pid_of("postgres"), "broker": pid_of("rabbitmq")}
        self.admin = Database(os.environ["RECOVERLY_ADMIN_DATABASE_URL"], "postgres")
        for setting in DURABLE:
            if self.admin.value(f"show {setting}") != "on":
                raise SystemExit(f"bench: {setting} is off: what is measured must be durable")
        self.facts["postgres"] = self.admin.value("show server_version")
        if self.watched["pg"] is None:
            say("Postgres is no native server of this machine: its CPU is not counted")

    # --- databases ---

    def _make(self, name, owner):
        self.admin.psql("-c", f"drop database if exists {name} with (force)")
        made = f"create database {name} owner {owner} template template0 encoding 'UTF8'"
        self.admin.psql("-c", made)
        return Database(os.environ["RECOVERLY_ADMIN_DATABASE_URL"], name)

    def prepare_limit(self):
        owner = self.admin.environment["PGUSER"]
        self.limit = self._make(LIMIT_DATABASE, owner)
        self.limit.file(os.path.join(knobs.KIT, "schema.sql"))
        # Search is measured when it has a route; until then the kit's memories stay away.
        sizes = {"users": self.run.users, "messages": self.run.messages, "memories": 0, "dims": 1}
        self.limit.file(os.path.join(knobs.KIT, "load", "seed.sql"), kit=knobs.KIT, **sizes)
        self.limit.psql("-f", "-", stdin=functions())
        self.limit.file(os.path.join(knobs.BENCH, "service", "audited.sql"))

    def reset_limit(self):
        self.limit.file(os.path.join(knobs.KIT, "load", "reset.sql"), kit=knobs.KIT)

    def prepare_ours(self):
        self.ours = self._make(OUR_DATABASE, "recoverly_owner")
        self.ours.file(os.path.join(knobs.REPO, "deploy", "postgres", "database.sql"))
        self.broker = services.Broker(os.environ["RECOVERLY_AMQP_URL"], os.environ["RECOVERLY_AMQP_MANAGEMENT_URL"])
        self.environment = services.settings(OUR_DATABASE, self.broker)
        services.forget_anchor(self.environment)
        # Its sessions are like the service's own.
        options = "-c plan_cache_mode=force_generic_plan -c jit=off -c hnsw.iterative_scan=relaxed_order -c hnsw.ef_search=100"
        self.ours_as_social = Database(os.environ["RECOVERLY_SOCIAL_DATABASE_URL"], OUR_DATABASE, options)
        self.ours_as_core = Database(os.environ["RECOVERLY_CORE_DATABASE_URL"], OUR_DATABASE, options)
        for name in SERVICES:
            services.migrate(name, self.environment)
        run = self.run
        sizes = {"users": run.users, "messages": run.messages, "fresh": run.fresh, "caseload": run.caseload}
        self.ours.file(os.path.join(knobs.BENCH, "service", "seed.sql"), **sizes)
        if set(run.paths) & set(knobs.SEARCHES):
            self.facts["search"] = searches.prepare(self)
        if run.attempt:
            self.ours.file(run.attempt)
        self._make_tokens()
        # Its queue must exist before the first event, as where all services run.
        self.start_beside("core")
        self.stop_beside("core")

    def _make_tokens(self):
        holders = [("client_id", "bench-pipeline"), ("client_id", "bench-app"), ("subject", "supervisor-1")]
        holders += [("subject", f"counselor-{c}") for c in range(1, self.run.users // self.run.caseload + 1)]
        holders.append(("subject", "oncall-1"))
        tokens = ["rcv_" + secrets.token_urlsafe(32) for _ in holders]
        rows = []
        for (column, holder), token in zip(holders, tokens):
            digest = hashlib.sha256(token.encode()).hexdigest()
            rows.append(
                f"insert into core.access_tokens (token_hash, {column}, expires_at)"
                f" values ('\\x{digest}', '{holder}', now() + interval '1 day');"
            )
        self.ours.psql("-f", "-", stdin="\n".join(rows))
        self.tokens = os.path.join(knobs.PROFILE_DIR, "tokens")
        with open(os.open(self.tokens, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write("\n".join(tokens[:-1]) + "\n")
        self.pipeline_token, _, self.supervisor_token, *_, self.oncall_token = tokens

    # --- our services ---

    def start_social(self):
        social = services.start_service("social", self.environment)
        self.programs["social"] = social
        self.facts["start_seconds"] = social.started_in
        self._wait(
            "the sweep",
            "select count(*) from social.user_risk_profiles where next_recompute_at <= now()",
            SWEEP_TIMEOUT_SECONDS,
        )
        self.drain()
        # A service that has just worked through ten thousand profiles is not an idle one.
        social.stop()
        self.ours.file(os.path.join(knobs.BENCH, "service", "mark.sql"))
        social = self.programs["social"] = services.start_service("social", self.environment)
        self.facts["start_seconds"] = min(self.facts["start_seconds"], social.started_in)
        time.sleep(2)
        self.facts["social_idle_mib"] = social.memory_mib()[0]

    def start_beside(self, name):
        """Another service, for the paths that are its own."""
        program = self.programs[name] = services.start_service(name, self.environment)
        if f"{name}_idle_mib" not in self.facts:
            time.sleep(1)
            self.facts[f"{name}_idle_mib"] = program.memory_mib()[0]

    def stop_beside(self, name):
        program = self.programs.pop(name)
        most = program.memory_mib()[1]
        self.facts[f"{name}_most_mib"] = max(most, self.facts.get(f"{name}_most_mib", 0))
        program.stop()

    def start_peers(self):
        for mode in ("statements", "function"):
            self.programs[f"peer-{mode}"] = services.start_peer(self.limit, mode)

    def stop(self):
        for program in list(self.programs.values()):
            program.stop()
        self.programs.clear()

    # --- between series ---

    def _wait(self, what, count, timeout):
        end = time.monotonic() + timeout
        while self.ours.number(count):
            if time.monotonic() > end:
                raise SystemExit(f"bench: {what} did not come to an end within {timeout} s")
            time.sleep(0.1)

    def settle(self):
        """Waits for a moment in which no transaction of the service is open."""
        self._wait("the last requests", BUSY, DRAIN_TIMEOUT_SECONDS)

    def drain(self):
        """Waits until the relay has published everything: (events that waited, seconds it took)."""
        waiting, began = self.ours.number(UNPUBLISHED), time.monotonic()
        self._wait("the relay", UNPUBLISHED, DRAIN_TIMEOUT_SECONDS)
        return waiting, round(time.monotonic() - began, 2)

    def reset_ours(self):
        self.settle()
        self.drain()
        self.broker.purge("core.inbox")
        services.forget_anchor(self.environment)
        self.ours.file(os.path.join(knobs.BENCH, "service", "reset.sql"))


