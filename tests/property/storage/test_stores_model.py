"""MemoryStore and RocksStore against a dict: the same operations, the same answers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from weftdb.core.config import StorageConfig
from weftdb.core.env import ManualClock
from weftdb.core.limits import MiB
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.memory import MemoryStore
from weftdb.storage.rocks import RocksStore

SMALL = StorageConfig(block_cache_bytes=MiB, write_buffer_bytes=4 * MiB, background_jobs=2)
FAMILIES = st.sampled_from([Family.OBJECTS, Family.VECTORS, Family.METADATA])
SHARDS = st.sampled_from([b"\0\0\0\1", b"\0\0\0\2", b"\0\0\1\0"])
KEYS = st.builds(bytes.__add__, SHARDS, st.binary(max_size=2))
BOUNDS = st.one_of(KEYS, st.just(b""), st.just(b"\0"), st.just(b"\xff"))
VALUES = st.one_of(st.binary(max_size=8), st.sampled_from([b"b" * 9_000, b"x" * 300]))
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), FAMILIES, KEYS, VALUES),
        st.tuples(st.just("delete"), FAMILIES, KEYS, st.just(b"")),
        st.tuples(st.just("delete_range"), FAMILIES, BOUNDS, BOUNDS),
    ),
    max_size=12,
)

Rows = dict[Family, dict[bytes, bytes]]
Running = tuple[list[tuple[bytes, bytes]], list[Iterator[tuple[bytes, bytes]]]]


def apply(rows: Rows, change: tuple[str, Family, bytes, bytes], batch: WriteBatch) -> None:
    """Put one change into the model and into `batch`."""
    kind, family, key, more = change
    if kind == "put":
        rows[family][key] = more
        batch.put(family, key, more)
    elif kind == "delete":
        rows[family].pop(key, None)
        batch.delete(family, key)
    elif key <= more:
        for found in [name for name in rows[family] if key <= name < more]:
            del rows[family][found]
        batch.delete_range(family, key, more)


class StoreMachine(RuleBasedStateMachine):
    """Two stores and a dict go through the same life."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="weft-")
        self.rows: Rows = {family: {} for family in Family}
        self.memory = MemoryStore()
        self.rocks = self._rocks()
        self.running: list[Running] = []

    def _rocks(self) -> RocksStore:
        return RocksStore(Path(self.folder.name) / "data", SMALL, ManualClock())

    @property
    def stores(self) -> list[KeyValueStore]:
        return [self.memory, self.rocks]

    def _expected(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool
    ) -> list[tuple[bytes, bytes]]:
        found = [pair for pair in self.rows[family].items() if start <= pair[0] < end]
        return sorted(found, reverse=reverse)

    @rule(changes=CHANGES, durable=st.booleans())
    def write(self, changes: list[tuple[str, Family, bytes, bytes]], durable: bool) -> None:
        batch = WriteBatch()
        for change in changes:
            apply(self.rows, change, batch)
        for store in self.stores:
            ticket = store.write(batch)
            if durable:
                store.wait_durable(ticket)

    @rule(family=FAMILIES, wanted=st.lists(KEYS, max_size=8))
    def get(self, family: Family, wanted: list[bytes]) -> None:
        expected = [self.rows[family].get(key) for key in wanted]
        for store in self.stores:
            assert store.get_many(family, wanted) == expected
            assert [store.get(family, key) for key in wanted] == expected

    @rule(family=FAMILIES, start=BOUNDS, end=BOUNDS, reverse=st.booleans())
    def scan(self, family: Family, start: bytes, end: bytes, reverse: bool) -> None:
        expected = self._expected(family, start, end, reverse=reverse)
        for store in self.stores:
            assert list(store.scan(family, start, end, reverse=reverse)) == expected

    @rule(family=FAMILIES, start=BOUNDS, end=BOUNDS, reverse=st.booleans())
    def begin_scan(self, family: Family, start: bytes, end: bytes, reverse: bool) -> None:
        expected = self._expected(family, start, end, reverse=reverse)
        scans = [store.scan(family, start, end, reverse=reverse) for store in self.stores]
        self.running.append((expected, scans))

    @rule()
    def end_scans(self) -> None:
        for expected, scans in self.running:
            for scan in scans:
                assert list(scan) == expected, "a scan sees the state of its first moment"
        self.running.clear()

    @rule(family=FAMILIES)
    def compact(self, family: Family) -> None:
        for store in self.stores:
            store.compact(family, b"", b"\xff")

    @rule()
    def reopen(self) -> None:
        self.end_scans()
        self.rocks.close()
        self.rocks = self._rocks()

    @invariant()
    def same_in_all(self) -> None:
        for family in (Family.OBJECTS, Family.VECTORS, Family.METADATA):
            expected = self._expected(family, b"", b"\xff", reverse=False)
            for store in self.stores:
                assert list(store.scan(family, b"", b"\xff")) == expected

    def teardown(self) -> None:
        self.rocks.close()
        self.folder.cleanup()


TestStores = StoreMachine.TestCase
TestStores.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
