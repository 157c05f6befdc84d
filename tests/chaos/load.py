"""Writer: one client of a cluster, as an application has it behind a load balancer.

It sends to any node; a node under a fault is left out once it did not answer, or a health check
had the time to notice; what it did not answer goes to another. Reads, and every write,
are at QUORUM.

A paused node holds its clients, so after a moment all of these writers may wait for it. What the
others do meanwhile is shown by writers with a home: they ask that node alone, and another one from
the first moment of a fault on it.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import weaviate
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.query import MetadataQuery
from weaviate.collections import Collection
from weaviate.exceptions import UnexpectedStatusCodeError

from tests.chaos.cluster import NAME, ChaosCluster
from tests.chaos.ledger import DELETED, Key, Ledger
from tests.chaos.retries import RETRIES

T = TypeVar("T")

WIDTH = 16
TRIES_MAX = 30
AGAIN_S = 0.3
NOTICED_S = 1.0
"""After so long under a fault, a node gets no more requests."""
PACE_S = 0.01
"""Between two requests of one writer."""
SPACE = uuid.UUID("6a1f4c1e-5d0e-4a51-9d1c-2f1f9a7f3c55")


@dataclass(frozen=True, slots=True)
class Content:
    """What a key holds at a revision; all of it follows from the two."""

    id: uuid.UUID
    revision: int

    @property
    def properties(self) -> dict[str, str | int]:
        """Two, one of them a word that no other object has."""
        return {"word": self.word, "revision": self.revision}

    @property
    def word(self) -> str:
        """Of this object alone."""
        return f"w{self.id.hex}"

    @property
    def vector(self) -> list[float]:
        """Of this revision alone."""
        source = random.Random(f"{self.id} {self.revision}")
        return [source.gauss(0, 1) for _ in range(WIDTH)]


class NotAnswered(Exception):
    """A node did not answer a request, or with an error; it has been counted."""


class GaveUp(Exception):
    """No node took a request in many tries."""


class Nodes:
    """The clients of one writer, one for every node."""

    def __init__(
        self,
        cluster: ChaosCluster,
        ledger: Ledger,
        chance: random.Random,
        home: str = "",
        *,
        collection: str = NAME,
    ) -> None:
        self._home = home
        self._cluster = cluster
        self._name = collection
        self._ledger = ledger
        self._chance = chance
        self._clients: dict[str, weaviate.WeaviateClient] = {}
        self._left_out: set[str] = set()

    def ask(self, operation: str, call: Callable[[Collection], T], *, is_write: bool) -> T:
        """Have a node answer; another where one does not. Raises GaveUp."""
        for _ in range(TRIES_MAX):
            try:
                return self.ask_once(operation, call, is_write=is_write)
            except NotAnswered:
                time.sleep(AGAIN_S)
        raise GaveUp(operation)

    def ask_once(self, operation: str, call: Callable[[Collection], T], *, is_write: bool) -> T:
        """Ask one node. Raises NotAnswered."""
        name = self._choose()
        mark = self._cluster.mark()
        RETRIES.take()
        began_s = time.monotonic()
        try:
            answer = call(self._collection(name))
        except Exception as error:  # Whatever the client raises is an outcome to be counted.
            self._count(operation, name, mark, error)
            raise NotAnswered(operation) from error
        took_s = time.monotonic() - began_s
        if not self._cluster.fault_since(mark, name):
            self._ledger.note_time(operation, name, took_s)
            for words in RETRIES.take():
                told = f"{time.strftime('%H:%M:%S')} {name}, hidden by the client: {words}"
                self._ledger.note_failed(operation, told[:600])
        self._ledger.note(operation, is_write=is_write)
        return answer

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def _choose(self) -> str:
        names = self._cluster.names
        if self._home:
            there = [n for n in names if not self._cluster.is_on(n)]
            return self._home if self._home in there else self._chance.choice(there)
        out = {n for n in self._left_out if self._cluster.is_on(n)}
        self._left_out = out | {n for n in names if self._cluster.is_on(n, for_s=NOTICED_S)}
        return self._chance.choice([n for n in names if n not in self._left_out])

    def _collection(self, name: str) -> Collection:
        if name not in self._clients:
            self._clients[name] = self._cluster.client(name)
        plain = self._clients[name].collections.use(self._name)
        return plain.with_consistency_level(ConsistencyLevel.QUORUM)

    def _count(self, operation: str, name: str, mark: int, error: Exception) -> None:
        fault = self._cluster.fault_since(mark, name)
        words = f"{type(error).__name__}: {error}"
        if fault:
            self._ledger.note_victim(fault, type(error).__name__)
            self._left_out.add(name)
        else:
            self._ledger.note_failed(
                operation, f"{time.strftime('%H:%M:%S')} {name}: {words}"[:600]
            )
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()


class Writer:
    """One thread with keys of its own, until told to stop."""

    def __init__(
        self,
        cluster: ChaosCluster,
        ledger: Ledger,
        number: int,
        seed: int,
        home: str = "",
        *,
        collection: str = NAME,
    ) -> None:
        self._chance = random.Random(f"{seed} writer {number}")
        self._nodes = Nodes(cluster, ledger, self._chance, home, collection=collection)
        self._ledger = ledger
        self._number = number
        self._run = uuid.uuid5(SPACE, f"{seed} {number}")
        self._keys: list[Key] = ledger.keys.setdefault(number, [])
        self._revision = 0

    def run(self, stop: threading.Event) -> None:
        """Write, read and search. Counts what goes wrong; a bug of this program is raised."""
        try:
            while not stop.wait(PACE_S):
                self._step()
        except GaveUp as error:
            self._ledger.note_broken(f"writer {self._number} gave up: {error}")
        finally:
            self._nodes.close()

    def _step(self) -> None:
        key = self._chance.choice(self._keys) if self._keys else None
        dice = self._chance.random()
        if key is None or dice < 0.25:
            self._insert()
        elif dice < 0.55:
            self._change(key)
        elif dice < 0.65:
            self._delete(key)
        elif dice < 0.9:
            self._read(key)
        else:
            self._search(key)

    def _insert(self) -> None:
        self._revision += 1
        content = Content(uuid.uuid5(self._run, str(len(self._keys))), self._revision)

        def insert(things: Collection) -> None:
            try:
                things.data.insert(content.properties, uuid=content.id, vector=content.vector)
            except UnexpectedStatusCodeError as error:
                # An earlier sending of it may have arrived.
                if error.status_code != 422 or revision_of(things, content.id) != content.revision:
                    raise

        is_sure = self._write("insert", insert)
        self._keys.append(Key(content.id, content.revision, is_frozen=not is_sure))

    def _change(self, key: Key) -> None:
        if key.is_frozen or not key.is_there:
            return
        self._revision += 1
        content = Content(key.id, self._revision)
        is_whole = self._chance.random() < 0.5

        def change(things: Collection) -> None:
            properties: dict[str, str | int] = content.properties
            if not is_whole:
                properties = {"revision": content.revision}
            write = things.data.replace if is_whole else things.data.update
            write(uuid=key.id, properties=properties, vector=content.vector)

        is_sure = self._write("replace" if is_whole else "update", change)
        key.revision, key.is_frozen = content.revision, not is_sure

    def _delete(self, key: Key) -> None:
        if key.is_frozen or not key.is_there:
            return

        def delete(things: Collection) -> None:
            things.data.delete_by_id(key.id)

        is_sure = self._write("delete", delete)
        key.revision, key.is_frozen = DELETED, not is_sure

    def _write(self, operation: str, call: Callable[[Collection], None]) -> bool:
        """Send until acknowledged; False where an earlier sending may arrive late."""
        for tried in range(TRIES_MAX):
            try:
                self._nodes.ask_once(operation, call, is_write=True)
            except NotAnswered:
                time.sleep(AGAIN_S)
            else:
                return tried == 0
        raise GaveUp(operation)

    def _read(self, key: Key) -> None:
        fault = key.fault(self._revision_of(key.id))
        if fault:
            self._ledger.note_broken(f"{time.strftime('%H:%M:%S')} read at QUORUM: {fault}")

    def _revision_of(self, one: uuid.UUID) -> int | None:
        return self._nodes.ask("read", lambda things: revision_of(things, one), is_write=False)

    def _search(self, key: Key) -> None:
        content = Content(key.id, max(key.revision, 0))
        if self._chance.random() < 0.5:
            self._nodes.ask(
                "near_vector",
                lambda things: things.query.near_vector(
                    content.vector, limit=5, return_metadata=MetadataQuery(distance=True)
                ),
                is_write=False,
            )
        else:
            self._nodes.ask(
                "bm25", lambda things: things.query.bm25(content.word, limit=5), is_write=False
            )


def revision_of(things: Collection, one: uuid.UUID) -> int | None:
    """The revision that an object has; None where there is none."""
    found = things.query.fetch_object_by_id(one)
    if found is None:
        return None
    revision = found.properties["revision"]
    assert isinstance(revision, int), revision
    return revision
