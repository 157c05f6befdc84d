"""What a cluster costs: one node, and three nodes on this machine, through the official client.

    python -m benchmarks.cluster_cost [--scale small|full] [--save NAME]

The same objects, requests and client; single requests one after the other, and imports in batches.
Three nodes hold three shards with three replicas each, and share the processors that the one node
has alone: a cluster of three machines costs less. What is compared: writes of one object and of
batches, reads by id, at ONE, QUORUM and ALL; searches by vector, words and filter at ONE and
QUORUM. Answers are compared, too: words and filters must give what the one node gives, in scores
and ids; vectors must not find less (recall@10 against the exact neighbours).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import weaviate
from numpy.typing import NDArray
from weaviate.classes.config import Configure, ConsistencyLevel, DataType, Property
from weaviate.classes.query import Filter
from weaviate.collections import Collection

from tests.cluster_trio import ClusterTrio, eventually
from tests.server_process import ServerProcess

from .floors import Floor
from .machine import describe_machine
from .report import write_report
from .vector import clustered

SCALES = {"small": (2_000, 100), "full": (20_000, 1_000)}
"""Objects, and single requests of each kind."""
DIMENSIONS = 128
BATCH = 500
K = 10
LEVELS = (ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL)
WORDS = ("river", "stone", "cloud", "tree", "bird", "road", "light", "salt", "wind", "glass")


@dataclass(frozen=True)
class Cost:
    """One kind of request."""

    what: str
    p50_ms: float
    p95_ms: float
    per_s: float


@dataclass(frozen=True)
class House:
    """What is measured: one node or three."""

    name: str
    costs: dict[str, Cost]
    recall: float
    word_hits: list[list[tuple[str, float]]]
    filter_hits: list[list[str]]


@dataclass(frozen=True)
class Material:
    """Objects and questions; the same for both."""

    rows: NDArray[np.float32]
    queries: NDArray[np.float32]
    texts: list[str]

    @classmethod
    def make(cls, count: int, asked: int) -> Material:
        """Clustered rows, texts of four words."""
        rows = clustered(count + asked, DIMENSIONS, 1)
        words = np.random.default_rng(2).choice(WORDS, size=(count, 4))
        return cls(rows[:count], rows[count:], [" ".join(line) for line in words])

    def neighbours(self) -> list[set[str]]:
        """The exact ones of each query, by cosine."""
        unit = self.rows / np.linalg.norm(self.rows, axis=1, keepdims=True)
        order = np.argsort(-(self.queries @ unit.T), axis=1)[:, :K]
        return [{str(number(int(at))) for at in line} for line in order]


def number(at: int) -> uuid.UUID:
    """The id of an object."""
    return uuid.UUID(int=at * 0x9E3779B97F4A7C15 % 2**128)


@dataclass
class Watch:
    """Takes the time of requests and prints it."""

    name: str
    costs: dict[str, Cost] = field(default_factory=dict)

    def each(self, what: str, request: Callable[[int], object], count: int) -> None:
        """One request after the other."""
        taken = []
        for at in range(count):
            begin = time.perf_counter()
            request(at)
            taken.append(time.perf_counter() - begin)
        cuts = statistics.quantiles(taken, n=20)
        self._keep(Cost(what, cuts[9] * 1000, cuts[18] * 1000, count / sum(taken)))

    def together(self, what: str, request: Callable[[], object], count: int) -> None:
        """Many objects in one go."""
        begin = time.perf_counter()
        request()
        self._keep(Cost(what, 0.0, 0.0, count / (time.perf_counter() - begin)))

    def _keep(self, cost: Cost) -> None:
        self.costs[cost.what] = cost
        print(f"  {self.name}: {cost}", flush=True)


def measure(name: str, collection: Collection, material: Material) -> House:
    """Ask everything."""
    watch = Watch(name)
    watch.together("import", lambda: fill(collection, material), len(material.rows))
    time_objects(watch, collection, material)
    found = time_searches(watch, collection, material)
    right = [len(hit & true) / K for hit, true in zip(found, material.neighbours(), strict=False)]
    return House(
        name,
        watch.costs,
        sum(right) / len(right),
        [_scored(collection, word) for word in WORDS],
        [_filtered(collection, word) for word in WORDS],
    )


def fill(collection: Collection, material: Material) -> None:
    """Import everything in batches, at the default level."""
    with collection.batch.fixed_size(BATCH) as batch:
        for at, row in enumerate(material.rows):
            batch.add_object(
                {"text": material.texts[at], "size": at}, uuid=number(at), vector=row.tolist()
            )
    assert not collection.batch.failed_objects, collection.batch.failed_objects[:2]


def time_objects(watch: Watch, collection: Collection, material: Material) -> None:
    """Write and read single objects at each level."""
    asked = len(material.queries)
    for place, level in enumerate(LEVELS):
        at_level = collection.with_consistency_level(level)

        def write(at: int, to: Collection = at_level, first: int = place + 1) -> None:
            new = uuid.UUID(int=(first << 96) + at)
            to.data.insert(
                {"text": "none", "size": -1}, uuid=new, vector=material.rows[at].tolist()
            )

        def read(at: int, of: Collection = at_level) -> None:
            assert of.query.fetch_object_by_id(number(at)) is not None

        watch.each(f"write one at {level.value}", write, asked)
        watch.each(f"read by id at {level.value}", read, asked)
    collection.data.delete_many(where=Filter.by_property("size").equal(-1))


def time_searches(watch: Watch, collection: Collection, material: Material) -> list[set[str]]:
    """Search at ONE and QUORUM; what the vectors found at ONE."""
    found: list[set[str]] = []
    for level in LEVELS[:2]:
        at_level = collection.with_consistency_level(level)

        def near(at: int, of: Collection = at_level) -> None:
            hits = of.query.near_vector(material.queries[at].tolist(), limit=K).objects
            found.append({str(hit.uuid) for hit in hits})

        def words(at: int, of: Collection = at_level) -> None:
            assert of.query.bm25(WORDS[at % len(WORDS)], limit=K).objects

        watch.each(f"search by vector at {level.value}", near, len(material.queries))
        watch.each(f"search by words at {level.value}", words, len(material.queries))
    return found[: len(material.queries)]


def _scored(collection: Collection, word: str) -> list[tuple[str, float]]:
    hits = collection.query.bm25(f"{word} stone", limit=50, return_metadata=["score"]).objects
    scored = [(str(hit.uuid), round(hit.metadata.score or 0.0, 6)) for hit in hits]
    last = scored[-1][1]  # Of those that tie with the last, any may be there.
    return sorted(each for each in scored if each[1] > last)


def _filtered(collection: Collection, word: str) -> list[str]:
    condition = Filter.by_property("text").like(f"{word}*")
    hits = collection.query.fetch_objects(filters=condition, limit=10_000).objects
    return sorted(str(hit.uuid) for hit in hits)


@contextmanager
def collection_of(server: ServerProcess, shards: int, factor: int) -> Iterator[Collection]:
    """A new collection on a server."""
    with weaviate.connect_to_local(port=server.http_port, grpc_port=server.grpc_port) as client:
        client.collections.create(
            "Bench",
            properties=[
                Property(name="text", data_type=DataType.TEXT),
                Property(name="size", data_type=DataType.INT),
            ],
            vector_config=Configure.Vectors.self_provided(),
            replication_config=Configure.replication(factor=factor),
            sharding_config=Configure.sharding(desired_count=shards),
        )
        yield client.collections.use("Bench")


def run(scale: str, scratch: Path) -> tuple[House, House]:
    """Measure one node, then three."""
    material = Material.make(*SCALES[scale])
    with ExitStack() as stack:
        server = ServerProcess(scratch / "alone").start()
        stack.callback(server.stop)
        one = measure("one node", stack.enter_context(collection_of(server, 1, 1)), material)
    with ExitStack() as stack:
        trio = ClusterTrio(scratch)
        stack.callback(trio.close)
        trio.start()
        eventually(lambda: len(trio.ask("n1", "GET", "/nodes")[1]["nodes"]) == len(trio.names))
        held = stack.enter_context(collection_of(trio.servers["n1"], 3, 3))
        three = measure("three nodes", held, material)
    return one, three


def floors_of(one: House, three: House) -> list[Floor]:
    """What must not differ, and that vectors are found as well."""
    alike = sum(
        left == right
        for left, right in zip(
            [*one.word_hits, *one.filter_hits], [*three.word_hits, *three.filter_hits], strict=True
        )
    )
    asked = len(one.word_hits) + len(one.filter_hits)
    return [
        Floor("answers to words and filters as of one node", alike / asked, 1.0),
        Floor(
            "recall@10 beside one node's",
            three.recall / one.recall,
            1.0,
            detail=f"{three.recall:.4f} against {one.recall:.4f}",
        ),
    ]


def main() -> int:
    """Measure and print; the exit status says whether answers are the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=sorted(SCALES), default="small")
    parser.add_argument("--save", help="write results/NAME.md and .json")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weft-cost-") as scratch:
        one, three = run(chosen.scale, Path(scratch))
    floors = floors_of(one, three)
    ratios = {}
    for what, cost in three.costs.items():
        alone = one.costs[what]
        ratios[what] = {
            "one node, p50 ms": round(alone.p50_ms, 3),
            "three nodes, p50 ms": round(cost.p50_ms, 3),
            "one node, per s": round(alone.per_s),
            "three nodes, per s": round(cost.per_s),
            "time, times one node's": round(alone.per_s / cost.per_s, 2),
        }
        print(f"{what:28} {alone.per_s / cost.per_s:5.2f} x the time of one node")
    for floor in floors:
        print(floor)
    if chosen.save:
        page = write_report(chosen.save, machine=describe_machine(), results=ratios, floors=floors)
        print(f"written: {page}")
    return 0 if all(floor.is_met for floor in floors) else 1


if __name__ == "__main__":
    sys.exit(main())
