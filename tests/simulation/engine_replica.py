"""EngineReplica: the engine's own shard as a replica, over the lossy store.

One `Database` for each life of a node's process, as the server opens it; each shard of the cluster
is one of it. Its maintenance thread is stopped at once: chores run in virtual time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.config import Config, ReplicationConfig, ResourcesConfig
from weftdb.core.definition import parse_collection
from weftdb.core.env import Env
from weftdb.core.objects import Digest
from weftdb.core.types import ObjectId, ShardId
from weftdb.engine.database import Database
from weftdb.engine.replica import ShardReplica
from weftdb.modules.registry import Registry

from .history import Holding
from .node import SimulatedNode
from .replicas import holding_of

PAGE = 1000


class EngineReplica:
    """One shard of one life of a node."""

    def __init__(self, database: Database, shard: ShardRef) -> None:
        self._database = database
        self._shard = shard
        self._local = database.add_shard(shard.collection, shard.shard)

    @property
    def number(self) -> ShardId:
        """Under which its keys lie."""
        return self._local.number

    @property
    def replica(self) -> ShardReplica:
        """What answers for it."""
        return self._local.replica

    def contents(self) -> dict[ObjectId, Holding]:
        """Everything that is held, read as another node would read it."""
        ids = [object_id for object_id, _ in self._digests()]
        states = self.replica.states(ids)
        assert None not in states, "what is in the tree is not in the store"
        return {state.id: holding_of(state) for state in states if state is not None}

    def root(self) -> bytes:
        """The root of the hash tree."""
        return self.replica.tree_nodes(0, [0])[0]

    def drop(self) -> None:
        """Remove all of it."""
        self._database.drop_shard(self._shard.collection, self._shard.shard)

    def _digests(self) -> Iterator[tuple[ObjectId, Digest]]:
        replica = self.replica
        for position in range(1 << replica.tree_height):
            page = replica.leaf(position, None, PAGE)
            assert page.is_last, "more objects in a leaf than a run has"
            yield from zip(page.ids, page.digests, strict=True)


class EngineNodes:
    """Opens engines on the nodes of a run. Their derived files lie in one scratch directory."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="weft-simulation-")
        self._open: dict[str, tuple[int, Database]] = {}

    def replica(self, shard: ShardRef, node: SimulatedNode, number: int) -> EngineReplica:
        """The replica of a shard on a node; opens the node's engine with its first shard. The
        engine numbers its shards by itself."""
        database = self._database(node)
        if shard.collection not in {held.name for held in database.collections()}:
            definition = node.terms.definition(shard.collection)
            database.create_collection(parse_collection(definition), [])
        return EngineReplica(database, shard)

    def close(self) -> None:
        """Let go of the engines and of their files."""
        self._open.clear()
        self._scratch.cleanup()

    def _database(self, node: SimulatedNode) -> Database:
        life, database = self._open.get(node.name, (0, None))
        if database is None or life != node.life:
            replication = ReplicationConfig(tombstone_grace_s=node.terms.grace_s, keeps_states=True)
            resources = ResourcesConfig(disk_readonly_percentage=0, disk_warning_percentage=0)
            # What a crash leaves is in the store alone: derived files are made anew.
            path = Path(self._scratch.name) / f"{node.name}-{node.life}"
            path.mkdir()
            database = Database(
                path,
                node.disk,
                config=Config(replication=replication, resources=resources),
                vectorizers=Registry(),
                env=Env(node.clock, seed=node.life),
                writer=node.life + 1,
            )
            database.maintenance.stop()
            self._open[node.name] = (node.life, database)
        return database
