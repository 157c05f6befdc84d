"""Checks of a healed cluster: its replicas become equal, and hold what was acknowledged."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.query import Filter
from weaviate.collections import Collection

from tests.chaos.cluster import NAME, ChaosCluster
from tests.chaos.ledger import Key, Ledger
from tests.chaos.load import Content, revision_of

CONVERGED_S_MAX = 60.0
"""A cycle and the transfer take some seconds; the rest is for machines that do other work."""
POLL_S = 1.0
SEARCHED = 100
"""Objects of each node that are searched for; all are read."""


def unequal(shards: list[dict[str, Any]], *, count: int, factor: int) -> list[dict[str, Any]]:
    """Reports of shards whose replicas have not all told the same digest, or that are missing."""
    missing: list[dict[str, Any]] = [{"shards": len(shards)}] if len(shards) != count else []
    return missing + [
        each
        for each in shards
        if not each["converged"]
        or len(each["digests"]) != factor
        or len(set(each["digests"].values())) != 1
    ]


def wait_for_equal_replicas(
    cluster: ChaosCluster,
    ledger: Ledger,
    factor: int,
    *,
    collection: str = NAME,
    shards: int = 0,
) -> float:
    """Seconds until the digests of all replicas are equal, by the repair that runs by itself."""
    began = time.monotonic()
    while True:
        asked = {"collection": collection, "dryRun": True}
        status, body = cluster.ask(cluster.names[0], "POST", "/cluster/weftdb/repair", asked)
        passed = time.monotonic() - began
        different = [{str(status): body}]
        if status == 200:
            different = unequal(body, count=shards or len(cluster.names), factor=factor)
        if not different:
            return passed
        if passed > CONVERGED_S_MAX:
            ledger.note_broken(f"replicas differ after {passed:.0f} s: {different}"[:2000])
            return passed
        time.sleep(POLL_S)


def check(
    cluster: ChaosCluster,
    ledger: Ledger,
    collection: str = NAME,
    keys: list[Key] | None = None,
) -> int:
    """Read keys (nothing: every one) at QUORUM and at ALL, search for some, count all; the number
    of checks."""
    there = [key for key in ledger.all_keys() if key.is_there]
    keys = ledger.all_keys() if keys is None else keys
    levels = (ConsistencyLevel.QUORUM, ConsistencyLevel.ALL)
    done = 0
    with ThreadPoolExecutor(4) as pool:
        for at, name in enumerate(cluster.names):
            with cluster.client(name) as client:
                plain = client.collections.use(collection)
                part = keys[at :: len(cluster.names)]
                for level in levels:
                    things = plain.with_consistency_level(level)
                    words = f"{name} at {level.value}"
                    for fault in pool.map(partial(_read, things), part):
                        done += 1
                        if fault:
                            ledger.note_broken(f"after all, {words}: {fault}")
                done += _search(plain, name, there, ledger)
    return done


def _read(things: Collection, key: Key) -> str:
    return key.fault(revision_of(things, key.id))


def _search(things: Collection, name: str, there: list[Key], ledger: Ledger) -> int:
    """Find by vector, by word and by filter; count."""
    total = things.aggregate.over_all(total_count=True).total_count
    if total != len(there):
        ledger.note_broken(f"{name} counts {total} objects, {len(there)} are there")
    chosen = there[:: max(1, len(there) // SEARCHED)]
    for key in chosen:
        content = Content(key.id, key.revision)
        ways = {
            "vector": things.query.near_vector(content.vector, limit=1).objects,
            "word": things.query.bm25(content.word, limit=1).objects,
            "filter": things.query.fetch_objects(
                filters=Filter.by_property("word").equal(content.word), limit=2
            ).objects,
        }
        for way, found in ways.items():
            if [each.uuid for each in found] != [key.id]:
                ledger.note_broken(f"{name} does not find {key.id} by {way}: {found}"[:600])
    return 1 + 3 * len(chosen)
