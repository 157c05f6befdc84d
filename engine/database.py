"""Database: what the node holds. Open, close, create, change and drop collections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weftdb.core.config import Config
from weftdb.core.env import Env
from weftdb.core.schema import Collection
from weftdb.engine.collection import LocalCollection
from weftdb.modules.ports import Vectorizers
from weftdb.storage.kv import KeyValueStore


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
        """Open: read the schema, recover every shard, rebuild derived files that are missing."""
        raise NotImplementedError

    def collections(self) -> Sequence[Collection]:
        """Every definition, by name."""
        raise NotImplementedError

    def collection(self, name: str) -> LocalCollection:
        """The collection called `name` (canonical form). Raises UnknownCollection."""
        raise NotImplementedError

    def create_collection(self, definition: Collection) -> LocalCollection:
        """Add a collection. Raises CollectionExists, also for a name that differs in case only."""
        raise NotImplementedError

    def update_collection(self, definition: Collection) -> LocalCollection:
        """Replace a definition by a compatible one (core/definition decided that it is).

        Concurrency: compare-and-swap is the caller's business through `schema_lock`."""
        raise NotImplementedError

    def delete_collection(self, name: str) -> bool:
        """Drop a collection and its data; False if there was none."""
        raise NotImplementedError

    def close(self) -> None:
        """Finish running work, save derived state, let go of the directory."""
        raise NotImplementedError
