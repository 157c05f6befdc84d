"""Puts an engine together: directory, store, providers, database, catalogue.

The server and the library both open a data directory here, so that both open the same one.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weftdb.core.config import Config
from weftdb.core.env import Env
from weftdb.engine.catalogue import Catalogue
from weftdb.engine.database import Database
from weftdb.modules.ports import Vectorizers
from weftdb.modules.registry import Registry
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


def open_engine(
    path: Path,
    config: Config | None = None,
    *,
    env: Env | None = None,
    vectorizers: Vectorizers | None = None,
) -> Engine:
    """Open (or make) the data directory `path`.

    Raises StoreHeld naming the holder, CorruptData, DiskFull.
    """
    config, env = config or Config(), env or Env()
    vectorizers = vectorizers or Registry(config.modules)
    store = RocksStore(path, config.storage, env.clock, env.give_way)
    with ExitStack() as on_failure:
        # Whatever stops the recovery, the next attempt must find the directory free.
        on_failure.callback(store.close)
        database = Database(path, store, config=config, vectorizers=vectorizers, env=env)
        on_failure.pop_all()
    catalogue = Catalogue(database, config.schema, vectorizers, env)
    return Engine(database, catalogue, vectorizers, config, env)
