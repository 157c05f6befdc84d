"""ClusterView: what hints and repairs have to know of the cluster, as this node knows it now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from weftdb.cluster.replication.messages import ShardRef
from weftdb.core.schema import Collection
from weftdb.core.types import CollectionName, NodeName, ShardId
from weftdb.engine.replica import ShardReplica
from weftdb.server.internode.messages import Moved


class LocalReplica(Protocol):
    """One shard on this node (`engine/local_shard.py` is one)."""

    @property
    def shard_id(self) -> ShardId:
        """Under which its keys lie."""
        ...

    @property
    def replica(self) -> ShardReplica:
        """What answers for it."""
        ...

    @property
    def tombstones(self) -> int:
        """Deletions that are remembered."""
        ...


class ClusterView(Protocol):
    """All of it is in memory and quick; any thread."""

    @property
    def node(self) -> NodeName:
        """This node."""
        ...

    def schema(self, collection: CollectionName) -> Collection | None:
        """The definition that this node goes by; None of a collection that it does not know."""
        ...

    def schema_version(self, collection: CollectionName) -> int:
        """Of that definition; 0 of a collection that is not known."""
        ...

    def revision(self, collection: CollectionName) -> int:
        """Of the sharding state that this node goes by; NO_REVISION without one."""
        ...

    def replicas(self, shard: ShardRef) -> Sequence[NodeName]:
        """The nodes with a replica of the shard that reads may be served from; none of a shard that
        is not known."""
        ...

    def here(self) -> Iterable[ShardRef]:
        """The shards that lie on this node."""
        ...

    def local(self, shard: ShardRef) -> LocalReplica | None:
        """A shard on this node; None where it is not, or not yet, open."""
        ...

    def is_away(self, node: NodeName) -> bool:
        """Whether membership calls a node away."""
        ...

    def learn(self, moved: Moved) -> None:
        """Take a newer sharding state from who refused by it."""
        ...
