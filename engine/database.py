"""Database: what the node holds. Open, close, create, change and drop collections, and shards.

A collection without a cluster has one shard; in a cluster it has those that the sharding state puts
on this node, perhaps none, and its definition all the same. Rows: engine/collection_row.py.
"""

from __future__ import annotations

import logging
import shutil
import struct
import threading
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from weftdb.core.config import Config
from weftdb.core.definition import load_collection
from weftdb.core.env import Env
from weftdb.core.errors import Closed, CollectionExists, CorruptData, UnknownCollection
from weftdb.core.schema import Collection
from weftdb.core.types import ShardId, ShardName, Version
from weftdb.engine.admission import Admission
from weftdb.engine.collection import LocalCollection
from weftdb.engine.collection_row import CollectionRow, ShardEntry, read_row
from weftdb.engine.disk_guard import DiskGuard
from weftdb.engine.local_shard import LocalShard
from weftdb.engine.maintenance import Chore, Maintenance
from weftdb.engine.memory_accountant import Consumption, MemoryAccountant
from weftdb.engine.recovery import load_vectors
from weftdb.engine.shard import Shard
from weftdb.engine.writer import ShardWriter
from weftdb.index.factory import check_node, check_vector
from weftdb.index.inverted.inverted_index import TermCache
from weftdb.modules.ports import Vectorizers
from weftdb.storage import keys
from weftdb.storage.kv import Family, KeyValueStore, WriteBatch
from weftdb.storage.row_cache import RowCache
from weftdb.storage.versions import VersionClock, decode_version

log = logging.getLogger("weftdb.database")

FORMAT = 1
"""Of the whole directory. A newer one is refused; an older one will be upgraded here."""
_SHARD_NAME_CHARS = 12
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Database:
    """All collections of one data directory. Thread-safe."""

    def __init__(
        self,
        path: Path,
        store: KeyValueStore,
        *,
        config: Config,
        vectorizers: Vectorizers,
        env: Env,
        writer: int = 0,
    ) -> None:
        """Open: read the schema, recover every shard, rebuild derived files that are missing.

        `path` gets the derived files; `store` holds the data. `writer` stands for this life of a
        node of a cluster in the versions that it makes (`storage.versions.writer_number`). Raises
        CorruptData.
        """
        self._derived = path / "derived"
        self.config = config
        self.store = store
        self.terms = TermCache(config.index.term_cache_bytes)
        self.rows = RowCache(config.storage.object_cache_bytes)
        self._vectorizers = vectorizers
        self._env = env
        self._lock = threading.RLock()
        self._collections: dict[str, LocalCollection] = {}
        self._closed = False
        self.admission = Admission(
            MemoryAccountant(config.resources, env.clock, self._consumption),
            DiskGuard(path, config.resources, env.clock),
            env.clock,
        )
        check_node(config.index)
        self._check_format()
        self.versions = VersionClock(
            env.clock,
            node=writer,
            floor=Version(0),
            ahead_ms_max=int(config.replication.clock_ahead_s_max * 1000),
        )
        """Stamps what is written here; above everything that is stored here."""
        self._in_cluster = writer != 0
        self.maintenance = Maintenance(self._chores, env)
        for _, row in store.scan(Family.METADATA, *keys.collection_range()):
            found = read_row(row)
            self._open(load_collection(found.definition), found.shards)
        self._remove_strays()
        self.maintenance.start()

    def collections(self) -> Sequence[Collection]:
        """Every definition, by name."""
        return [held.schema for _, held in sorted(self._collections.items())]

    def collection(self, name: str) -> LocalCollection:
        """The collection called `name` (canonical form). Raises UnknownCollection."""
        held = self._collections.get(name)
        if held is None:
            if self._closed:
                raise Closed("the database is closed")
            raise UnknownCollection(name)
        return held

    def create_collection(
        self, definition: Collection, shards: Sequence[ShardName] | None = None
    ) -> LocalCollection:
        """Add a collection: with one shard of a new name, or with those that this node holds.

        Raises CollectionExists, also for a name that differs in case only.
        """
        with self._lock:
            self._check_open()
            for name in self._collections:
                if name.lower() == definition.name.lower():
                    raise CollectionExists(f"class name {definition.name} already exists")
            self._check_vectors(definition)
            names = [None] if shards is None else list(dict.fromkeys(shards))
            batch = WriteBatch()
            entries = self._new_shards(definition, names, batch)
            self._write_row(definition, entries, batch)
            return self._open(definition, entries)

    def update_collection(self, definition: Collection) -> LocalCollection:
        """Replace a definition by a compatible one (core/definition decided that it is).

        Raises, before anything is written, Overloaded where there is no room for an index that
        would have to be built, and SchemaViolation where settings do not suit the stored vectors.
        """
        with self._lock:
            self._check_open()
            held = self.collection(definition.name)
            self._check_vectors(definition)
            shards = [one.shard for one in held.shards.values()]
            for shard in shards:
                shard.check_lengths(definition)
            needed = sum(shard.build_bytes(definition) for shard in shards)
            with self.admission.memory.grant(needed) if needed else nullcontext():
                self._write_row(definition, _entries(held), WriteBatch())
                held.reconfigure(definition)
            return held

    def delete_collection(self, name: str) -> bool:
        """Drop a collection and its data; False if there was none."""
        with self._lock:
            self._check_open()
            held = self._collections.get(name)
            if held is None:
                return False
            numbers = [shard.number for shard in held.shards.values()]
            batch = WriteBatch()
            batch.delete(Family.METADATA, keys.collection_key(name))
            _delete_shards(numbers, batch)
            known = self._collections
            # First, so that no background work finds it closed.
            self._collections = {key: one for key, one in known.items() if one is not held}
            held.retire()
            try:
                self.store.wait_durable(self.store.write(batch))
            except BaseException:
                self._collections = known  # To be dropped again.
                raise
            self._remove_derived(numbers)
            return True

    def add_shard(self, collection: str, name: ShardName) -> LocalShard:
        """Open a new, empty shard of a collection, or the one that is there already.

        Raises UnknownCollection.
        """
        with self._lock:
            self._check_open()
            held = self.collection(collection)
            known = held.shards.get(name)
            if known is not None:
                return known
            batch = WriteBatch()
            (entry,) = self._new_shards(held.schema, [name], batch)
            self._write_row(held.schema, [*_entries(held), entry], batch)
            shard = self._open_shard(held.schema, entry)
            held.add(shard)
            return shard

    def drop_shard(self, collection: str, name: ShardName) -> bool:
        """Drop a shard and its data from this node; False if there was none.

        The shard refuses everything before its data goes. Raises UnknownCollection.
        """
        with self._lock:
            self._check_open()
            held = self.collection(collection)
            shard = held.shards.get(name)
            if shard is None:
                return False
            batch = WriteBatch()
            _delete_shards([shard.number], batch)
            held.remove(name)  # First, so that no background work finds it closed.
            shard.retire()
            try:
                self._write_row(held.schema, _entries(held), batch)
            except BaseException:
                held.add(shard)  # To be dropped again.
                raise
            self._remove_derived([shard.number])
            return True

    def close(self) -> None:
        """Finish running work, save derived state, let go of the directory. Twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.maintenance.stop()
            for held in self._collections.values():
                held.close()
            self._collections.clear()
            self.store.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("the database is closed")

    def check(self, definition: Collection) -> None:
        """Raise SchemaViolation for a definition that this node could not serve: with its engine,
        or with the vectors that it holds of a collection of that name."""
        self._check_vectors(definition)
        held = self._collections.get(definition.name)
        if held is not None:
            for shard in held.shards.values():
                shard.shard.check_lengths(definition)

    def _check_vectors(self, definition: Collection) -> None:
        """Raise SchemaViolation for vectors that the node's engine cannot serve."""
        for vector in definition.vectors:
            check_vector(vector, self.config.index)

    def _check_format(self) -> None:
        stored = self.store.get(Family.METADATA, keys.FORMAT_KEY)
        if stored is None:
            batch = WriteBatch()
            batch.put(Family.METADATA, keys.FORMAT_KEY, struct.pack(">I", FORMAT))
            self.store.wait_durable(self.store.write(batch))
            return
        (version,) = struct.unpack(">I", stored)
        if version > FORMAT:
            raise CorruptData(
                f"the directory was written by a newer WeftDB (format {version}, this build reads "
                f"up to {FORMAT}); open it with that release"
            )

    def _new_shards(
        self, definition: Collection, names: Sequence[ShardName | None], batch: WriteBatch
    ) -> list[ShardEntry]:
        """Number new shards; `batch` takes the counter. None is called as its files are."""
        stored = self.store.get(Family.METADATA, keys.NEXT_SHARD_KEY)
        number = 1 if stored is None else struct.unpack(">I", stored)[0]
        entries = []
        for at, name in enumerate(names):
            letters = "".join(self._env.random.choices(_LETTERS, k=_SHARD_NAME_CHARS))
            files = f"{definition.name.lower()}_{letters}"
            entries.append(ShardEntry(ShardId(number + at), name or ShardName(files), files))
        if entries:
            packed = struct.pack(">I", number + len(entries))
            batch.put(Family.METADATA, keys.NEXT_SHARD_KEY, packed)
        return entries

    def _write_row(
        self, definition: Collection, shards: Sequence[ShardEntry], batch: WriteBatch
    ) -> None:
        """Write the row of a collection with what is in `batch`, and wait until it is durable."""
        row = CollectionRow(shards, definition.definition)
        batch.put(Family.METADATA, keys.collection_key(definition.name), row.encoded())
        self.store.wait_durable(self.store.write(batch))

    def _open(self, schema: Collection, shards: Sequence[ShardEntry]) -> LocalCollection:
        held = LocalCollection(schema, [self._open_shard(schema, entry) for entry in shards])
        self._collections = {**self._collections, schema.name: held}
        return held

    def _open_shard(self, schema: Collection, entry: ShardEntry) -> LocalShard:
        newest = self.store.get(Family.METADATA, keys.clock_key(entry.number))
        if newest is not None:
            self.versions.resume(decode_version(newest))
        shard = Shard(
            entry.number,
            schema,
            self.store,
            self._directory(entry.number),
            name=entry.files,
            config=self.config,
            terms=self.terms,
            rows=self.rows,
        )
        load_vectors(shard)
        return LocalShard(
            entry.name,
            shard,
            ShardWriter(shard, self.versions, self._env.give_way),
            vectorizers=self._vectorizers,
            wake=self.maintenance.signal,
            admission=self.admission,
            env=self._env,
            in_cluster=self._in_cluster,
        )

    def _directory(self, shard_id: ShardId) -> Path:
        return self._derived / f"shard-{shard_id}"

    def _remove_strays(self) -> None:
        """Remove derived files of shards that were dropped just before a crash."""
        if not self._derived.exists():
            return
        known = {
            self._directory(shard.number)
            for held in self._collections.values()
            for shard in held.shards.values()
        }
        for directory in self._derived.iterdir():
            if directory not in known:
                shutil.rmtree(directory, ignore_errors=True)

    def _remove_derived(self, numbers: Iterable[ShardId]) -> None:
        for number in numbers:
            shutil.rmtree(self._directory(number), ignore_errors=True)

    def _consumption(self) -> Consumption:
        held = [one.figures for one in self._collections.values()]
        store = {} if self._closed else self.store.metrics()
        parts = {
            "vectors": sum(one.vector_bytes for one in held),
            "hash_trees": sum(one.tree_bytes for one in held),
            "terms": self.terms.metrics()["bytes"] + sum(one.term_bytes for one in held),
            "objects": self.rows.bytes_held,
            "store_cache": store.get("cache_bytes", 0),
            "store_memtables": store.get("memtable_bytes", 0),
        }
        return Consumption(parts, coming=sum(one.coming_bytes for one in held))

    def _chores(self) -> Sequence[Chore]:
        held = list(self._collections.values())
        return [chore for one in held for chore in one.chores]


def _entries(held: LocalCollection) -> list[ShardEntry]:
    """What the row of a collection says of its shards."""
    return [
        ShardEntry(shard.number, shard.name, shard.shard.name) for shard in held.shards.values()
    ]


def _delete_shards(numbers: Iterable[ShardId], batch: WriteBatch) -> None:
    """Delete everything of some shards; one range for neighbours, as the shards of one collection
    mostly are."""
    runs: list[tuple[ShardId, ShardId]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] + 1 == number:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    for first, last in runs:
        start, end = keys.shard_range(first)[0], keys.shard_range(last)[1]
        for family in Family:
            batch.delete_range(family, start, end)
