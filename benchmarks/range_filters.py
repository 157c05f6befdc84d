"""Range filters alone, in-process: a filter over many distinct values, by the share that passes.

    python -m benchmarks.range_filters [--scale small|full]

Every timed filter has bounds of its own, so none is answered from what the shard keeps of earlier
ones; `first` is the first wide filter over a property, which reads everything.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from weftdb.core.definition import parse_collection
from weftdb.core.objects import ObjectDraft
from weftdb.core.query import Comparison, Filter, Operator, ValueKind
from weftdb.core.types import ObjectId
from weftdb.engine.assembly import open_engine
from weftdb.engine.collection import LocalCollection
from weftdb.index.inverted import change

OBJECTS = {"small": 30_000, "full": 300_000}
SHARES = (0.01, 0.1, 0.5, 0.9)
ROUNDS = 31
BATCH = 5_000
SEED = 3
COLLECTION = {
    "class": "Range",
    "vectorIndexConfig": {"skip": True},
    "properties": [
        {"name": name, "dataType": [kind], "indexRangeFilters": True, "indexFilterable": False}
        for name, kind in (("whole", "int"), ("number", "number"), ("day", "date"))
    ],
}


def fill(local: LocalCollection, count: int) -> None:
    """Write `count` objects whose values are a permutation, so that docs and values are apart."""
    order = list(range(count))
    random.Random(SEED).shuffle(order)
    for start in range(0, count, BATCH):
        local.put(
            [
                ObjectDraft(
                    ObjectId(bytes(8) + (start + at).to_bytes(8, "big")),
                    {"whole": value, "number": value / 7, "day": day_of(value)},
                    {},
                )
                for at, value in enumerate(order[start : start + BATCH])
            ]
        )


def day_of(value: int) -> str:
    """A date, one a minute."""
    minutes = value % 1440
    day = 1 + value // 1440
    month, day = 1 + (day // 28) % 12, 1 + day % 28
    year = 2000 + value // 1440 // 336
    return f"{year}-{month:02d}-{day:02d}T{minutes // 60:02d}:{minutes % 60:02d}:00Z"


def condition_of(name: str, limit: int) -> Filter:
    """The values below `limit`."""
    if name == "day":
        return Comparison(Operator.LESS_THAN, (name,), day_of(limit), ValueKind.TEXT)
    if name == "number":
        return Comparison(Operator.LESS_THAN, (name,), limit / 7, ValueKind.NUMBER)
    return Comparison(Operator.LESS_THAN, (name,), limit, ValueKind.INT)


def timed_ms(local: LocalCollection, condition: Filter) -> tuple[float, int]:
    """How long the filter takes, and how many docs pass."""
    begun = time.perf_counter()
    count = local.shard.allow(condition).count
    return 1000 * (time.perf_counter() - begun), count


def measure(local: LocalCollection, count: int, name: str) -> None:
    """Print a line a share."""
    first_ms, _ = timed_ms(local, condition_of(name, count // 2 + ROUNDS))
    print(f"{name:8} first {first_ms:8.2f} ms")
    for share in SHARES:
        took = []
        for at in range(ROUNDS):
            limit = int(count * share) - at
            took_ms, found = timed_ms(local, condition_of(name, limit))
            assert found == limit, (name, limit, found)
            took.append(took_ms)
        print(f"{name:8} {share:5.0%} {statistics.median(took):8.2f} ms, worst {max(took):.2f}")


def main() -> None:
    """Fill a directory of its own, let the background work end, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", choices=OBJECTS, default="small")
    count = OBJECTS[parser.parse_args().scale]
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as scratch:
        engine = open_engine(Path(scratch))
        try:
            definition = parse_collection(COLLECTION, engine.config.schema, None)
            local = engine.database.create_collection(definition)
            fill(local, count)
            print("in memory, as after an import:")
            measure(local, count, "whole")
            # An import of this size stays in memory; larger ones are sealed as they grow.
            change.SEAL_POSTINGS_MIN = 1
            while local.shard.text.index.filterable.delta_count:
                time.sleep(0.1)
            change.SEAL_POSTINGS_MIN = 10**9
            print("in the store, sealed:")
            for name in ("number", "day"):
                measure(local, count, name)
        finally:
            engine.close()


if __name__ == "__main__":
    main()
