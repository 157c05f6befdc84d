"""Database: what the node holds. Open, close, create, change and drop collections.

collection row := JSON {"format": 1, "shard": u32, "shard_name": text, "definition": {...}}
"""

from __future__ import annotations

import json
import logging
import shutil
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from weftdb.core.config import Config
from weftdb.core.definition import load_collection
from weftdb.core.env import Env
from weftdb.core.errors import Closed, CollectionExists, CorruptData, UnknownCollection
from weftdb.core.schema import Collection
from weftdb.core.types import ShardId, Version
from weftdb.engine.admission import Admission
from weftdb.engine.collection import LocalCollection
from weftdb.engine.disk_guard import DiskGuard
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
_ROW_FORMAT = 1
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
    ) -> None:
        """Open: read the schema, recover every shard, rebuild derived files that are missing.

        `path` gets the derived files; `store` holds the data. Raises CorruptData.
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
        self._versions = VersionClock(env.clock, floor=Version(0))
        self.maintenance = Maintenance(self._chores, env)
        for _, row in store.scan(Family.METADATA, *keys.collection_range()):
            self._open_row(_read_row(row))
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

    def create_collection(self, definition: Collection) -> LocalCollection:
        """Add a collection. Raises CollectionExists, also for a name that differs in case only."""
        with self._lock:
            self._check_open()
            for name in self._collections:
                if name.lower() == definition.name.lower():
                    raise CollectionExists(f"class name {definition.name} already exists")
            self._check_vectors(definition)
            number = self.store.get(Family.METADATA, keys.NEXT_SHARD_KEY)
            shard_id = 1 if number is None else struct.unpack(">I", number)[0]
            letters = self._env.random.choices(_LETTERS, k=_SHARD_NAME_CHARS)
            row = _row(definition, shard_id, f"{definition.name.lower()}_{''.join(letters)}")
            batch = WriteBatch()
            batch.put(Family.METADATA, keys.NEXT_SHARD_KEY, struct.pack(">I", shard_id + 1))
            batch.put(Family.METADATA, keys.collection_key(definition.name), _encode_row(row))
            self.store.wait_durable(self.store.write(batch))
            return self._open_row(row, definition)

    def update_collection(self, definition: Collection) -> LocalCollection:
        """Replace a definition by a compatible one (core/definition decided that it is).

        Raises, before anything is written, Overloaded where there is no room for an index that
        would have to be built, and SchemaViolation where settings do not suit the stored vectors.
        """
        with self._lock:
            self._check_open()
            held = self.collection(definition.name)
            self._check_vectors(definition)
            held.shard.check_lengths(definition)
            needed = held.shard.build_bytes(definition)
            batch = WriteBatch()
            row = _row(definition, held.shard.shard_id, held.shard_name)
            batch.put(Family.METADATA, keys.collection_key(definition.name), _encode_row(row))
            with self.admission.memory.grant(needed) if needed else nullcontext():
                self.store.wait_durable(self.store.write(batch))
                held.reconfigure(definition)
            return held

    def delete_collection(self, name: str) -> bool:
        """Drop a collection and its data; False if there was none."""
        with self._lock:
            self._check_open()
            held = self._collections.pop(name, None)
            if held is None:
                return False
            shard_id = held.shard.shard_id
            start, end = keys.shard_range(shard_id)
            batch = WriteBatch()
            batch.delete(Family.METADATA, keys.collection_key(name))
            for family in Family:
                batch.delete_range(family, start, end)
            held.retire()
            self.store.wait_durable(self.store.write(batch))
            shutil.rmtree(self._directory(shard_id), ignore_errors=True)
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

    def _open_row(
        self, row: Mapping[str, Any], definition: Collection | None = None
    ) -> LocalCollection:
        schema = definition or load_collection(row["definition"])
        shard_id = ShardId(row["shard"])
        newest = self.store.get(Family.METADATA, keys.clock_key(shard_id))
        if newest is not None:
            self._versions.observe(decode_version(newest))
        shard = Shard(
            shard_id,
            schema,
            self.store,
            self._directory(shard_id),
            name=row["shard_name"],
            config=self.config,
            terms=self.terms,
            rows=self.rows,
        )
        load_vectors(shard)
        writer = ShardWriter(shard, self._versions, self._env.give_way)
        held = LocalCollection(
            shard,
            writer,
            shard_name=row["shard_name"],
            vectorizers=self._vectorizers,
            wake=self.maintenance.signal,
            admission=self.admission,
            env=self._env,
        )
        self._collections = {**self._collections, schema.name: held}
        return held

    def _directory(self, shard_id: ShardId) -> Path:
        return self._derived / f"shard-{shard_id}"

    def _remove_strays(self) -> None:
        """Remove derived files of shards that were dropped just before a crash."""
        if not self._derived.exists():
            return
        known = {self._directory(held.shard.shard_id) for held in self._collections.values()}
        for directory in self._derived.iterdir():
            if directory not in known:
                shutil.rmtree(directory, ignore_errors=True)

    def _consumption(self) -> Consumption:
        held = list(self._collections.values())
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


def _row(definition: Collection, shard: int, shard_name: str) -> dict[str, Any]:
    return {
        "format": _ROW_FORMAT,
        "shard": shard,
        "shard_name": shard_name,
        "definition": definition.definition,
    }


def _encode_row(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _read_row(value: bytes) -> Mapping[str, Any]:
    try:
        row: Mapping[str, Any] = json.loads(value)
    except ValueError as error:
        raise CorruptData(f"a collection row cannot be read: {error}") from error
    if row.get("format") != _ROW_FORMAT:
        raise CorruptData(f"a collection row has format {row.get('format')}, not {_ROW_FORMAT}")
    return row
