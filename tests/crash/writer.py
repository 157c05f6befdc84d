"""Writer: one thread that inserts, replaces, updates and deletes until its server dies."""

from __future__ import annotations

import random
import threading
from typing import Any

import grpc
import httpx
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.exceptions import WeaviateBaseError

from tests.server_process import ServerProcess

from . import material
from .door import collection_of, connect
from .ledger import ABSENT, Entry, Ledger

CLIENT_ERRORS = (
    WeaviateBaseError, httpx.HTTPError, grpc.RpcError, OSError, ValueError, AssertionError,
)  # fmt: skip
"""What a call may raise when the server dies under it, or refuses it."""
LIVE_MAX = 60
"""Objects a writer keeps; above it, it deletes more than it inserts."""
BATCH_MAX = 25


class Writer(threading.Thread):
    """Writes through a client of its own and tells the ledger what was acknowledged.

    Any error of the client ends the thread: what was in flight stays in flight. `error` holds it;
    an error while the server is up is a finding of its own.
    """

    def __init__(self, number: int, server: ServerProcess, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True, name=f"writer-{number}")
        self.number = number
        self.error: Exception | None = None
        self.stopping = threading.Event()
        self._ledger = ledger
        self._random = random.Random(seed)
        self._client = connect(server)

    def run(self) -> None:
        """Write until the server is gone."""
        collection = collection_of(self._client)
        try:
            while not self.stopping.is_set():
                self._write_once(collection)
        except CLIENT_ERRORS as error:
            self.error = error

    def close(self) -> None:
        """Close the connection, which ends a call that still waits."""
        self.stopping.set()
        self._client.close()

    def _write_once(self, collection: Any) -> None:
        live = [
            entry
            for entry in self._ledger.of_writer(self.number)
            if entry.acknowledged != ABSENT and entry.in_flight is None
        ]
        room = len(live) < LIVE_MAX
        choice = self._random.random()
        if room and (choice < 0.35 or not live):
            self._insert(collection)
        elif room and choice < 0.5:
            self._insert_many(collection)
        elif choice < 0.65:
            self._replace(collection, self._random.choice(live))
        elif choice < 0.8:
            self._update(collection, self._random.choice(live))
        elif choice < 0.95:
            self._remove(collection, self._random.choice(live))
        else:
            count = min(len(live), self._random.randint(1, BATCH_MAX))
            self._remove_many(collection, self._random.sample(live, count))

    def _new_entry(self) -> Entry:
        return self._ledger.add(f"{self._random.getrandbits(128):032x}", self.number)

    def _values(self, entry: Entry) -> dict[str, Any]:
        revision = self._ledger.begin_write(entry)
        return {
            "uuid": material.object_id(entry.key),
            "properties": material.properties(entry.key, revision, self.number),
            "vector": {material.VECTOR: material.vector(entry.key, revision)},
        }

    def _insert(self, collection: Any) -> None:
        entry = self._new_entry()
        collection.data.insert(**self._values(entry))
        self._ledger.acknowledge([entry])

    def _insert_many(self, collection: Any) -> None:
        entries = [self._new_entry() for _ in range(self._random.randint(2, BATCH_MAX))]
        answer = collection.data.insert_many([DataObject(**self._values(item)) for item in entries])
        assert not answer.has_errors, answer.errors
        self._ledger.acknowledge(entries)

    def _replace(self, collection: Any, entry: Entry) -> None:
        collection.data.replace(**self._values(entry))
        self._ledger.acknowledge([entry])

    def _update(self, collection: Any, entry: Entry) -> None:
        collection.data.update(**self._values(entry))
        self._ledger.acknowledge([entry])

    def _remove(self, collection: Any, entry: Entry) -> None:
        self._ledger.begin_delete(entry)
        collection.data.delete_by_id(material.object_id(entry.key))
        self._ledger.acknowledge([entry])

    def _remove_many(self, collection: Any, entries: list[Entry]) -> None:
        for entry in entries:
            self._ledger.begin_delete(entry)
        ids = [material.object_id(entry.key) for entry in entries]
        answer = collection.data.delete_many(where=Filter.by_id().contains_any(ids))
        assert answer.failed == 0, answer
        self._ledger.acknowledge(entries)
