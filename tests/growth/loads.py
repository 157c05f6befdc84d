"""Loads: the collections of a run, each with what was acknowledged, and writers that can rest."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from weaviate.classes.config import Configure, DataType, Property
from weaviate.classes.data import DataObject

from tests.chaos.checking import check, wait_for_equal_replicas
from tests.chaos.ledger import Key, Ledger
from tests.chaos.load import SPACE, Content, Writer
from tests.growth.cluster import GrowingCluster

BATCH = 500
LOADED = -1
"""The number under which a ledger has what was there from the beginning."""
REPAIR_MS = 3_000
READ_EVERY = 20
"""Of the objects that nobody touched since they were loaded, one of so many is read."""


@dataclass(slots=True)
class Load:
    """One collection: `factor` replicas of each of `shards`."""

    name: str
    factor: int
    shards: int
    ledger: Ledger = field(default_factory=Ledger)
    writers_so_far: int = 0

    def create(self, cluster: GrowingCluster) -> None:
        """Make the collection."""
        with cluster.client(cluster.names[0]) as client:
            client.collections.create(
                self.name,
                properties=[
                    Property(name="word", data_type=DataType.TEXT),
                    Property(name="revision", data_type=DataType.INT),
                ],
                vector_config=Configure.Vectors.self_provided(),
                replication_config=Configure.replication(
                    factor=self.factor,
                    async_enabled=self.factor > 1,
                    async_config=Configure.Replication.async_config(
                        frequency=REPAIR_MS, frequency_while_propagating=REPAIR_MS // 3
                    ),
                ),
                sharding_config=Configure.sharding(desired_count=self.shards),
            )

    def fill(self, cluster: GrowingCluster, count: int, seed: int) -> None:
        """Put in what is there from the beginning. Raises AssertionError."""
        space = uuid.uuid5(SPACE, f"{seed} {self.name}")
        keys = [Key(uuid.uuid5(space, str(at)), 0) for at in range(count)]
        with cluster.client(cluster.names[0]) as client:
            things = client.collections.use(self.name)
            for at in range(0, count, BATCH):
                contents = [Content(key.id, 0) for key in keys[at : at + BATCH]]
                answer = things.data.insert_many(
                    [
                        DataObject(properties=each.properties, uuid=each.id, vector=each.vector)
                        for each in contents
                    ]
                )
                assert not answer.has_errors, answer.errors
        self.ledger.keys[LOADED] = keys

    @contextmanager
    def running(self, cluster: GrowingCluster, writers: int, seed: int) -> Iterator[None]:
        """Write, read and search until the block ends. What failed stands in the ledger; an error
        of a writer itself is raised."""
        stop = threading.Event()
        numbers = range(self.writers_so_far, self.writers_so_far + writers)
        self.writers_so_far += writers
        made = [Writer(cluster, self.ledger, at, seed, collection=self.name) for at in numbers]
        running: list[Future[None]] = []
        with ThreadPoolExecutor(writers) as pool:
            self.ledger.begin()
            running += [pool.submit(each.run, stop) for each in made]
            try:
                yield
            finally:
                self.ledger.note_end()
                stop.set()
        for each in running:
            each.result()

    def check(self, cluster: GrowingCluster) -> tuple[float, int]:
        """Seconds until all replicas were equal, and the number of reads and searches that looked
        for what was acknowledged: all that was written under load, and some of what lay there;
        all of it is counted. At rest."""
        equal_s = wait_for_equal_replicas(
            cluster, self.ledger, self.factor, collection=self.name, shards=self.shards
        )
        written = [key for at, keys in self.ledger.keys.items() if at != LOADED for key in keys]
        keys = [*written, *self.ledger.keys[LOADED][::READ_EVERY]]
        return equal_s, check(cluster, self.ledger, self.name, keys)
