"""Memories with embeddings in our database: put there, looked for, and how many of the nearest the route finds."""

import json
import os
import time
import urllib.request

from . import knobs

ASKED = 32  # queries of the measurement of recall
NEAREST = 10
# Compared one by one: what the index would find is not asked.
EXACT = f"""set enable_indexscan = off;
    select q.q, (select string_agg(n.id::text, ' ') from (
        select e.memory_entry_id as id from core.memory_embeddings e
        order by e.embedding operator(public.<=>) q.embedding limit {NEAREST}) n)
    from bench.queries q where q.q <= {ASKED} order by q.q"""
SIZE = "select pg_relation_size('core.idx_memory_embeddings_text_1536')"


def queries_file():
    return os.path.join(knobs.PROFILE_DIR, "queries")


def prepare(world):
    """Facts of the data: seconds that loading took, bytes of the index."""
    run, began = world.run, time.monotonic()
    world.say(f"{run.memories:,} memories with embeddings of 1,536 numbers, and their index (some minutes)")
    path = os.path.join(knobs.BENCH, "service", "memories.sql")
    world.ours.file(path, memories=run.memories, dims=1536, users=run.users)
    with open(queries_file(), "w") as f:
        for (embedding,) in world.ours.rows("select embedding::text from bench.queries order by q"):
            f.write(embedding + "\n")
    return {"index_mib": round(world.ours.number(SIZE) / 2**20), "loaded_in": round(time.monotonic() - began)}


def recall(world):
    """Share of the truly nearest among what the route answers to whoever sees everybody."""
    exact = {int(q): set(ids.split()) for q, ids in world.ours.rows(EXACT)}
    with open(queries_file()) as f:
        queries = [json.loads(line) for line in f]
    found = 0
    for q, nearest in exact.items():
        body = json.dumps({"embedding": queries[q - 1], "limit": NEAREST}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {world.supervisor_token}"}
        request = urllib.request.Request(world.programs["core"].base + "/v1/search/memory", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found += len(nearest & {item["id"] for item in json.load(answer)["items"]})
    return found / (NEAREST * len(exact))
