"""What being replicated costs one shard, in-process: writes with and without, and what is asked.

    python -m benchmarks.replica_cost [--scale small|full]

Two collections of one directory, of factor 1 and 3, get the same batches in turns. Microseconds are
those of the calling thread, median over batches; without vectors, so that nothing hides the rows.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from weftdb.core.definition import parse_collection
from weftdb.core.objects import ObjectDraft, ObjectState
from weftdb.core.types import ObjectId
from weftdb.engine.assembly import Engine, open_engine
from weftdb.engine.collection import LocalCollection
from weftdb.storage.state_codec import decode_state, encode_state

OBJECTS = {"small": 20_000, "full": 500_000}
BATCH = 100
ASKED = 1_000
SEED = 5
WORDS = ("quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "again")


def make(engine: Engine, name: str, factor: int) -> LocalCollection:
    """An empty collection."""
    body = {
        "class": name,
        "vectorIndexConfig": {"skip": True},
        "properties": [
            {"name": "title", "dataType": ["text"]},
            {"name": "size", "dataType": ["int"]},
        ],
        "replicationConfig": {"factor": factor},
    }
    return engine.database.create_collection(parse_collection(body, engine.config.schema, None))


def drafts_of(dice: random.Random, ids: list[ObjectId]) -> list[ObjectDraft]:
    """Objects of eight words and a number."""
    return [
        ObjectDraft(
            one, {"title": " ".join(dice.choices(WORDS, k=8)), "size": dice.randrange(10**6)}
        )
        for one in ids
    ]


def spent_us(work: Callable[[], object]) -> float:
    """CPU of this thread."""
    begun = time.thread_time()
    work()
    return 1e6 * (time.thread_time() - begun)


def write(dice: random.Random, single: LocalCollection, many: LocalCollection, count: int) -> None:
    """Insert and update in turns, and print what an object costs in each collection."""
    spent: dict[tuple[str, str], list[float]] = {}
    ids: list[ObjectId] = []
    for at in range(count // BATCH):
        fresh = [ObjectId(dice.randbytes(16)) for _ in range(BATCH)]
        for kind, chosen in (("insert", fresh), ("update", dice.sample(ids, BATCH) if ids else [])):
            drafts = drafts_of(dice, chosen)
            pair = [("factor 1", single), ("factor 3", many)]
            for name, local in pair if at % 2 else reversed(pair):
                took = spent_us(lambda local=local, drafts=drafts: local.put(drafts))  # type: ignore[misc]
                spent.setdefault((kind, name), []).append(took / BATCH)
        ids += fresh
    for (kind, name), values in sorted(spent.items()):
        print(f"{kind} {name}: {statistics.median(values):6.1f} us an object")


def ask(many: LocalCollection, other: LocalCollection) -> None:
    """Print what the calls of other replicas cost."""
    replica, count = many.replica, many.count()
    took_s = spent_us(lambda: replica.tree_nodes(0, [0])) / 1e6
    print(f"hash tree derived from {count} rows: {took_s:.2f} s, {count / took_s:,.0f} rows/s")
    print(f"root when nothing changed: {spent_us(lambda: replica.tree_nodes(0, [0])):.0f} us")
    ids = [one for one, _ in many.shard.objects.ids_after(None, skip=0, count=ASKED)]
    print(f"digests: {spent_us(lambda: replica.digests(ids)) / ASKED:6.1f} us an id")
    print(f"states:  {spent_us(lambda: replica.states(ids)) / ASKED:6.1f} us an id")
    states = [one for one in replica.states(ids) if one is not None]
    encoded = [encode_state(one) for one in states]
    print(f"encode:  {spent_us(lambda: [encode_state(o) for o in states]) / ASKED:6.1f} us a state")
    print(f"decode:  {spent_us(lambda: list(map(decode_state, encoded))) / ASKED:6.1f} us a state")
    coming: list[ObjectState] = [decode_state(one) for one in encoded]
    for times in ("first", "again"):
        took = [
            spent_us(lambda start=start: other.replica.apply(coming[start : start + BATCH])) / BATCH  # type: ignore[misc]
            for start in range(0, len(coming), BATCH)
        ]
        print(f"apply, {times}: {statistics.median(took):6.1f} us a state")


def main() -> None:
    """Fill a directory of its own and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=OBJECTS, default="small")
    count = OBJECTS[parser.parse_args().scale]
    dice = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        engine = open_engine(Path(scratch))
        try:
            single, many = make(engine, "Single", 1), make(engine, "Many", 3)
            write(dice, single, many, count)
            ask(many, make(engine, "Other", 3))
            print("with the tree that is kept up since:")
            write(dice, single, many, count // 10)
        finally:
            engine.close()


if __name__ == "__main__":
    main()
