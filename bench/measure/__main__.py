"""One run: prepare, measure, tell. Started by bench/run.sh, which has started the servers and built the services."""

import json
import os
import subprocess
import sys
import time

from . import knobs, pages, report
from .rounds import Rounds
from .world import World

BEGAN = time.monotonic()
TELL_STATEMENTS = (
    "create extension pg_stat_statements",
    "alter system set pg_stat_statements.track_planning = on",
    "select pg_reload_conf()",
)


def say(text):
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"{minutes:>3}:{seconds:02} {text}", flush=True)


def load_average():
    return round(os.getloadavg()[0], 2)


def revision():
    def git(*arguments):
        ran = subprocess.run(["git", "-C", knobs.REPO, *arguments], capture_output=True, text=True)
        return ran.stdout.strip()

    found = (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if git("status", "--porcelain") else "")
    return found if os.environ.get("BENCH_BUILD") != "0" else f"{found}, but the binaries that were there"


def measure_events(world):
    """By the Python of the examples, which has an AMQP client; skipped with a word where it cannot be made."""
    run = world.run
    world.reset_ours()
    if subprocess.run([os.path.join(knobs.REPO, "examples", "setup.sh")]).returncode:
        say("events are not measured: the Python of the examples could not be made")
        return None
    command = [os.path.join(knobs.REPO, ".dev", "venv", "bin", "python"), "-m", "measure.events"]
    command += [world.programs["social"].base, world.pipeline_token, str(run.messages + 1)]
    command += [str(run.event_seconds), str(run.event_rate)]
    environment = {**os.environ, "RECOVERLY_AMQP_URL": world.broker.amqp_url, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=knobs.BENCH, env=environment, capture_output=True, text=True)
    if ran.returncode:
        say(f"events are not measured: {ran.stderr.strip()[-500:]}")
        return None
    say(f"events out: {ran.stdout.strip()}")
    return json.loads(ran.stdout)


def prepare(world):
    say("limit: a database with the kit's schema and data")
    world.prepare_limit()
    say("ours: a database by the five services' migrations, with the same data")
    world.prepare_ours()
    if world.run.statements:
        for command in TELL_STATEMENTS:
            world.ours.psql("-c", command)
    say("recoverly-social computes all profiles once (its sweep)")
    world.start_social()
    if world.run.peer:
        say("peer: FastAPI, once by statements and once by stored function")
        world.start_peers()


def finish(world, rounds, folder):
    facts = world.facts
    facts["social_most_mib"] = world.programs["social"].memory_mib()[1]
    facts["load_after"] = load_average()
    text, held = report.markdown(rounds.rows, world.run, facts)
    result = {"facts": facts, "knobs": vars(world.run), "goals": held, "rows": rounds.rows}
    with open(os.path.join(folder, "latest.json"), "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    print("\n" + text, flush=True)
    say(f"done; all rows are in {os.path.relpath(folder, knobs.REPO)}/latest.json")


def main():
    run = knobs.read()
    folder = os.environ.get("RESULTS") or os.path.join(knobs.BENCH, "results")
    os.makedirs(folder, exist_ok=True)
    rows = os.path.join(folder, "rows.jsonl")
    open(rows, "w").close()
    world = World(run, say)
    world.facts.update(load_before=load_average(), cores=os.cpu_count(), revision=revision())
    try:
        prepare(world)
        rounds = Rounds(world, rows)
        rounds.all()
        if run.event_seconds:
            world.facts["events"] = measure_events(world)
        if run.page_seconds:
            world.reset_ours()
            world.facts["pages"] = pages.measure(world)
            say(f"pages: {json.dumps(world.facts['pages'])}")
        finish(world, rounds, folder)
    finally:
        world.stop()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
