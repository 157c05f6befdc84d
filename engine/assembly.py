"""Puts an engine together: directory, store, providers, database, catalogue.

The server and the library both open a data directory here, so that both open the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weftdb.core.config import Config
from weftdb.core.env import Env
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.database import Database
from weftdb.modules.ports import Vectorizers
from weftdb.modules.registry import Registry
from weftdb.storage.kv import KeyValueStore
from weftdb.storage.rocks import RocksStore


@dataclass(frozen=True, slots=True)
class Engine:
    """An open data directory and what doors need of it."""

    database: Database
    catalogue: Catalogue
    vectorizers: Vectorizers
    config: Config
    env: Env

    def close(self) -> None:
        """Finish running work and let go of the directory."""
        self.database.close()


def _alone(_store: KeyValueStore) -> int:
    return 0


def open_engine(
    path: Path,
    config: Config | None = None,
    *,
    env: Env | None = None,
    vectorizers: Vectorizers | None = None,
    enter: Callable[[KeyValueStore], int] = _alone,
) -> Engine:
    """Open (or make) the data directory `path`.

    `enter` is called once this process holds the directory and before anything else is read: a node
    of a cluster takes its place and answers its number in versions (`Database`).

    Raises StoreHeld naming the holder, CorruptData, DiskFull.
    """
    config, env = config or Config(), env or Env()
    vectorizers = vectorizers or Registry(config.modules)
    store = RocksStore(path, config.storage, env.clock, env.give_way, env.end_turn)
    with ExitStack() as on_failure:
        # Whatever stops the recovery, the next attempt must find the directory free.
        on_failure.callback(store.close)
        writer = enter(store)
        database = Database(
            path, store, config=config, vectorizers=vectorizers, env=env, writer=writer
        )
        on_failure.pop_all()
    catalogue = Catalogue(database, config.schema, vectorizers, env)
    return Engine(database, catalogue, vectorizers, config, env)
